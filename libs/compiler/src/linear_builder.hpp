// Collects the weights of one linear layer, output by output, and writes them out as a plan::Linear.
//
// A weight is a value that a slot of an output takes from a slot of an input some shift away. Shifts split into baby steps
// (columns, rotated once for all outputs) and giant steps (rotations of sums): shift = giant * babies + baby.
#pragma once

#include <complex>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "brainlock/plan/program.hpp"
#include "slot_sums.hpp"

namespace brainlock::compiler {

class LinearBuilder {
 public:
  /// Vectors repeat every `period` slots (a power of two, as `slots` is; == slots: kept sparse). `babies`: baby steps to a giant step.
  LinearBuilder(std::int64_t slots, std::int64_t period, std::int64_t babies, int outputs)
      : slots_(slots), period_(period), babies_(babies), terms_(static_cast<std::size_t>(outputs)) {}

  /// Index of a lifted register among the layer's inputs.
  std::uint32_t input(plan::Register r);

  /// The value that slot t of `output` takes from slot t + shift of `input`, for every t of the class t = slot (mod period).
  /// Values of one place add up.
  void add(int output, std::uint32_t input, std::int64_t shift, std::int64_t slot, std::complex<double> value);

  /// Where one weight stands several times, as a convolution's does at every position of its map: the same slots for many weights.
  struct Pattern {
    std::uint32_t index = 0;
  };
  Pattern pattern(std::span<const std::int64_t> slots);
  /// add() at every slot of the pattern, each as far on as `slot` says. Of sparse vectors alone.
  void add(int output, std::uint32_t input, std::int64_t shift, std::int64_t slot, Pattern pattern, std::complex<double> value);

  /// Only says that there will be terms with shifts first..last: enough to count the cost.
  void expect(int output, std::uint32_t input, std::int64_t first, std::int64_t last);

  /// Least giant of all outputs: the result is found that many baby spans lower than the slots that add() names.
  [[nodiscard]] std::int64_t lowest_giant() const;

  /// Columns by (input, baby), terms by giant and column; no name, bias or scale yet. The same for any number of threads.
  [[nodiscard]] plan::Linear build(const std::vector<plan::Register>& outputs, unsigned threads = 1) const;

 private:
  static constexpr std::uint32_t kNoPattern = UINT32_MAX;
  /// One weight at a slot, or at those of a pattern that begins there.
  struct Entry {
    std::uint32_t pattern, slot;
    std::complex<double> value;
  };
  struct Vector {
    bool used = false;
    std::vector<std::complex<double>> dense;
    std::vector<Entry> sparse;
  };
  /// The vectors of one output and input, by shift.
  struct Shifts {
    std::vector<Vector> from_zero, below_zero;   // shift s at [s], and at [-1 - s]

    Vector& at(std::int64_t shift);
    template <typename Visit>
    void visit(Visit&& call) const {   // in ascending order
      for (std::size_t i = below_zero.size(); i-- > 0;)
        if (below_zero[i].used) call(-1 - static_cast<std::int64_t>(i), below_zero[i]);
      for (std::size_t i = 0; i < from_zero.size(); ++i)
        if (from_zero[i].used) call(static_cast<std::int64_t>(i), from_zero[i]);
    }
  };

  Vector& term(int output, std::uint32_t input, std::int64_t shift);
  /// Place of a term's column in a table of all (input, baby).
  [[nodiscard]] std::size_t place(std::size_t input, std::int64_t shift) const;
  /// The slot of a vector before its giant rotation: that is how it is kept.
  [[nodiscard]] std::int64_t before_giant(std::int64_t slot, std::int64_t shift) const;
  /// Appends the vectors of output j to `vectors`; the columns of `linear` are complete.
  plan::Linear::Output build_output(std::size_t j, std::int64_t lowest, const std::vector<std::int64_t>& column_of, const plan::Linear& linear,
                                    std::vector<const Vector*>& vectors) const;
  [[nodiscard]] plan::SlotVector to_slot_vector(const Vector& vector, SlotSums& sums) const;

  std::int64_t slots_, period_, babies_;
  std::vector<std::vector<std::uint32_t>> patterns_;   // slots, reduced
  std::vector<plan::Register> inputs_;
  std::map<plan::Register, std::uint32_t> input_index_;
  std::vector<std::vector<Shifts>> terms_;   // [output][input]
};

}  // namespace brainlock::compiler
