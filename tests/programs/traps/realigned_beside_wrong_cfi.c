// Assembly says that it saved rbp where another number lies. The function further out realigned its stack, so that its
// frame is found by loading from what rbp points at: by an expression of DWARF. Allocates there, and in a signal
// handler there, which only libunwind gets out of.
#include <signal.h>
#include <stdlib.h>

static void* volatile g_kept[8];
static int g_count;

__attribute__((noinline, used)) static void Allocate(void) {
  g_kept[g_count++] = malloc(100);
  asm volatile("");
}
static void OnSignal(int number) {
  (void)number;
  Allocate();
}
static void Raise(void) { raise(SIGUSR1); }

void SavesAnotherNumber(void (*call)(void));
asm(".text\n"
    ".globl SavesAnotherNumber\n"
    ".type SavesAnotherNumber, @function\n"
    "SavesAnotherNumber:\n"
    "  .cfi_startproc\n"
    "  push %rbp\n"
    "  .cfi_def_cfa_offset 16\n"
    "  .cfi_offset %rbp, -800\n"
    "  sub $800, %rsp\n"
    "  .cfi_adjust_cfa_offset 800\n"
    "  movq $0x1234560, 16(%rsp)\n"
    "  call *%rdi\n"
    "  add $800, %rsp\n"
    "  .cfi_adjust_cfa_offset -800\n"
    "  pop %rbp\n"
    "  .cfi_def_cfa_offset 8\n"
    "  ret\n"
    "  .cfi_endproc\n"
    ".size SavesAnotherNumber, . - SavesAnotherNumber\n");

typedef int Wide __attribute__((vector_size(32)));
__attribute__((noinline)) static void Realigned(int bytes, void (*call)(void)) {
  Wide wide __attribute__((aligned(64)));
  char* more = __builtin_alloca((size_t)bytes);
  asm volatile("" ::"r"(&wide), "r"(more) : "memory");
  call();
  SavesAnotherNumber(call);
  asm volatile("" ::"r"(&wide), "r"(more) : "memory");
}

int main(void) {
  signal(SIGUSR1, OnSignal);
  Realigned(40, Allocate);
  Realigned(50, Raise);
  return 0;
}
