// The program replaces itself by exec: each image is counted on its own.
#include <string.h>

#include "truth.h"

int main(int argc, char** argv) {
  if (argc == 1) {
    void* first = malloc(111);  // LINE: first_image 111/1
    Keep(first);
    execl("/proc/self/exe", argv[0], "again", nullptr);
    return 1;
  }
  void* second = malloc(222);  // LINE: second_image 222/1
  Keep(second);
}
