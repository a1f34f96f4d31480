// A seccomp filter refuses (EPERM) every call that makes, opens, sizes or names a file; the program goes on allocating.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "../truth.h"
#include "many_stacks.h"

#define DENY(call) \
  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1)

int main() {
  void* before = malloc(10);  // LINE: before 10/1
  Keep(before);
  sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      DENY(open),
      DENY(openat),
      DENY(openat2),
      DENY(creat),
      DENY(fallocate),
      DENY(ftruncate),
      DENY(pwrite64),
      DENY(fstat),
      DENY(newfstatat),
      DENY(statx),
      DENY(memfd_create),
      DENY(readlink),
      DENY(readlinkat),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog program = {.len = sizeof(rules) / sizeof(rules[0]), .filter = rules};
  REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  REQUIRE(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
  WithManyStacks(20000, [](unsigned) {
    void* kept = malloc(2);  // LINE: stacks any
    Keep(kept);
  });
}
