// A compiled model as data: what is done to which ciphertext, at which level and scale, with which weights.
// Knows no cryptography: the compiler writes it, the runtime and the slot interpreter read it.
//
// The machine a program runs on has registers of two forms:
//   packed  a ciphertext at `limbs` limbs, every slot a complex number: two real tensors share one ciphertext
//   lifted  a ciphertext multiplied by the special modulus P and kept over Q*P, every slot real: the form that
//           hoisted rotations and weights take without a division by P in between
// and seven instructions:
//
//   input --Split--> lifted --Linear--> packed --Square--> lifted --(Combine)--> lifted --Linear--> packed ... --> output
//                      u,v    rotations,    z=u+iv    4u^2, -4v^2     sums and pre-rotations
//                             weights, rescale, bias
//
// Where branches meet, a lifted register made long before is brought to fewer limbs (Drop), a Linear of its own brings
// it to the scale of the other branch, and Add sums the two packed results.
//
// Raise takes a packed register of one limb back to many. Its message then has a multiple of q[0] beside it, in every coefficient, which the
// instructions behind it take away (bootstrapping): Linears from slots to coefficients, squares that amount to a sine, and
// Linears back to slots. Only there do lifted registers have complex slots.
#pragma once

#include <complex>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "brainlock/base/result.hpp"

namespace brainlock::plan {

using Register = std::uint32_t;

/// One complex weight vector over the slots. period == values.size() when dense (the vector repeats every `period`
/// slots); sparse vectors have period == slot count and list their nonzero slots only.
struct SlotVector {
  std::uint32_t period = 0;
  std::vector<std::uint32_t> slots;             ///< sparse: the slot of each value, ascending; empty: dense
  std::vector<std::complex<float>> values;
  std::vector<std::complex<float>> rest;        ///< what the values lack of numbers in double precision; empty: nothing
  [[nodiscard]] bool dense() const { return slots.empty(); }
  /// One period with its zeros: `period` values, none of an empty vector.
  [[nodiscard]] std::vector<std::complex<double>> expanded() const;
  /// A dense vector of these values in double precision.
  static SlotVector precise(std::span<const std::complex<double>> values);
};

/// packed z -> lifted 2 Re z (and 2 Im z when both parts are used): one conjugation. With parts == 1 the slots are
/// real already and the result is z itself, lifted.
struct Split {
  Register in;
  std::vector<Register> out;  ///< 1 or 2
};

/// packed z = u + iv -> lifted 4 u^2 and -4 v^2 (two parts), or z^2 (one part), or 4 u^2 alone (one part, `real_part`). One conjugation key switch where
/// z is taken apart, one relinearisation per output.
struct Square {
  Register in;
  std::vector<Register> out;
  bool real_part = false;   ///< of one part: v is garbage

  /// Whether it needs the conjugate of z.
  [[nodiscard]] bool conjugates() const { return real_part || out.size() == 2; }
};

/// lifted -> lifted: out = sum of rotated inputs, no multiplication (average pooling, pre-rotation).
struct Combine {
  struct Term {
    Register in;
    std::int32_t rotation;  ///< slot t of the result takes slot t + rotation
  };
  std::vector<Term> terms;
  Register out;
};

/// lifted -> lifted: the same message and scale, the last limbs of Q forgotten. Costs a copy.
struct Drop {
  Register in;
  Register out;
};

/// packed at one limb -> packed at `limbs_out`: the same integer polynomials modulo more primes. Slots then hold scale_in / scale_out times the message,
/// plus q[0] / scale_out times the values of an integer polynomial that only the key knows, with coefficients of standard deviation sqrt(N / 18).
struct Raise {
  Register in;
  Register out;
  double limit = 0;   ///< largest |coefficient| of the message (over its scale) that the promised error was chosen for; 0: not stated
};

/// packed -> packed: out = sum of the terms (two or more), which are of one scale.
struct Add {
  std::vector<Register> terms;
  Register out;
};

/// lifted inputs -> packed outputs:
///   acc_g = sum_k weights[k][g] * rotate(inputs[column k], rotation of column k)       (hoisted, over Q*P)
///   out   = sum_g rotate(acc_g, g * giant_step)                                        (in rounds: giant_fan)
///   for r in rotate_sums: out += rotate(out, r)
///   out   = mask * out                                                                 (where there are masks)
///   out   = rescale(out by `drop_limbs` primes) + bias
/// A mask takes out what repeating weights leave beside a feature map: zeros for the padded convolution that reads it, at
/// the price of its scale instead of weights that repeat nowhere.
struct Linear {
  struct Column {
    std::uint32_t input;     ///< index into `inputs`
    std::int32_t rotation;
  };
  struct Output {
    Register out;
    std::vector<std::uint32_t> columns;   ///< indices into Linear::columns
    std::uint32_t giants = 0;
    std::vector<std::int32_t> weights;    ///< [columns.size()][giants], index into `vectors`, -1: zero
    SlotVector bias;                      ///< at out_scale; empty values: none
  };
  std::string name;
  std::vector<Register> inputs;
  std::vector<Column> columns;
  std::int32_t giant_step = 0;
  /// Sums of giant steps are made in rounds: round k makes one of each `giant_fan` neighbours, by Horner's rule with the rotation giant_step * giant_fan^k,
  /// until one is left. 0: a single round of all. The number of key switches is the same for any fan; with a small one only few of them wait for one another, and
  /// those of a round share a key.
  std::uint32_t giant_fan = 0;
  std::vector<Output> outputs;
  std::vector<std::int32_t> rotate_sums;
  std::vector<SlotVector> vectors;        ///< all of one period
  std::vector<SlotVector> masks;          ///< none, or one an output
  std::uint32_t period = 0;
  double weight_scale = 0;                ///< encoding scale of the vectors
  double mask_scale = 0;                  ///< encoding scale of the masks; 0: there are none
  double limit = 0;                       ///< largest |real or imaginary part| of the outputs (before their masks, too) that scales,
                                          ///< primes and the promised error were chosen for; 0: not stated

