// A library whose atfork handler, registered before anybody else's, has the child wait until something is written to
// the FIFO that ATFORK_WAITS_FOR names.
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((constructor)) static void Register() {
  pthread_atfork(nullptr, nullptr, [] {
    const char* path = getenv("ATFORK_WAITS_FOR");
    if (path == nullptr) return;
    alarm(200);  // should nobody write to it
    const int fifo = open(path, O_RDONLY);
    char byte;
    if (fifo < 0 || read(fifo, &byte, 1) != 1) abort();
    close(fifo);
    alarm(0);
  });
}
