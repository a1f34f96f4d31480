// Wants 1.2 KB of initial-exec thread-local storage, which dlopen can only give from what is left of the static block.
static thread_local char block[1200] __attribute__((tls_model("initial-exec")));

extern "C" char* Block() { return block; }
