// Assembly switches to a stack of its own and says of its frame that it is larger than it is: the unwinder is led
// beyond the stack, into a mapping that is there at first, and gone when the next allocation comes.
#include <stdlib.h>
#include <sys/mman.h>

enum { kBytes = 65536 };
static char* g_beside;
static void* volatile g_kept[2];
static int g_count;

__attribute__((noinline, used)) static void Allocate(void) {
  g_kept[g_count++] = malloc(100);
  asm volatile("");
}
__attribute__((noinline, used)) static void UnmapWhatIsBeside(void) { munmap(g_beside, kBytes); }

void AllocateOnStack(void* stack_pointer);
asm(".text\n"
    ".globl AllocateOnStack\n"
    ".type AllocateOnStack, @function\n"
    "AllocateOnStack:\n"
    "  .cfi_startproc\n"
    "  push %rbx\n"
    "  mov %rsp, %rbx\n"
    "  mov %rdi, %rsp\n"
    "  .cfi_def_cfa_offset 8192\n"
    "  call Allocate\n"
    "  call UnmapWhatIsBeside\n"
    "  call Allocate\n"
    "  mov %rbx, %rsp\n"
    "  pop %rbx\n"
    "  ret\n"
    "  .cfi_endproc\n"
    ".size AllocateOnStack, . - AllocateOnStack\n");

int main(void) {
  char* both = mmap(NULL, 2 * kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (both == MAP_FAILED) return 1;
  g_beside = both + kBytes;
  AllocateOnStack(both + kBytes - 256);
  return 0;
}
