// The seam between the encrypted machine and the hardware: batched operations on limbs. The CPU implements it here; an
// accelerator implements the same list beside it. Layers above never see how many cores or streams there are.
//
// A *polynomial at limb count L* is an array of limbs in the evaluation domain, limb_stride() words apart: limbs
// 0..L-1 modulo q[0..L), and, where it is *lifted* (over Q*P), limbs L..L+K-1 modulo p[0..K). All words are fully
// reduced, and every backend gives equal words.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/device/buffer.hpp"
#include "brainlock/device/counters.hpp"
#include "brainlock/math/ntt.hpp"

namespace brainlock::device {

using Word = std::uint32_t;

/// The ring and the key-switching gadget: ciphertext primes first, then special primes. The tables must outlive the backend.
struct Ring {
  std::vector<const math::NttTables*> tables;
  std::uint32_t q_count = 0;
  std::uint32_t p_count = 0;
  std::uint32_t digit_limbs = 0;

  [[nodiscard]] std::uint32_t degree() const { return tables[0]->ring_degree; }
  [[nodiscard]] std::uint32_t digits(std::uint32_t limbs) const { return (limbs + digit_limbs - 1) / digit_limbs; }
  /// Modulus index of limb l of a polynomial at limb count `limbs`.
  [[nodiscard]] std::uint32_t modulus_index(std::uint32_t limbs, std::uint32_t l) const { return l < limbs ? l : q_count + (l - limbs); }
  [[nodiscard]] const math::Modulus& modulus(std::uint32_t index) const { return tables[index]->modulus; }
};

/// kInvalidArgument if the ring is inconsistent or beyond what backends take: sizes, digit_limbs, more than 15 special primes.
Status check_ring(const Ring& ring);
constexpr std::uint32_t kMaxLimbs = 96;   ///< q and p together
constexpr std::uint32_t kMaxDigits = 32;

/// How a request reaches the device: operations of one stream happen in order. A requested stop makes operations return
/// early with meaningless outputs; the caller asks stopped() and gives up.
struct Stream {
  std::stop_token stop;
  [[nodiscard]] bool stopped() const { return stop.stop_requested(); }
};

/// An evaluation key in the backend's own form and order (key_words() of its limbs).
struct SwitchingKey {
  Buffer words;
  std::uint32_t limbs = 0;
  std::uint32_t digits = 0;
  std::uint32_t galois_element = 0;                              ///< 0: relinearisation
  std::shared_ptr<const math::AutomorphismTable> automorphism;   ///< null for relinearisation
};

/// One limb of a key, N words of the host in evaluation domain, plain form.
struct KeyTransfer {
  SwitchingKey* key = nullptr;
  const Word* host = nullptr;
  std::uint32_t limb = 0;        ///< q[limb] below key->limbs, then p[limb - key->limbs]
  std::uint32_t digit = 0;
  std::uint32_t poly = 0;        ///< 0: b, 1: a
};

/// Weight vectors of a linear layer that repeat over few words or none, over Q*P, in the backend's own form and order (full_weight_words()).
struct FullWeights {
  Buffer words;
  std::uint32_t limbs = 0;
  std::uint32_t vectors = 0;
  std::uint32_t run = 1;   ///< words that have the same weight: 1, 2 or 4
};

/// One limb of such a vector, N / run words of the host in evaluation domain, Montgomery form.
struct WeightTransfer {
  FullWeights* weights = nullptr;
  const Word* host = nullptr;
  std::uint32_t limb = 0;        ///< q[limb] below weights->limbs, then p[limb - weights->limbs]
  std::uint32_t vector = 0;
};

/// One limb from host (N words) to device.
struct LimbTransfer {
  Word* device = nullptr;
  const Word* host = nullptr;
};
struct LimbDownload {
  Word* host = nullptr;
  const Word* device = nullptr;
};

/// digits = gadget decomposition of c1 (lifted: of c1 / P, rounded), each digit over Q*P, in the backend's own form and
/// order (digit_words()). Digit d is the residue modulo limbs [d alpha, min((d+1) alpha, L)), centred.
/// c0, if given, is kept beside the digits for SwitchKey and LinearCore: as it is (lifted), or times P (packed).
struct Decompose {
  const Word* c0 = nullptr;
  const Word* c1 = nullptr;
  bool lifted = false;
  Word* digits = nullptr;
};

/// out = automorphism(sum_d digits[d] * key[d] + (c0 kept with the digits, 0)) + (base0, base1), over Q*P.
/// base covers the first base_limbs limbs (null: nothing) and may be out itself; no other aliasing.
struct SwitchKey {
  const Word* digits = nullptr;
  const SwitchingKey* key = nullptr;
  bool add_c0 = false;
  const Word* base0 = nullptr;
  const Word* base1 = nullptr;
  std::uint32_t base_limbs = 0;
  Word* out0 = nullptr;
  Word* out1 = nullptr;
};

/// The same for digits that are used once: out = automorphism(key switch of c1 + (c0, 0)) + (base0, base1).
/// (c0, c1) packed or lifted; c0 may be null (relinearisation). out may be the base, never an input.
struct SwitchOnce {
  const Word* c0 = nullptr;
  const Word* c1 = nullptr;
  bool lifted = false;
  const SwitchingKey* key = nullptr;
  const Word* base0 = nullptr;
  const Word* base1 = nullptr;
  std::uint32_t base_limbs = 0;
  Word* out0 = nullptr;
  Word* out1 = nullptr;
};

/// out (L - drop limbs) = in (lifted, L + K limbs) / (P * q[L-drop] ... q[L-1]), rounded, + addend (L - drop limbs, may be null).
struct ModDown {
  const Word* in = nullptr;
  Word* out = nullptr;
  const Word* addend = nullptr;
};

/// out (limbs q[0..limbs), at least one; never in itself) = the residues of in, one limb modulo q[0], as integers around zero: the same polynomial over a
/// larger modulus, and on it a multiple of q[0] that bootstrapping takes away again (Cheon et al., "Bootstrapping for Approximate Homomorphic
/// Encryption", 2018). Within 2^-23 of q[0] / 2 either sign is right: conversions take their quotients from floats.
struct Raise {
  const Word* in = nullptr;
  Word* out = nullptr;
};

/// out (lifted) = P * in (packed).
struct Lift {
  const Word* in = nullptr;
  Word* out = nullptr;
};

/// Over `limb_count` limbs: out = a + b (out may be a or b; b null: a copy).
struct Add {
  Word* out = nullptr;
  const Word* a = nullptr;
  const Word* b = nullptr;
};

/// Over the limbs of a polynomial: out = a * factor, word by word (the product of two polynomials in the evaluation
/// domain). Plain forms. out may be a; a factor may serve several products.
struct Multiply {
  Word* out = nullptr;
  const Word* a = nullptr;
  const Word* factor = nullptr;
};

/// From packed z and lifted zbar (the conjugate): real = P z + zbar; imaginary = -i (P z - zbar). Polynomial by
/// polynomial (one entry for c0, one for c1). real may be zbar itself.
struct SplitParts {
  const Word* z = nullptr;
  const Word* zbar = nullptr;
  Word* real = nullptr;
  Word* imaginary = nullptr;
};

/// Tensor square of a = z + sign * zbar (zbar null: a = z), on the q limbs: p_d0 = P d0, p_d1 = P d1, d2.
struct TensorSquare {
  const Word* z0 = nullptr;
  const Word* z1 = nullptr;
  const Word* zbar0 = nullptr;
  const Word* zbar1 = nullptr;
  bool minus = false;
  Word* p_d0 = nullptr;
  Word* p_d1 = nullptr;
  Word* d2 = nullptr;
};

/// The core of a linear layer: acc[o][g] = sum_k weights[o][k][g] * rotate(input of column k), over Q*P, rotations by
/// shared digits (double hoisting). What fits a device best (block size, order, fusion) is the backend's affair.
struct LinearCore {
  struct Input {
    const Word* c0 = nullptr;       ///< lifted
    const Word* c1 = nullptr;
    const Word* digits = nullptr;   ///< made with c0; needed if any rotation other than zero reads this input
  };
  struct Use {
    std::uint32_t input = 0;
    std::uint32_t column = 0;
  };
  struct Rotation {
    const SwitchingKey* key = nullptr;  ///< null: rotation by zero
    std::span<const Use> uses;
  };
  /// A product of a sum with full weights.
  struct FullTerm {
    std::uint32_t column = 0;
    std::uint32_t vector = 0;
  };
  struct Output {
    std::span<const std::uint32_t> columns;
    std::uint32_t giants = 0;
    const Word* weights = nullptr;                ///< periodic: [limb][run][position in columns][giant], Montgomery form
    std::span<const std::vector<FullTerm>> full;  ///< per giant, where weights are full
    std::span<Word* const> acc;                   ///< giant g: acc[2g] (c0), acc[2g + 1] (c1)
  };
  std::uint32_t limbs = 0;
  std::uint32_t column_count = 0;
  std::uint32_t run_length = 0;   ///< words over which periodic weights are constant: at least 8, which every backend takes
  /// Null: periodic ones. Vectors are read in the order of outputs, giants, terms, and are best numbered so.
  const FullWeights* full_weights = nullptr;
  std::span<const Input> inputs;
  std::span<const Rotation> rotations;
  std::span<const Output> outputs;
};

class Recorder;   // recorder.hpp

/// Memory of a device.
struct MemoryBudget {
  std::uint64_t free_bytes = 0;      ///< what allocate() could still give
  std::uint64_t scratch_bytes = 0;   ///< at most what operations take for themselves meanwhile
};

/// Shareable by several requests at a time. Operations return when their results may be used by the next operation of
/// the same stream. Pointers are into Buffers of this backend; sizes are promises of the caller (checked by assert).
class Backend {
 public:
  virtual ~Backend() = default;

