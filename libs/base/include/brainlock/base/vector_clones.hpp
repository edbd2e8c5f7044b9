// One function, compiled for the processors at hand.
#pragma once

/// Before a function with plain loops over neighbouring numbers: the compiler makes it for AVX2 too, and the loader chooses. Without
/// fused multiply-add, so the results are the same to the last bit. Nothing where the compiler or a sanitizer does not take part.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define BRAINLOCK_VECTOR_CLONES [[gnu::target_clones("avx2", "default")]]
#else
#define BRAINLOCK_VECTOR_CLONES
#endif
