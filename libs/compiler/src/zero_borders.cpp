#include "zero_borders.hpp"

namespace brainlock::compiler {
namespace {

/// What a stage reads of a map: pools leave out the last rows and columns where their size does not divide the map's.
Extent extent_read(const Stage& stage) {
  Extent e{stage.pooled.height, stage.pooled.width};
  for (const PoolParams& p : stage.pools) e = {e.height * p.kernel_h, e.width * p.kernel_w};
  return e;
}

}  // namespace

ZeroBorders::ZeroBorders(const StagePlan& plan)
    : plan_(plan), borders_(plan.stages.size(), false), read_(plan.stages.size()) {
  for (std::size_t i = plan.stages.size(); i-- > 0;) {
    const Stage& stage = plan.stages[i];
    if (stage.addend >= 0) {
      borders_[static_cast<std::size_t>(stage.addend)] = borders_[i];
      read_[static_cast<std::size_t>(stage.addend)] = read_[i];
    }
    const Extent extent = extent_read(stage);
    for (const int read : stage.reads) {
      Extent& all = read_[static_cast<std::size_t>(read)];
      all = {std::max(all.height, extent.height), std::max(all.width, extent.width)};
      if (stage.needs_zero_border()) borders_[static_cast<std::size_t>(read)] = true;
    }
  }
}

Extent ZeroBorders::counts(std::size_t i) const {
  return borders_[i] ? read_[i] : Extent{plan_.stages[i].out.height, plan_.stages[i].out.width};
}

Status ZeroBorders::check(const Stage& stage) const {
  for (const int read : stage.reads)
    if (read_[static_cast<std::size_t>(read)] != extent_read(stage))
      return Error{ErrorCode::kUnsupported,
                   "a padded convolution reads a pool that leaves out rows or columns which another layer reads: let "
                   "the pool's size divide the map's"};
  return {};
}

}  // namespace brainlock::compiler
