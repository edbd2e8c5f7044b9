// How the kernel templates are compiled.
#pragma once

#ifndef BRAINLOCK_EMULATE_SIMD
#define BRAINLOCK_INLINE [[gnu::always_inline]] inline
#else
#define BRAINLOCK_INLINE [[gnu::noinline]] inline  // a test: compile time counts, run time does not
#endif
