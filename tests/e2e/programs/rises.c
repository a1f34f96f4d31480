// Takes memory until somebody says so: `rises LOG BYTES TEXT [BYTES TEXT]...`. Up to BYTES at once, then by a little
// each 20 ms until the file LOG holds TEXT. 3 if that takes more than a minute.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static size_t kept;

__attribute__((noinline)) static void Keep(size_t bytes) {
  void* block = malloc(bytes);
  __asm__ volatile("" : "+r"(block));
  if (block == NULL) exit(4);
  memset(block, 1, bytes);
  kept += bytes;
}

static int Holds(const char* path, const char* text) {
  static char content[1 << 16];
  FILE* file = fopen(path, "r");
  if (file == NULL) return 0;
  content[fread(content, 1, sizeof content - 1, file)] = '\0';
  fclose(file);
  return strstr(content, text) != NULL;
}

int main(int argc, char** argv) {
  for (int i = 2; i + 1 < argc; i += 2) {
    const size_t bytes = strtoull(argv[i], NULL, 0);
    while (kept < bytes) Keep(64 << 10);
    for (int looks = 0; !Holds(argv[1], argv[i + 1]); ++looks) {
      if (looks == 3000) return 3;
      Keep(64 << 10);
      usleep(20000);
    }
  }
  return 0;
}