  [[nodiscard]] virtual const Ring& ring() const = 0;
  /// Words from one limb to the next (N plus padding against cache-set conflicts).
  [[nodiscard]] virtual std::size_t limb_stride() const = 0;
  /// Words of a polynomial at `limbs` (lifted: with the special limbs).
  [[nodiscard]] std::size_t poly_words(std::uint32_t limbs, bool lifted) const {
    return (limbs + (lifted ? ring().p_count : 0)) * limb_stride();
  }
  /// Words of the digits of one ciphertext, and of one key.
  [[nodiscard]] virtual std::size_t digit_words(std::uint32_t limbs) const = 0;
  [[nodiscard]] virtual std::size_t key_words(std::uint32_t limbs) const = 0;
  /// Words of `vectors` full weight vectors over Q*P, of runs of 1, 2 or 4 words.
  [[nodiscard]] std::size_t full_weight_words(std::uint32_t limbs, std::uint32_t vectors, std::uint32_t run) const {
    return std::size_t{limbs + ring().p_count} * vectors * (ring().degree() / run);
  }
  [[nodiscard]] virtual unsigned threads() const = 0;
  /// "cpu", "cuda:0 (NVIDIA H200)".
  [[nodiscard]] virtual std::string name() const = 0;
  /// What is there to be had now, where the device has a memory of its own; nothing for the CPU, which shares the machine's.
  [[nodiscard]] virtual std::optional<MemoryBudget> memory_budget() const { return std::nullopt; }

