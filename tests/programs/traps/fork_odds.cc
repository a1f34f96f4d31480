// The unusual ways to become a child; each child keeps 3 blocks of 1000 bytes of its own.
//
//   twice         a child that forks before it allocates
//   twice_clone   a child whose own child is made by clone(2), before either allocates
//   closed        a child closes all descriptors first, and puts files of its own in their places
//   snapshots     a child takes a snapshot, as the parent did before
//   plain         a child (for what a preloaded library does in it)
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../../../include/allocline/allocline.h"
#include "../truth.h"

static void Allocate() {
  for (int i = 0; i < 3; ++i) {
    void* kept = malloc(1000);  // LINE: in_child 0/0
    Keep(kept);
  }
}

// Takes the process to its end, if it is a child.
static void End(pid_t child) {
  if (child == 0) _exit(0);
  int status = 0;
  REQUIRE(child > 0 && waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
}

static pid_t Clone() { return static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr)); }

static constexpr int kMostDescriptors = 1024;

static void PutFilesInTheirPlaces(const char* path) {
  for (int fd = 3; fd < kMostDescriptors; ++fd) close(fd);
  const int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  REQUIRE(file == 3 && write(file, "mine", 4) == 4);
  for (int fd = 4; fd < kMostDescriptors; ++fd) REQUIRE(dup2(file, fd) == fd);
  Allocate();
  struct stat status;
  REQUIRE(fstat(file, &status) == 0 && status.st_size == 4);
}

int main(int, char** argv) {
  void* before = malloc(64);  // LINE: before 64/1
  Keep(before);
  const char* mode = argv[1];
  if (strcmp(mode, "twice") == 0) {
    const pid_t child = fork();
    if (child == 0) {
      const pid_t grandchild = fork();
      if (grandchild == 0) Allocate();
      End(grandchild);
    }
    End(child);
  } else if (strcmp(mode, "twice_clone") == 0) {
    const pid_t child = fork();
    if (child == 0) {
      const pid_t grandchild = Clone();
      Allocate();
      End(grandchild);
    }
    End(child);
  } else if (strcmp(mode, "closed") == 0) {
    const pid_t child = fork();
    if (child == 0) PutFilesInTheirPlaces(argv[2]);
    End(child);
  } else if (strcmp(mode, "snapshots") == 0) {
    allocline_take_snapshot("parent");
    const pid_t child = fork();
    if (child == 0) {
      Allocate();
      allocline_take_snapshot("child");
      Allocate();
      allocline_take_snapshot("child again");
    }
    End(child);
  } else {
    const pid_t child = fork();
    if (child == 0) Allocate();
    End(child);
  }
  void* after = malloc(32);  // LINE: after 32/1
  Keep(after);
}
