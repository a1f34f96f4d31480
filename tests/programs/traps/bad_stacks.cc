// Allocates from stacks that cannot be followed to their end, one way for each argument:
//
//   jit            machine code written at run time, which nothing describes
//   far            assembly that claims a frame larger than the stack
//   near           assembly that claims a frame smaller than it is, where the address of a function lies
//   lost           assembly that keeps something else in the frame pointer, and says that the caller's is lost
//   garbage        a stack of its own whose outermost return address is no address
//   data           one where it is that of data
//   function       one where it is that of a function nobody called
//   executable     an executable stack, switched to by hand inside a function whose unwind information does not know
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "../truth.h"

static constexpr size_t kStackBytes = 64 << 10;

extern "C" {
__attribute__((used)) void AllocateHere() {
  for (int i = 0; i < 3; ++i) {
    void* block = malloc(100);  // LINE: block 300/3
    Keep(block);
  }
}
__attribute__((used)) void NobodyCallsThis() { Keep("anything"); }

void ClaimsAFarCaller();
void ClaimsANearCaller();
void LosesFramePointer();
void OnStackThatEndsWith(void* top, uintptr_t end);
void* saved_stack;
}

asm(R"(
  .text
  .type ClaimsAFarCaller, @function
ClaimsAFarCaller:
  .cfi_startproc
  sub $8, %rsp
  .cfi_def_cfa_offset 1048000
  call AllocateHere
  add $8, %rsp
  .cfi_def_cfa_offset 8
  ret
  .cfi_endproc
  .size ClaimsAFarCaller, . - ClaimsAFarCaller

  .type ClaimsANearCaller, @function
ClaimsANearCaller:
  .cfi_startproc
  lea NobodyCallsThis(%rip), %rax
  push %rax
  push %rax
  push %rax
  .cfi_def_cfa_offset 24
  call AllocateHere
  add $24, %rsp
  .cfi_def_cfa_offset 8
  ret
  .cfi_endproc
  .size ClaimsANearCaller, . - ClaimsANearCaller

  .type LosesFramePointer, @function
LosesFramePointer:
  .cfi_startproc
  push %rbp
  .cfi_def_cfa_offset 16
  .cfi_undefined %rbp
  mov (%rbp), %rbp
  call AllocateHere
  pop %rbp
  .cfi_def_cfa_offset 8
  .cfi_same_value %rbp
  ret
  .cfi_endproc
  .size LosesFramePointer, . - LosesFramePointer

  .type OnStackThatEndsWith, @function
OnStackThatEndsWith:
  push %rbx
  push %rbp
  mov %rsp, saved_stack(%rip)
  mov %rdi, %rsp
  push %rsi
  jmp Outermost
  .size OnStackThatEndsWith, . - OnStackThatEndsWith

  .type Outermost, @function
Outermost:
  .cfi_startproc
  sub $8, %rsp
  .cfi_def_cfa_offset 16
  call AllocateHere
  mov saved_stack(%rip), %rsp
  pop %rbp
  pop %rbx
  ret
  .cfi_endproc
  .size Outermost, . - Outermost
)");

static char* Map(size_t bytes, int protection) {
  void* memory = mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  return static_cast<char*>(memory);
}

static NEVER_INLINE void EndsWith(uintptr_t end) {
  OnStackThatEndsWith(Map(kStackBytes, PROT_READ | PROT_WRITE) + kStackBytes - 64, end);
  Keep(&end);
}

// Two frames that are found by the frame pointer alone. LosesFramePointer() has the outer one's where the inner one's
// is looked for.
static NEVER_INLINE void HasFramePointer(size_t bytes) {
  void* room = __builtin_alloca(bytes);
  Keep(room);
  LosesFramePointer();
  Keep(room);
}
static NEVER_INLINE void HasFramePointerToo(size_t bytes) {
  void* room = __builtin_alloca(bytes);
  Keep(room);
  HasFramePointer(bytes);
  Keep(room);
}

static NEVER_INLINE void Generated() {
  char* code = Map(4096, PROT_READ | PROT_WRITE | PROT_EXEC);
  const unsigned char start[] = {0x48, 0x83, 0xec, 0x08, 0x48, 0xb8};      // sub $8, %rsp; mov $..., %rax
  const unsigned char end[] = {0xff, 0xd0, 0x48, 0x83, 0xc4, 0x08, 0xc3};  // call *%rax; add $8, %rsp; ret
  const auto target = reinterpret_cast<uintptr_t>(&AllocateHere);
  memcpy(code, start, sizeof start);
  memcpy(code + sizeof start, &target, sizeof target);
  memcpy(code + sizeof start + sizeof target, end, sizeof end);
  reinterpret_cast<void (*)()>(code)();
  Keep(code);
}

static NEVER_INLINE void OnExecutableStack() {
  char* stack = Map(kStackBytes, PROT_READ | PROT_WRITE | PROT_EXEC) + kStackBytes - 64;
  asm volatile(
      "mov %%rsp, %%rbx\n\t"
      "mov %0, %%rsp\n\t"
      "call AllocateHere\n\t"
      "mov %%rbx, %%rsp"
      :
      : "r"(stack)
      : "rbx", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "cc", "memory");
  Keep(stack);
}

int main(int argc, char** argv) {
  static const char data[] = "no code";
  REQUIRE(argc == 2);
  const char* way = argv[1];
  if (strcmp(way, "jit") == 0) Generated();
  if (strcmp(way, "far") == 0) ClaimsAFarCaller();
  if (strcmp(way, "near") == 0) ClaimsANearCaller();
  if (strcmp(way, "lost") == 0) HasFramePointerToo(Opaque(size_t{100}));
  if (strcmp(way, "garbage") == 0) EndsWith(0x4141414141414141);
  if (strcmp(way, "data") == 0) EndsWith(reinterpret_cast<uintptr_t>(data));
  if (strcmp(way, "function") == 0) EndsWith(reinterpret_cast<uintptr_t>(&NobodyCallsThis));
  if (strcmp(way, "executable") == 0) OnExecutableStack();
}
