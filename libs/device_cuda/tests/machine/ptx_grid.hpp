// Runs a grid of blocks. Threads of a block run one after the other up to where they wait for each other, in an order
// that differs from block to block; blocks of a cluster run each as far as it can get alone. A device runs them at the
// same time: what it might do otherwise because of that is what access_order.hpp finds. Everything that a kernel must
// not do ends it with a Fault that names the instruction.
#pragma once

#include <cstdint>
#include <vector>

#include "machine/access_order.hpp"
#include "machine/global_memory.hpp"
#include "machine/ptx_code.hpp"

namespace brainlock::device_cuda::machine {

struct GridShape {
  unsigned grid[3] = {1, 1, 1};
  unsigned block[3] = {1, 1, 1};
  unsigned cluster = 1;  ///< blocks, neighbours along x
  std::size_t shared_bytes = 0;
  bool early = false;  ///< it may be started before the launch before it has ended
};

class GridRunner {
 public:
  explicit GridRunner(GlobalMemory& memory) : memory_(memory) {}

  /// Throws Fault. `parameters` has as many bytes as the kernel says.
  void run(const Code& code, const GridShape& shape, const void* parameters);
  AccessOrder& order() { return order_; }
  std::uint64_t instructions() const { return instructions_; }
  /// A thread may execute so many in one launch.
  void set_limit(std::uint64_t instructions) { limit_ = instructions; }

 private:
  enum class Stop { kBarrier, kClusterWait, kEnd };
  struct Thread {
    std::uint32_t* slots;
    std::uint32_t next;  ///< instruction
    unsigned barrier;    ///< the number of the one that it waits at
    unsigned arrivals;   ///< at the cluster's barrier
    bool waited;         ///< for earlier launches
    std::uint64_t left;  ///< instructions that it may still execute
  };
  struct Block {
    unsigned number = 0, place[3] = {};  ///< in the cluster; in the grid
    unsigned barriers = 0, waits = 0;    ///< that its threads have passed
    bool ended = false;
    std::vector<std::uint32_t> shared;
    std::vector<Shadow> shadow;
    std::vector<unsigned> order;
    std::uint32_t last_look[8] = {};  ///< of each block of the cluster into this one's shared memory; 0: none
  };

  void run_cluster(unsigned number);
  void begin_block(Block& block, unsigned number);
  void run_block(Block& block);
  Stop run_thread(Block& block, unsigned thread);  // ptx_thread.cpp
  void preset(const Block& block, unsigned thread, std::uint32_t* slots) const;
  bool may_go_on(const Block& block) const {
    return arrivals_ >= std::uint64_t{block.waits} * threads_ * blocks_.size();
  }
  [[noreturn]] static void fail(FaultKind kind, const std::string& what) { throw Fault(kind, what); }
  /// `slots`: the thread's, to say what the instruction reads.
  [[noreturn]] void fail_at(const Fault& fault, const Block& block, unsigned thread, std::size_t instruction,
                            const std::uint32_t* slots = nullptr) const;

  // For ptx_thread.cpp: addresses to words.
  struct Words {
    std::uint32_t* words;
    Shadow* shadow;
  };
  Words global(std::uint64_t address, unsigned bytes);
  Words shared(Block& block, std::uint32_t address, unsigned bytes);
  Words cluster(const Block& from, std::uint32_t address, unsigned bytes, std::uint32_t now, Block*& of);

  GlobalMemory& memory_;
  const GlobalMemory::Allocation* last_ = nullptr;  ///< that was looked at; most accesses go there again
  AccessOrder order_;
  const Code* code_ = nullptr;
  const GridShape* shape_ = nullptr;
  std::vector<std::uint32_t> parameters_;
  unsigned threads_ = 0;
  std::vector<Thread> thread_;  ///< [block of the cluster][thread]
  std::vector<std::uint32_t> slots_;
  std::vector<Block> blocks_;
  std::vector<std::uint32_t> warp_at_;  ///< where each warp's threads have stopped
  std::uint64_t arrivals_ = 0;          ///< of all threads of the cluster
  std::uint64_t instructions_ = 0, limit_ = std::uint64_t{1} << 32;
};

}  // namespace brainlock::device_cuda::machine
