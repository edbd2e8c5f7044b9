#include "kernel_cost.hpp"

#include <algorithm>

#include "kernels/arguments.hpp"

namespace brainlock::device_cuda {
namespace {

using Count = std::uint64_t;

// Instructions of 32-bit integer lanes. A product of words added to a sum of 64 bits runs at half rate, so it counts twice.
constexpr Count kButterfly = 10;     // Shoup product, sum, difference, one conditional subtraction
constexpr Count kMultiplyAdd = 2;
constexpr Count kReduce = 6;         // Montgomery: two products, a sum, a conditional subtraction
constexpr Count kScale = 5;          // Shoup product, fully reduced
constexpr Count kAdd = 2;            // sum and conditional subtraction
constexpr Count kPermute = 12;       // index under an automorphism

/// Words loaded and stored, and operations, for each word of a limb: times the ring degree at the end.
struct Rows {
  Count words = 0, operations = 0;
};

/// Rows of one job that a transform does not leave out.
Count transform_rows(const gpu::NttArguments& a, unsigned rows) {
  if (a.rows.skip_own == 0) return rows;
  Count taken = 0;
  for (unsigned row = 0; row < rows; ++row) {
    const gpu::Word limb = a.rows.first + row / a.rows.pieces;
    taken += limb >= a.rows.limbs || limb / a.ring.digit_limbs != row % a.rows.pieces ? 1 : 0;
  }
  return taken;
}

Rows cost(const gpu::NttArguments& a, const gpu::Launch& launch) {
  const Count rows = transform_rows(a, launch.grid[1]);
  const gpu::TransformShape shape = gpu::transform_shape(a.ring.log_degree);
  using gpu::Kernel;
  const bool columns = launch.kernel == Kernel::kNttForwardColumns || launch.kernel == Kernel::kNttInverseColumns;
  const bool whole = launch.kernel == Kernel::kNttForwardCluster || launch.kernel == Kernel::kNttInverseCluster;
  const bool ends_inverse = launch.kernel == Kernel::kNttInverseColumns || launch.kernel == Kernel::kNttInverseCluster;
  const bool ends_forward = launch.kernel == Kernel::kNttForwardRows || launch.kernel == Kernel::kNttForwardCluster;
  const Count stages = whole ? a.ring.log_degree : columns ? shape.column_stages : shape.row_stages;
  Rows out;
  for (unsigned j = 0; j < launch.grid[2]; ++j) {
    out.words += 2 * rows;
    out.operations += rows * stages * kButterfly / 2;
    if (ends_inverse) out.operations += rows * kScale;
    if (ends_forward && a.jobs[j].minuend != nullptr) {
      out.words += rows * (a.jobs[j].addend != nullptr ? 2 : 1);
      out.operations += rows * (kScale + kAdd + (a.jobs[j].addend != nullptr ? kAdd : 0));
    }
  }
  return out;
}

Rows cost(const gpu::ConvertDigitsArguments& a, const gpu::Launch& launch) {
  const Count rows = a.limbs + a.ring.p_count;
  Rows out;
  for (unsigned j = 0; j < launch.grid[2]; ++j) {
    out.words += a.digits * rows;   // of the sources each limb once, of the results all but those
    for (gpu::Word d = 0; d < a.digits; ++d) {
      const Count sources = std::min(a.ring.digit_limbs, a.limbs - d * a.ring.digit_limbs);
      out.operations += (rows - sources) * ((sources + 1) * kMultiplyAdd + kReduce);
    }
  }
  return out;
}

Rows cost(const gpu::DivideDigitsArguments& a, const gpu::Launch& launch) {
  Rows out = cost(a.digits, launch);
  // Each digit reads the special limbs; own limbs are divided and stored.
  const Count limbs = a.digits.limbs, specials = a.by_p.sources, jobs = launch.grid[2];
  out.words += jobs * (a.digits.digits * specials + limbs);
  out.operations += jobs * limbs * ((specials + 1) * kMultiplyAdd + kReduce + kAdd + 2 * kScale);
  return out;
}

Rows cost(const gpu::ConvertArguments& a, const gpu::Launch& launch) {
  const Count sources = a.table.sources, targets = a.table.targets;
  return {(sources + targets) * launch.grid[2], targets * ((sources + 1) * kMultiplyAdd + kReduce) * launch.grid[2]};
}

Rows cost(const gpu::PlaceArguments& a, const gpu::Launch& launch) {
  const Count rows = a.limbs + a.ring.p_count;
  Rows out;
  for (unsigned j = 0; j < launch.grid[2]; ++j) {
    const bool lifted = a.jobs[j].lifted != 0;
    if (!lifted) out.words += 2 * a.limbs;
    if (a.jobs[j].c0 == nullptr) continue;
    out.words += rows + (lifted ? rows : a.limbs);
    if (!lifted) out.operations += a.limbs * kScale;
  }
  return out;
}

Rows cost(const gpu::SwitchArguments& a, const gpu::Launch& launch) {
  const Count rows = a.limbs + a.ring.p_count;
  Rows out;
  for (unsigned j = 0; j < launch.grid[1]; ++j) {
    const gpu::SwitchJob& job = a.jobs[j];
    const bool new_key = std::none_of(a.jobs, a.jobs + j, [&](const gpu::SwitchJob& before) { return before.key == job.key; });
    out.words += rows * ((new_key ? 3 : 1) * a.digits + 2);
    out.operations += rows * (2 * a.digits * kMultiplyAdd + 2 * kReduce + (job.galois_element != 0 ? kPermute : 0));
    const Count addend = job.addend_kind == gpu::kPlainAddend ? rows : job.addend_kind == gpu::kTimesP ? a.limbs : 0;
    out.words += addend;
    out.operations += addend * (kAdd + (job.addend_kind == gpu::kTimesP ? kScale : 0));
    const Count base = job.base0 != nullptr ? std::min<Count>(job.base_limbs, rows) : 0;
    out.words += 2 * base;
    out.operations += 2 * base * kAdd;
  }
  return out;
}

Rows cost(const gpu::AddArguments& a, const gpu::Launch& launch) {
  Rows out;
  for (unsigned j = 0; j < launch.grid[2]; ++j) {
    out.words += launch.grid[1] * (a.jobs[j].b == nullptr ? 2 : 3);
    out.operations += a.jobs[j].b == nullptr ? 0 : launch.grid[1] * kAdd;
  }
  return out;
}

Rows cost(const gpu::SquareArguments& a, const gpu::Launch& launch) {
  Rows out;
  for (unsigned j = 0; j < launch.grid[2]; ++j) {
    const bool combined = a.jobs[j].zbar0 != nullptr;
    out.words += launch.grid[1] * (combined ? 7 : 5);
    out.operations += launch.grid[1] * (3 * (kMultiplyAdd + kReduce + kScale) + kAdd + (combined ? 2 * kAdd : 0));
  }
  return out;
}

/// Columns of one limb, without where they go.
Rows columns(const gpu::LinearWork& w, Count digits) {
  return {w.key_loads * 2 * digits + w.uses * (digits + 1), w.key_loads * kPermute + w.uses * (2 * digits * kMultiplyAdd + 2 * kReduce + kAdd)};
}

Rows cost(const gpu::RotateArguments& a, const gpu::Launch& launch) {
  const Rows made = columns(launch.linear, a.digits);
  return {launch.grid[1] * (made.words + 2 * launch.linear.uses), launch.grid[1] * made.operations};
}

template <typename Arguments>
const Arguments& arguments(const gpu::Launch& launch) {
  return *static_cast<const Arguments*>(launch.arguments);
}

KernelCost times(const Rows& rows, gpu::Word log_degree) {
  return {(rows.words << log_degree) * sizeof(gpu::Word), rows.operations << log_degree};
}

template <typename Arguments>
KernelCost whole(const gpu::Launch& launch) {
  const auto& a = arguments<Arguments>(launch);
  return times(cost(a, launch), a.ring.log_degree);
}

/// Products and sums of `limbs` limbs; `columns`: column words loaded and computed.
KernelCost weights(const gpu::LinearWork& w, Count limbs, const Rows& columns, gpu::Word log_degree) {
  KernelCost out = times({limbs * (columns.words + 2 * w.giants), limbs * (columns.operations + 2 * (w.products * kMultiplyAdd + w.giants * kReduce))},
                         log_degree);
  out.memory_bytes += limbs * w.weight_words * sizeof(gpu::Word);
  return out;
}

KernelCost linear_layer(const gpu::Launch& launch) {
  const auto& a = arguments<gpu::LinearArguments>(launch);
  Rows made = columns(launch.linear, a.digits);
  made.words += 2 * launch.linear.plain_columns;
  // Each block of giant tiles makes the columns anew.
  return weights(launch.linear, launch.grid[1], {made.words * launch.grid[2], made.operations * launch.grid[2]}, a.ring.log_degree);
}

KernelCost full_weights(const gpu::Launch& launch) {
  const auto& a = arguments<gpu::FullWeightArguments>(launch);
  const gpu::LinearWork& w = launch.linear;
  return weights(w, launch.grid[1] / a.most_giants, {2 * (w.uses + w.plain_columns), 0}, a.ring.log_degree);
}

}  // namespace

KernelCost cost_of(const gpu::Launch& launch) {
  using gpu::Kernel;
  const Count jobs = launch.grid[2], rows = launch.grid[1];
  switch (launch.kernel) {
    case Kernel::kNttForwardColumns:
    case Kernel::kNttForwardRows:
    case Kernel::kNttInverseRows:
    case Kernel::kNttInverseColumns:
    case Kernel::kNttForwardCluster:
    case Kernel::kNttInverseCluster: return whole<gpu::NttArguments>(launch);
    case Kernel::kConvertDigits: return whole<gpu::ConvertDigitsArguments>(launch);
    case Kernel::kDivideDigits: {
      const auto& a = arguments<gpu::DivideDigitsArguments>(launch);
      return times(cost(a, launch), a.digits.ring.log_degree);
    }
    case Kernel::kConvertBasis: return whole<gpu::ConvertArguments>(launch);
    case Kernel::kPrepareKeys: return times({2 * jobs, jobs * (kScale + kPermute)}, arguments<gpu::PrepareKeysArguments>(launch).ring.log_degree);
    case Kernel::kPlaceDigits: return whole<gpu::PlaceArguments>(launch);
    case Kernel::kSwitchKeys: return whole<gpu::SwitchArguments>(launch);
    case Kernel::kLift: {
      const auto& a = arguments<gpu::LiftArguments>(launch);
      return times({jobs * (a.limbs + rows), jobs * a.limbs * kScale}, a.ring.log_degree);
    }
    case Kernel::kAdd: return whole<gpu::AddArguments>(launch);
    case Kernel::kMultiply:
      return times({3 * jobs * rows, jobs * rows * (kMultiplyAdd + kReduce + kScale)}, arguments<gpu::MultiplyArguments>(launch).ring.log_degree);
    case Kernel::kSplitParts: {
      const auto& a = arguments<gpu::SplitArguments>(launch);
      return times({jobs * (a.limbs + 3 * rows), jobs * (a.limbs * kScale + rows * (2 * kAdd + kScale + 1))}, a.ring.log_degree);
    }
    case Kernel::kTensorSquare: return whole<gpu::SquareArguments>(launch);
    case Kernel::kLinearLayer: return linear_layer(launch);
    case Kernel::kRotateColumns: return whole<gpu::RotateArguments>(launch);
    case Kernel::kWeightColumnsFull: return full_weights(launch);
  }
  return {};
}

}  // namespace brainlock::device_cuda
