#include "machine/ptx_grid.hpp"

#include <cstring>
#include <numeric>

namespace brainlock::device_cuda::machine {
namespace {

/// Upwards, downwards, by a stride, or one lane of every warp after the other.
void arrange(std::vector<unsigned>& order, unsigned number) {
  const auto threads = static_cast<unsigned>(order.size());
  std::iota(order.begin(), order.end(), 0U);
  if (threads % 32 != 0 || number % 4 == 0) return;
  for (unsigned i = 0; i < threads; ++i) {
    order[i] = number % 4 == 1   ? threads - 1 - i
               : number % 4 == 2 ? i % (threads / 32) * 32 + (i / (threads / 32) + number) % 32
                                 : (i + number * 17) % threads;
  }
}

}  // namespace

void GridRunner::run(const Code& code, const GridShape& shape, const void* parameters) {
  code_ = &code;
  shape_ = &shape;
  last_ = nullptr;
  threads_ = shape.block[0] * shape.block[1] * shape.block[2];
  parameters_.assign((code.parameter_bytes + 3) / 4, 0);
  if (code.parameter_bytes != 0) std::memcpy(parameters_.data(), parameters, code.parameter_bytes);
  blocks_.resize(shape.cluster);
  thread_.resize(std::size_t{shape.cluster} * threads_);
  slots_.resize(thread_.size() * code.slots);
  order_.begin_launch();
  const unsigned clusters = shape.grid[0] / shape.cluster * shape.grid[1] * shape.grid[2];
  for (unsigned number = 0; number < clusters; ++number) run_cluster(number);
}

void GridRunner::run_cluster(unsigned number) {
  order_.begin_cluster();
  arrivals_ = 0;
  const unsigned count = shape_->cluster;
  for (unsigned b = 0; b < count; ++b) {
    blocks_[b].number = b;
    begin_block(blocks_[b], number * count + b);
  }
  for (std::size_t ended = 0; ended < count;) {
    bool went_on = false;
    for (unsigned i = 0; i < count; ++i) {
      Block& block = blocks_[(number + i) % count];
      if (block.ended || !may_go_on(block)) continue;
      went_on = true;
      run_block(block);
      ended += block.ended ? 1 : 0;
    }
    if (!went_on) fail(FaultKind::kNeverEnds, code_->name + ": a cluster's barrier was not reached by all blocks");
  }
}

void GridRunner::begin_block(Block& block, unsigned number) {
  const unsigned x_blocks = shape_->grid[0];
  block.place[0] = number % x_blocks;
  block.place[1] = number / x_blocks % shape_->grid[1];
  block.place[2] = number / x_blocks / shape_->grid[1];
  block.barriers = block.waits = 0;
  block.ended = false;
  std::memset(block.last_look, 0, sizeof(block.last_look));
  // Noise, and what earlier blocks left: the shadow tells whether a word is this block's.
  const std::size_t words = (shape_->shared_bytes + 3) / 4;
  if (block.shared.size() != words) {
    block.shared.assign(words, 0xa5a5a5a5u);
    block.shadow.assign(words, Shadow{});
  }
  if (block.order.size() != threads_) block.order.resize(threads_);
  arrange(block.order, number);
  for (unsigned t = 0; t < threads_; ++t) {
    Thread& thread = thread_[std::size_t{block.number} * threads_ + t];
    thread = {slots_.data() + (std::size_t{block.number} * threads_ + t) * code_->slots, 0, 0, 0, false, limit_};
    preset(block, t, thread.slots);
    for (std::size_t flag = code_->first_flag; flag < code_->slots; ++flag) thread.slots[flag] = 0;
  }
}

void GridRunner::preset(const Block& block, unsigned thread, std::uint32_t* slots) const {
  const unsigned* const size = shape_->block;
  const unsigned values[] = {0,
                             thread % size[0],
                             thread / size[0] % size[1],
                             thread / size[0] / size[1],
                             size[0],
                             size[1],
                             size[2],
                             block.place[0],
                             block.place[1],
                             block.place[2],
                             shape_->grid[0],
                             shape_->grid[1],
                             shape_->grid[2]};
  for (const Preset& p : code_->presets)
    *slots++ = p.kind == Special::kConstant ? p.value : values[static_cast<int>(p.kind)];
}

/// Until it ends, or waits for another block.
void GridRunner::run_block(Block& block) {
  do {
    Stop first = Stop::kEnd;
    unsigned first_barrier = 0;
    warp_at_.assign((threads_ + 31) / 32, 0);
    for (std::size_t i = 0; i < block.order.size(); ++i) {
      const unsigned t = block.order[i];
      const Stop stop = run_thread(block, t);
      const Thread& thread = thread_[std::size_t{block.number} * threads_ + t];
      if (i == 0) first = stop;
      if (i == 0) first_barrier = thread.barrier;
      if (stop != first || (stop == Stop::kBarrier && thread.barrier != first_barrier)) {
        fail_at({FaultKind::kUndefined, "a barrier that is not reached by all threads of the block"}, block, t,
                thread.next - 1);
      }
      // Warps may come to a barrier at different places, threads of a warp may not.
      std::uint32_t& at = warp_at_[t / 32];
      if (stop != Stop::kEnd && at != 0 && at != thread.next) {
        fail_at({FaultKind::kUndefined, "a barrier that the threads of a warp reach at different places"}, block, t,
                thread.next - 1);
      }
      at = thread.next;
    }
    if (first == Stop::kBarrier) ++block.barriers;
    if (first == Stop::kClusterWait) ++block.waits;
    block.ended = first == Stop::kEnd;
  } while (!block.ended && may_go_on(block));
  if (!block.ended) return;
  const std::uint32_t now = order_.time(block.number, block.barriers, block.waits, block.waits);
  for (unsigned t = 0; t < threads_; ++t) {
    if (thread_[std::size_t{block.number} * threads_ + t].arrivals != block.waits)
      fail(FaultKind::kUndefined, code_->name + ": the end between the halves of a cluster's barrier");
  }
  for (const std::uint32_t look : block.last_look) {
    if (look != 0 && !order_.is_over(look, now))
      fail(FaultKind::kUndefined, code_->name + ": a block may end while another one looks into its shared memory");
  }
}

void GridRunner::fail_at(const Fault& fault, const Block& block, unsigned thread, std::size_t instruction,
                         const std::uint32_t* slots) const {
  std::string text = code_->name + ", block (" + std::to_string(block.place[0]) + ", " +
                     std::to_string(block.place[1]) + ", " + std::to_string(block.place[2]) + "), thread " +
                     std::to_string(thread) + ", " + code_->where(instruction) + ": " + fault.what();
  const SlotUse use = use_of(code_->instructions[instruction]);
  for (unsigned r = 0; slots != nullptr && r < use.read_count; ++r)
    text += (r == 0 ? " (reads, by words: " : ", ") + std::to_string(slots[use.reads[r]]);
  throw Fault(fault.kind, text + (slots != nullptr && use.read_count != 0 ? ")" : ""));
}

GridRunner::Words GridRunner::global(std::uint64_t address, unsigned bytes) {
  if (last_ == nullptr || address - last_->begin > last_->bytes || bytes > last_->bytes - (address - last_->begin))
    last_ = memory_.find(address, bytes);
  if (last_ == nullptr) fail(FaultKind::kIllegalAddress, "an address out of bounds");
  const std::size_t at = (address - last_->begin) / 4;
  return {last_->words + at, last_->shadow + at};
}

GridRunner::Words GridRunner::shared(Block& block, std::uint32_t address, unsigned bytes) {
  const std::uint32_t at = address - kSharedBegin;
  if (at >= shape_->shared_bytes || bytes > shape_->shared_bytes - at)
    fail(FaultKind::kIllegalAddress, "an address outside of the block's shared memory");
  return {block.shared.data() + at / 4, block.shadow.data() + at / 4};
}

GridRunner::Words GridRunner::cluster(const Block& from, std::uint32_t address, unsigned bytes, std::uint32_t now,
                                      Block*& of) {
  const unsigned number = address >> kLogClusterWindow;
  const unsigned target = number == 0 ? from.number : number - 1;
  if (target >= blocks_.size())
    fail(FaultKind::kIllegalAddress, "an address of a block that the cluster does not have");
  of = &blocks_[target];
  if (target != from.number) {
    if (of->ended) fail(FaultKind::kUndefined, "a look into a block that has ended");
    if (order_.waits_at(now) == 0) fail(FaultKind::kUndefined, "a look into a block that may not have begun");
    of->last_look[from.number] = now;
  }
  return shared(*of, address & ((1u << kLogClusterWindow) - 1), bytes);
}

}  // namespace brainlock::device_cuda::machine
