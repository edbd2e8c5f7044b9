// What host code hands to a kernel: plain structs, at most 4 KB, passed by value. Pointers are to device memory. No C++20 here:
// nvcc reads this too.
#pragma once

#include <cstddef>
#include <cstdint>

namespace brainlock::device_cuda::gpu {

using Word = std::uint32_t;
using Wide = unsigned long long;

/// A prime and its constants: one 16-byte load.
struct alignas(16) Modulus {
  Word q;
  Word neg_inv;         ///< -q^-1 mod 2^32
  Word r1;              ///< 2^32 mod q
  Word fold_interval;   ///< products of words below q that may follow a fold before the next
};

/// A prime and what transforms add to words: one 16-byte load. Multiples are loaded, since a compiler that knows them for such makes them anew from
/// q at every use, in an instruction of its own.
struct alignas(16) Prime {
  Word q;
  Word twice_q;
  Word minus_q;
  Word minus_twice_q;
};

/// A factor and its Shoup quotient floor(value * 2^32 / q): one 8-byte load.
struct alignas(8) Factor {
  Word value;
  Word quotient;
};

/// The ring in device memory. Moduli are numbered as in device::Ring.
struct Ring {
  const Modulus* moduli;
  const Prime* primes;              ///< the same, for transforms
  const Factor* twiddles;           ///< [modulus][N]: psi^brv(i)
  const Factor* inverse_twiddles;   ///< [modulus][N]
  const Factor* p;                  ///< per q: P
  const Factor* p_times_r;          ///< per q: P * 2^32
  const Factor* r;                  ///< per modulus: 2^32
  Word log_degree;
  Word q_count;
  Word p_count;
  Word digit_limbs;
  Word per_digit_limbs;             ///< reciprocal(digit_limbs)
};

/// For x / by without a division: the high word of x times this, for x by below 2^32. 0 stands for that of 1.
constexpr Word reciprocal(Word by) { return by == 1 ? 0 : static_cast<Word>((Wide{1} << 32) / by + 1); }

constexpr unsigned kMaxJobs = 16;         ///< jobs of one launch
constexpr unsigned kPointThreads = 256;   ///< threads of a block of kernels that work word by word
constexpr unsigned kMostLogTile = 12;     ///< log2 of the words of a transform's tile: 16.5 KB of shared memory
constexpr unsigned kTransformWords = 16;  ///< of a tile, for each thread
constexpr unsigned kTargetsPerThread = 8; ///< limbs that a thread of a conversion makes
constexpr unsigned kUsesAtOnce = 4;       ///< rotated inputs that share the loads of one key
constexpr unsigned kDigitsAtOnce = 3;     ///< whose words a thread has on their way from memory
constexpr unsigned kLinearTile = 128;     ///< words of a block of linear_layer, and threads of one of its groups
constexpr unsigned kMostAdders = 4;       ///< groups of such a block that add up
constexpr unsigned kMostLinearGroups = 5; ///< those, and the ones that make what is added up: what leaves a thread 96 registers
constexpr unsigned kGiantTile = 8;        ///< outputs of a thread of linear_layer, for each polynomial
constexpr unsigned kMostLogSlots = 4;     ///< log2 of the columns that a block of linear_layer has in shared memory at a time

/// How a transform of 2^log_degree words is cut: see ntt.cuh. A word is row << row_stages | column.
struct TransformShape {
  unsigned log_tile;        ///< words of a block's tile
  unsigned column_stages;   ///< of one pass
  unsigned row_stages;      ///< of the other
  unsigned threads;         ///< of a block
  unsigned shared_words;    ///< a word of padding after each 32
};
constexpr TransformShape transform_shape(unsigned log_degree) {
  const unsigned log_tile = log_degree < kMostLogTile ? log_degree : kMostLogTile;
  return {log_tile, log_degree / 2, log_degree - log_degree / 2, (1u << log_tile) / kTransformWords, (1u << log_tile) + (1u << log_tile) / 32};
}

/// How a cluster of blocks does a whole transform: see ntt_cluster.cuh.
struct ClusterShape {
  unsigned log_blocks;      ///< of a cluster: 8 at most, which every device with clusters takes
  unsigned log_tile;        ///< words of a block
  unsigned column_stages;
  unsigned row_stages;
  unsigned threads;         ///< of a block
  unsigned tile_words;      ///< of shared memory, with padding; a block has two tiles
};
constexpr ClusterShape cluster_shape(unsigned log_degree) {
  // Blocks of 256 threads as in two passes: a few limbs then still fill many multiprocessors. Tiles of 2^13 words only where a cluster would
  // have more than eight.
  const unsigned log_tile = log_degree - 3 > kMostLogTile ? log_degree - 3 : kMostLogTile;
  return {log_degree - log_tile, log_tile, log_degree / 2, log_degree - log_degree / 2, (1u << log_tile) / kTransformWords,
          (1u << log_tile) + (1u << log_tile) / 32};
}

/// Transforms have two instances. The plain one leaves room for 1,280 threads of a multiprocessor: many warps wait for memory in turn. The roomy one
/// for 768, with 80 registers instead of 48: a thread has its twiddles, and all words of an exchange, under way at once, also before a barrier.
constexpr unsigned kRoomyVariant = 32;   ///< beside log2 of the degree
constexpr unsigned kLeastChoiceLog = 13, kMostChoiceLog = 16;   ///< of degrees whose transforms have other ways than two plain passes
constexpr unsigned blocks_with_room(unsigned threads, bool roomy) { return (roomy ? 768 : 1280) / threads; }

/// Which limb, and which of its pieces, row r of a transform is.
struct RowMap {
  Word first;          ///< limb of row 0
  Word limbs;          ///< limbs below this are modulo q, the others modulo p
  Word pieces;         ///< rows a limb
  Word stride;         ///< limb-sized places from one limb to the next
  Word compact_out;    ///< 1: row r of the output is the r-th limb-sized place; 0: where the input lies
  Word skip_own;       ///< 1: leave out piece d of the limbs of digit d
  Word per_piece;      ///< reciprocal(pieces)
};
constexpr RowMap row_map(Word first, Word limbs, Word pieces, Word stride, bool compact_out, bool skip_own) {
  return {first, limbs, pieces, stride, compact_out ? 1u : 0u, skip_own ? 1u : 0u, reciprocal(pieces)};
}

struct NttJob {
  const Word* in;
  Word* out;
  const Word* minuend;   ///< forward only: out = (minuend - transform) * scalar + addend; null: the transform
  const Word* addend;    ///< may be null
};
struct NttArguments {
  Ring ring;
  RowMap rows;
  const Factor* scalars;   ///< per row; inverse: 1 / N times what else is to be multiplied; forward: see minuend
  NttJob jobs[kMaxJobs];
};

/// One base conversion's constants, see device::Conversion.
struct ConversionTable {
  const Word* factors;       ///< [target][source], Montgomery form
  const Word* neg_q_src;     ///< [target], Montgomery form
  const float* inv_q;        ///< [source]
  Word sources;
  Word targets;
};

/// Digits of several polynomials. Sources are rows [job][L + K] of prepared coefficients; results go to the digits.
struct ConvertDigitsJob {
  const Word* sources;
  Word* digits;
};
struct ConvertDigitsArguments {
  Ring ring;
  const ConversionTable* tables;   ///< per digit
  Word limbs, digits, pieces;      ///< pieces: digits, and one for c0 where it is kept beside them
  ConvertDigitsJob jobs[kMaxJobs];
};

struct DivideDigitsArguments {
  ConvertDigitsArguments digits;
  ConversionTable by_p;             ///< the remainder modulo P to the q limbs
  const Factor* prepared_inverse;   ///< per limb: 1 / P, and what makes a source of it
  const Factor* unprepare;          ///< per limb: takes that back
};

/// One conversion for several polynomials: targets are limbs 0, 1, ... of `out`.
struct ConvertJob {
  const Word* sources;   ///< limb after limb
  Word* out;
};
struct ConvertArguments {
  Ring ring;
  ConversionTable table;
  ConvertJob jobs[kMaxJobs];
};

/// Places beside the digits what needs no conversion: c0, and a packed digit's own limbs.
struct PlaceJob {
  const Word* c0;
  const Word* c1;
  Word* digits;
  Word lifted;
};
struct PlaceArguments {
  Ring ring;
  Word limbs, digits;
  PlaceJob jobs[kMaxJobs];
};

/// Key words into their place: Montgomery form, under the key's automorphism.
struct PrepareKeysJob {
  const Word* in;
  Word* out;
  Word modulus;
  Word galois_element;   ///< 0 or 1: none
};
struct PrepareKeysArguments {
  Ring ring;
  PrepareKeysJob jobs[kMaxJobs];
};

enum AddendKind : Word { kNoAddend, kPlainAddend, kTimesP };

/// out = automorphism(sum_d digit[d] key[d] + (addend, 0)) + (base0, base1).
struct SwitchJob {
  const Word* digits;   ///< [limb][pieces][N]
  const Word* own;      ///< not null: digit d of its own limbs is this polynomial
  const Word* key;      ///< [limb][digit][b, a][N]
  const Word* addend;
  const Word* base0;
  const Word* base1;
  Word* out0;
  Word* out1;
  Word key_limbs, key_digits;
  Word galois_element;   ///< 0: relinearisation
  Word addend_kind;
  Word base_limbs;
  Word pieces;           ///< limb-sized places of digits, from limb to limb
  Word addend_stride;    ///< likewise of the addend
};
struct SwitchArguments {
  Ring ring;
  Word limbs, digits;
  SwitchJob jobs[kMaxJobs];
};

struct LiftJob {
  const Word* in;
  Word* out;
};
struct LiftArguments {
  Ring ring;
  Word limbs;
  LiftJob jobs[kMaxJobs];
};

struct AddJob {
  Word* out;
  const Word* a;
  const Word* b;   ///< null: a copy
};
struct AddArguments {
  Ring ring;
  Word limbs;
  AddJob jobs[kMaxJobs];
};

struct MultiplyJob {
  Word* out;
  const Word* a;
  const Word* factor;
};
struct MultiplyArguments {
  Ring ring;
  Word limbs;
  MultiplyJob jobs[kMaxJobs];
};

struct SplitJob {
  const Word* z;
  const Word* zbar;
  Word* real;
  Word* imaginary;
};
struct SplitArguments {
  Ring ring;
  Word limbs;
  SplitJob jobs[kMaxJobs];
};

struct SquareJob {
  const Word* z0;
  const Word* z1;
  const Word* zbar0;   ///< null: none
  const Word* zbar1;
  Word* p_d0;
  Word* p_d1;
  Word* d2;
  Word minus;
};
struct SquareArguments {
  Ring ring;
  SquareJob jobs[kMaxJobs];
};

// A linear layer is described in device memory, because its lists are long.

struct LinearInput {
  const Word* c0;
  const Word* c1;
  const Word* digits;
};
/// An input under a rotation, and the column that it makes: among all of them, or a place in shared memory.
struct LinearUse {
  Word input;
  Word column;
};
struct LinearRotation {
  const Word* key;       ///< null: rotation by zero
  Word key_limbs, key_digits;
  Word galois_element;
  Word first_use, use_count;   ///< kUsesAtOnce at most
};

/// Columns that a block has in shared memory at the same time.
struct LinearChunk {
  Word first_rotation, rotation_count;
};
/// One product of an output's sums: of the column in place `slot` and the weights at position `place`.
struct LinearEntry {
  Word slot;
  Word place;
};
/// Up to kGiantTile giant steps of one output: what an adder adds up.
struct LinearTile {
  const Word* weights;          ///< [limb][run][place][giant]
  const LinearEntry* entries;   ///< chunk c has [entry_begin[c], entry_begin[c + 1]), no more than there are places
  const Word* entry_begin;
  Word* const* acc;             ///< [giant][poly]
  Word places, giants;
  Word first_giant, giant_count;
};
/// acc = weights * columns, weights constant over runs; grid y: limbs (L + K).
struct LinearArguments {
  Ring ring;
  const LinearInput* inputs;
  const LinearRotation* rotations;
  const LinearUse* uses;
  const LinearChunk* chunks;
  const LinearTile* tiles;
  Word chunk_count, tile_count;
  Word limbs, digits;
  Word log_run;          ///< words over which weights are constant
  Word log_slots;        ///< of places in shared memory
  Word makers;           ///< groups of a block that make columns; the others add up
};

/// Where column words of limb l begin: poly[i] + (l - first_limb) * N.
struct LinearColumn {
  Word* poly[2];
  Word first_limb;
};
struct LinearTerm {
  const Word* weights;
  Word column;
};
struct FullOutput {
  Word* const* acc;            ///< [giant][poly]
  const Word* term_begin;      ///< giant g has terms [term_begin[g], term_begin[g + 1])
  Word giants;
};
/// The columns of limbs [first_limb, first_limb + gridDim.y) by shared digits; grid z: rotations.
struct RotateArguments {
  Ring ring;
  const LinearRotation* rotations;
  const LinearUse* uses;
  const LinearInput* inputs;
  const LinearColumn* columns;
  Word limbs, digits, first_limb;
};
/// acc = full weights * columns, of the same limbs; grid z: outputs.
struct FullWeightArguments {
  Ring ring;
  const LinearColumn* columns;
  const FullOutput* outputs;
  const LinearTerm* terms;
  Word limbs, first_limb;
  Word most_giants;     ///< grid y = limbs * most_giants
  Word log_run;         ///< of the words that have the same weight
};

}  // namespace brainlock::device_cuda::gpu
