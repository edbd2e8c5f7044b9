#include "pooling.hpp"

#include <utility>

namespace brainlock::compiler {
namespace {

using plan::Register;

Error unsupported(std::string message) { return Error{ErrorCode::kUnsupported, std::move(message)}; }

// Sums k neighbours along one axis: whole ciphertexts where the phases allow it, rotations otherwise.
Status pool_axis(int k, bool rows, LiftedTensor& value, Emitter& out) {
  if (k == 1) return {};
  GridLayout& grid = *value.grid;
  int& phases = rows ? grid.fy : grid.fx;
  std::int64_t& stride = rows ? grid.sy : grid.sx;
  GridLayout next = grid;
  const bool by_phase = phases % k == 0;
  if (!by_phase && phases != 1) return unsupported("pool size does not divide the phases of this layout");
  if (by_phase)
    (rows ? next.fy : next.fx) = phases / k;
  else
    (rows ? next.sy : next.sx) = stride * k;

  std::vector<Register> registers(static_cast<std::size_t>(next.ciphertexts()) * static_cast<std::size_t>(next.parts));
  for (int block = 0; block < next.blocks(); ++block)
    for (int a = 0; a < next.fy; ++a)
      for (int b = 0; b < next.fx; ++b)
        for (int part = 0; part < next.parts; ++part) {
          plan::Combine combine;
          for (int i = 0; i < k; ++i) {
            const int aa = by_phase && rows ? a * k + i : a;
            const int bb = by_phase && !rows ? b * k + i : b;
            combine.terms.push_back({value.reg(grid.ciphertext(block, aa, bb), part),
                                     by_phase ? 0 : static_cast<std::int32_t>(i * stride)});
          }
          combine.out = out.fresh();
          const int at = next.ciphertext(block, a, b) * next.parts + part;
          registers[static_cast<std::size_t>(at)] = combine.out;
          out.emit(std::move(combine));
        }
  value.registers = std::move(registers);
  grid = next;
  return {};
}

}  // namespace

Status lower_pool(const PoolParams& pool, LiftedTensor& value, Emitter& out) {
  if (!value.grid) return unsupported("a pool needs a feature map");
  BRAINLOCK_TRY(pool_axis(pool.kernel_h, /*rows=*/true, value, out));
  BRAINLOCK_TRY(pool_axis(pool.kernel_w, /*rows=*/false, value, out));
  GridLayout& grid = *value.grid;
  grid.shape.height /= pool.kernel_h;
  grid.shape.width /= pool.kernel_w;
  for (double& f : value.factor) f *= pool.kernel_h * pool.kernel_w;
  return {};
}

}  // namespace brainlock::compiler
