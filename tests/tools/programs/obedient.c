// Does what its arguments say, one after the other:
//   print TEXT      a line on stdout
//   exit N          ends with that code
//   die N           ends itself by signal N
//   env NAME        prints an environment variable
//   signals         prints "ready", then "got N" (or "got N value V" if it was queued) per signal; SIGTERM ends it with
//   42
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void report_signals(void) {
  sigset_t all;
  sigfillset(&all);
  sigdelset(&all, SIGTSTP);  // stops us as it stops any program
  sigprocmask(SIG_BLOCK, &all, NULL);
  puts("ready");
  fflush(stdout);
  for (;;) {
    siginfo_t info;
    if (sigwaitinfo(&all, &info) < 0) continue;
    if (info.si_signo == SIGCHLD) continue;
    if (info.si_code == SI_QUEUE) {
      printf("got %d value %d\n", info.si_signo, info.si_value.sival_int);
    } else {
      printf("got %d\n", info.si_signo);
    }
    fflush(stdout);
    if (info.si_signo == SIGTERM) exit(42);
  }
}

int main(int argc, char** argv) {
  for (int i = 1; i < argc; i += 2) {
    const char* what = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (strcmp(what, "signals") == 0) {
      report_signals();
    } else if (strcmp(what, "exit") == 0) {
      return atoi(value);
    } else if (strcmp(what, "die") == 0) {
      raise(atoi(value));
    } else if (strcmp(what, "print") == 0) {
      puts(value);
      fflush(stdout);
    } else if (strcmp(what, "env") == 0) {
      const char* text = getenv(value);
      printf("%s=%s\n", value, text != NULL ? text : "(unset)");
      fflush(stdout);
    }
  }
  return 0;
}
