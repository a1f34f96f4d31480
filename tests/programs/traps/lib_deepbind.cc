// With RTLD_DEEPBIND its malloc and free are libc's, past any preload.
#include <stdlib.h>
#include <string.h>

extern "C" char* MakeText() { return strdup("made by libc"); }
extern "C" void* MakeBlock() { return malloc(256); }
extern "C" void Release(void* block) { free(block); }
