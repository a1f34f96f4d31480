// A connector that forks: `workers WAY TRUTH`. One process loads what all share, six workers collect, each another
// amount, and what each of the seven holds is written to the file TRUTH, as "FUNCTION BYTES" lines. Then, by WAY,
//   exit   the workers exit, and so does it
//   pause  all wait to be killed; their numbers are on stdout
//   grow   the last worker grows until it is killed, and then all end
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kWorkers = 6, kBlock = 10000, kShared = 2000, kCollected = 100 };

static void* Kept(void* block) {
  __asm__ volatile("" : "+r"(block));
  return block;
}
static void Take(size_t blocks) {
  for (size_t i = 0; i < blocks; ++i) memset(Kept(malloc(kBlock)), 1, kBlock);
}

__attribute__((noinline)) static void LoadShared(void) {
  for (size_t i = 0; i < kShared; ++i) memset(Kept(malloc(kBlock)), 1, kBlock);
}
__attribute__((noinline)) static void Collect(size_t blocks) {
  for (size_t i = 0; i < blocks; ++i) memset(Kept(malloc(kBlock)), 1, kBlock);
}
__attribute__((noinline)) static void Grow(void) {
  for (;;) Take(1);
}

static void Tell(const char* path, const char* function, size_t blocks) {
  FILE* truth = fopen(path, "a");
  if (truth == NULL) exit(4);
  fprintf(truth, "%s %zu\n", function, blocks * kBlock);
  fclose(truth);
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const char* way = argv[1];
  int ready[2], go[2];
  if (pipe(ready) != 0 || pipe(go) != 0) return 1;
  LoadShared();
  Tell(argv[2], "LoadShared", kShared);
  pid_t workers[kWorkers];
  for (int i = 0; i < kWorkers; ++i) {
    workers[i] = fork();
    if (workers[i] != 0) continue;
    close(go[1]);
    const size_t blocks = (size_t)(i + 1) * kCollected;
    Collect(blocks);
    Tell(argv[2], "Collect", blocks);
    char byte = 1;
    if (write(ready[1], &byte, 1) != 1) _exit(1);
    if (read(go[0], &byte, 1) < 0) _exit(1);  // until the parent closes it
    if (strcmp(way, "exit") == 0) exit(0);
    if (strcmp(way, "grow") == 0 && i + 1 == kWorkers) Grow();
    for (;;) pause();
  }
  char byte;
  for (int i = 0; i < kWorkers; ++i) {
    if (read(ready[0], &byte, 1) != 1) return 1;
  }
  if (strcmp(way, "pause") == 0) {
    printf("%d", (int)getpid());
    for (int i = 0; i < kWorkers; ++i) printf(" %d", (int)workers[i]);
    printf("\n");
    fflush(stdout);
    for (;;) pause();
  }
  close(go[1]);
  int status = 0;
  if (strcmp(way, "grow") == 0) {
    waitpid(workers[kWorkers - 1], &status, 0);
    for (int i = 0; i < kWorkers; ++i) kill(workers[i], SIGKILL);
    return 3;
  }
  for (int i = 0; i < kWorkers; ++i) waitpid(workers[i], &status, 0);
  return 0;
}
