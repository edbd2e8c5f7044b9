// Debian's arithmetic for integers of 128 bits was compiled with guards on its stack, which its C library does not
// have. A wrong guard ends the module.
#include <cstdint>

extern "C" {
std::uintptr_t __stack_chk_guard = 0x62726c6b;  // NOLINT: the compiler's names
void __stack_chk_fail() { __builtin_trap(); }   // NOLINT
}