  /// The mask of an output; null: there are none.
  [[nodiscard]] const SlotVector* mask(std::size_t output) const {
    return masks.empty() ? nullptr : &masks[output];
  }
};

/// The rotations of a Linear's rounds of giant steps, in order; none where no output has two of them. Those of a valid program are rotations of its ring.
std::vector<std::int64_t> giant_rotations(const Linear& linear);
/// How many of its key switches for giant steps wait for one another.
std::uint64_t giant_depth(const Linear& linear);

/// One step with its place in the modulus chain and its scales.
struct Instruction {
  std::variant<Split, Square, Combine, Linear, Drop, Add, Raise> op;
  std::string layer;               ///< the model's layer this belongs to, for profiles
  std::uint32_t limbs_in = 0;      ///< ciphertext limbs of the inputs
  std::uint32_t limbs_out = 0;     ///< fewer only for Linear (the rescale) and Drop, more only for Raise
  double scale_in = 0;             ///< of the inputs' messages
  double scale_out = 0;
};

/// Where one number of the model's input or output lives.
struct Place {
  std::uint32_t index;        ///< flat index in the tensor (C, H, W order)
  std::uint32_t ciphertext;
  std::uint32_t slot;
  std::uint32_t part;         ///< 0 real, 1 imaginary
};

/// The client's half: how a tensor becomes slots and back. Slots not named are zero.
struct TensorMap {
  std::uint32_t channels = 0, height = 0, width = 0;
  std::uint32_t ciphertexts = 0;
  std::uint32_t parts = 1;
  std::vector<Place> places;
  std::uint32_t limbs = 0;
  double scale = 0;
  double bound = 0;           ///< largest |value| promised (inputs) or expected (outputs)
};

/// Parameters by value (see ckks::ParameterSpec for their meaning).
struct ParameterChoice {
  std::uint32_t ring_degree = 0;
  std::vector<std::uint32_t> q, p;
  std::uint32_t digit_limbs = 0;
};

/// One evaluation key that the program uses: rotation steps (conjugation and relinearisation are flagged) and the
/// largest limb count at which it is used.
struct KeyUse {
  enum class Kind : std::uint8_t { kRotation, kConjugation, kRelinearisation };
  Kind kind = Kind::kRotation;
  std::int32_t rotation = 0;
  std::uint32_t limbs = 0;
  bool operator==(const KeyUse&) const = default;
};

struct Program {
  std::string model_name;
  std::string profile;
  ParameterChoice parameters;
  TensorMap input, output;
  std::uint32_t register_count = 0;           ///< input ciphertexts are registers 0..input.ciphertexts-1
  std::vector<Instruction> instructions;
  std::vector<Register> output_registers;
  std::vector<KeyUse> keys;                   ///< the key manifest, made by collect_keys()
  double error_bound = 0;                     ///< promised largest |encrypted - clear| logit, absolute
  double error_estimate = 0;                  ///< predicted rms of that difference
};

/// The key manifest: every rotation, conjugation and relinearisation the instructions make, at its largest limb count,
/// ordered by kind and rotation.
std::vector<KeyUse> collect_keys(const Program& program);

/// What a program costs, counted from its instructions.
struct Cost {
  std::uint64_t hoisted_rotations = 0;   ///< inner products on shared digits, no ModDown
  std::uint64_t key_switches = 0;        ///< full ones: ModUp, inner product (ModDown counted apart)
  std::uint64_t plaintext_macs = 0;      ///< weight vector times lifted ciphertext
  std::uint64_t squarings = 0;
  std::uint64_t word_macs = 0;           ///< word multiply-accumulates in plaintext MACs
  std::uint64_t ntts = 0;                ///< limb NTTs, both directions
  std::uint64_t weight_bytes = 0;        ///< encoded weights in memory
};
Cost count_cost(const Program& program, const Instruction& instruction);

/// Checks that a program is well-formed: registers written before read, forms match, limbs grow in a Raise alone, rotations and
/// indices in range, vectors of the stated period, sizes below limits. Everything that comes from outside passes here.
Status validate(const Program& program);

}  // namespace brainlock::plan
