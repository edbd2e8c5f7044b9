// WebAssembly's SIMD, for what clients compute with; a module has the rest in scalar form, and every template would
// double its size. Builds for processors have nothing of it.
#ifdef __wasm_simd128__

#include "kernels/kernel_table.hpp"
#include "kernels/vector_wasm.hpp"

namespace brainlock::math::detail {

const Kernels& wasm_kernels() {
  using Vector = VectorKernels<Simd128, Simd128>;
  static const Kernels table = [] {
    Kernels made = kScalarKernels;
    made.name = "simd128";
    made.ntt_forward = Vector::ntt_forward;
    made.ntt_inverse = Vector::ntt_inverse;
    made.add = Vector::add;
    made.sub = Vector::sub;
    made.mul = Vector::mul;
    made.mul_add = Vector::mul_add;
    made.mul_scalar = Vector::mul_scalar;
    made.permute = Vector::permute;
    return made;
  }();
  return table;
}

}  // namespace brainlock::math::detail

#endif
