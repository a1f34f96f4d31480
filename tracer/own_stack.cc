#include "tracer/own_stack.h"

#include <atomic>
#include <cstddef>

#include "base/pages.h"

namespace allocline {
namespace {

constexpr size_t kBytes = 64 << 10, kUsualBytes = 12 << 10;  // more than that is not touched
std::atomic<uint64_t> g_stacks{0};

}  // namespace

#if defined(__x86_64__)
// It keeps the stack pointer in rbp, like any function with a frame of variable size.
__attribute__((naked, noinline)) void CallOnStack(void (*)(void* argument), void* /*argument*/, void* /*top*/) {
  asm("push %rbp\n\t"
      ".cfi_def_cfa_offset 16\n\t"
      ".cfi_offset %rbp, -16\n\t"
      "mov %rsp, %rbp\n\t"
      ".cfi_def_cfa_register %rbp\n\t"
      "mov %rdx, %rsp\n\t"
      "mov %rdi, %rax\n\t"
      "mov %rsi, %rdi\n\t"
      "call *%rax\n\t"
      "leave\n\t"
      ".cfi_def_cfa %rsp, 8\n\t"
      ".cfi_restore %rbp\n\t"
      "ret");
}
#else
void CallOnStack(void (*function)(void* argument), void* argument, void*) { function(argument); }
#endif

void* OwnStack::Map() {
  auto* pages = static_cast<std::byte*>(MapPages(kBytes));
  if (pages == nullptr) return nullptr;
  sys::Call(SYS_mprotect, reinterpret_cast<long>(pages), static_cast<long>(kPage), PROT_NONE);
  g_stacks.fetch_add(1, std::memory_order_relaxed);
  return top_ = pages + kBytes;
}

uint64_t OwnStack::private_bytes() { return g_stacks.load(std::memory_order_relaxed) * kUsualBytes; }

void OwnStack::ForgetAll() { g_stacks.store(0, std::memory_order_relaxed); }

}  // namespace allocline