  /// Uninitialised memory. kResource if the device has none left.
  virtual Result<Buffer> allocate(std::size_t words) = 0;
  /// Gives unused pooled memory back to the system.
  virtual void trim() = 0;
  /// Takes memory for so many words from the system now, for buffers to come, where that would otherwise happen as they are written: a process's
  /// first request is then nearly as fast as the others. Nothing where allocate() takes it. Does nothing if there is none.
  virtual void touch(std::size_t /*words*/) {}

  virtual void upload(const Stream&, std::span<const LimbTransfer>) = 0;
  virtual Status download(const Stream&, std::span<const LimbDownload>) = 0;
  virtual Status upload_keys(const Stream&, std::span<const KeyTransfer>) = 0;
  virtual void upload_full_weights(const Stream&, std::span<const WeightTransfer>) = 0;
  /// Raw words, any layout.
  virtual void upload_words(const Stream&, Word* device, std::span<const Word> host) = 0;

  virtual Status decompose(const Stream&, std::uint32_t limbs, std::span<const Decompose>) = 0;
  virtual void switch_keys(const Stream&, std::uint32_t limbs, std::span<const SwitchKey>) = 0;
  virtual Status switch_once(const Stream&, std::uint32_t limbs, std::span<const SwitchOnce>) = 0;
  virtual Status mod_down(const Stream&, std::uint32_t limbs, std::uint32_t drop, std::span<const ModDown>) = 0;
  virtual Status raise(const Stream&, std::uint32_t limbs, std::span<const Raise>) = 0;
  virtual void lift(const Stream&, std::uint32_t limbs, std::span<const Lift>) = 0;
  virtual void add(const Stream&, std::uint32_t limbs, bool lifted, std::span<const Add>) = 0;
  virtual void multiply(const Stream&, std::uint32_t limbs, bool lifted, std::span<const Multiply>) = 0;
  virtual void split_parts(const Stream&, std::uint32_t limbs, std::span<const SplitParts>) = 0;
  virtual void tensor_square(const Stream&, std::uint32_t limbs, std::span<const TensorSquare>) = 0;
  virtual Status linear_core(const Stream&, const LinearCore&) = 0;
  /// Waits for what the stream was given so far. An accelerator may fail after an operation has returned; finish() and download()
  /// say so, and so does every later operation that returns a Status. kUnavailable: the device is lost.
  virtual Status finish(const Stream&) = 0;

  /// Begins to count from zero, or stops. Costs nothing while it is off, as it is at first; a clock's reading a launch while it is on.
  virtual void count(bool) {}
  /// Nothing where there is nothing to count: the CPU has no launches, and shares the host's memory.
  [[nodiscard]] virtual std::optional<Counters> counters() const { return std::nullopt; }
  [[nodiscard]] virtual std::optional<Peaks> peaks() const { return std::nullopt; }
  /// A lane of this device for operations that are done again and again (recorder.hpp); null: this backend has none. kResource.
  virtual Result<std::shared_ptr<Recorder>> make_recorder() { return std::shared_ptr<Recorder>(); }
};

}  // namespace brainlock::device
