// Assembly switches to a stack of its own and says of its frame that it is larger than it is: the unwinder is led
// beyond the stack, into a file's mapping that can be read at first, and not any more when the next allocation comes.
// One way for each argument: it is unmapped, protected, or its file ends.
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { kBytes = 65536 };
static const char* g_way;
static int g_file;
static char* g_beside;
static void* volatile g_kept[2];
static int g_count;

__attribute__((noinline, used)) static void Allocate(void) {
  g_kept[g_count++] = malloc(100);
  asm volatile("");
}
__attribute__((noinline, used)) static void TakeWhatIsBeside(void) {
  int failed = 0;
  if (strcmp(g_way, "unmap") == 0) failed |= munmap(g_beside, kBytes);
  if (strcmp(g_way, "protect") == 0) failed |= mprotect(g_beside, kBytes, PROT_NONE);
  if (strcmp(g_way, "truncate") == 0) failed |= ftruncate(g_file, 0);
  if (failed != 0) abort();
}

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
    "  call TakeWhatIsBeside\n"
    "  call Allocate\n"
    "  mov %rbx, %rsp\n"
    "  pop %rbx\n"
    "  ret\n"
    "  .cfi_endproc\n"
    ".size AllocateOnStack, . - AllocateOnStack\n");

int main(int argc, char** argv) {
  if (argc != 2) return 1;
  g_way = argv[1];
  char* both = mmap(NULL, 2 * kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (both == MAP_FAILED) return 1;
  g_beside = both + kBytes;
  g_file = memfd_create("beside", 0);
  if (g_file < 0 || ftruncate(g_file, kBytes) != 0) return 1;
  if (mmap(g_beside, kBytes, PROT_READ, MAP_SHARED | MAP_FIXED, g_file, 0) == MAP_FAILED) return 1;
  AllocateOnStack(both + kBytes - 256);
  return 0;
}
