#include "tools/signal_relay.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace allocline {
namespace {

// They tell of a fault in the process itself: blocking those sent by others would hide our own.
constexpr int kFaults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};

bool SentByAProcess(const siginfo_t& signal) {
  return signal.si_code == SI_USER || signal.si_code == SI_QUEUE || signal.si_code == SI_TKILL;
}

// Whether a shell started us as a job of its own and waits for it: then it wakes us when it wakes the job.
bool IsForegroundJob() {
  if (getpgrp() != getpid()) return false;
  const UniqueFd terminal(open("/dev/tty", O_RDONLY | O_CLOEXEC | O_NOCTTY));
  return terminal.valid() && tcgetpgrp(terminal.get()) == getpgrp();
}

}  // namespace

SignalRelay::SignalRelay() {
  // An inherited SIG_IGN would make the kernel reap the child behind our back.
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  sigaction(SIGCHLD, &standard, &original_sigchld_);
  prctl(PR_GET_PDEATHSIG, &original_parent_death_signal_);

  sigfillset(&relayed_);
  for (int fault : kFaults) sigdelset(&relayed_, fault);
  sigprocmask(SIG_BLOCK, &relayed_, &original_mask_);
  group_.emplace();
}

void SignalRelay::RestoreInChild() const {
  if (original_parent_death_signal_ != 0) prctl(PR_SET_PDEATHSIG, original_parent_death_signal_);
  sigaction(SIGCHLD, &original_sigchld_, nullptr);
  sigprocmask(SIG_SETMASK, &original_mask_, nullptr);
}

ChildEnd SignalRelay::WaitFor(pid_t child, const Meanwhile& meanwhile) {
  child_stopped_by_ = 0;
  for (;;) {
    // Whatever happens to the child after this look leaves a SIGCHLD pending.
    if (const std::optional<ChildEnd> end = Poll(child)) return *end;
    if (child_stopped_by_ != 0 && ShouldStopToo()) {
      raise(SIGSTOP);  // returns when somebody continues us
      child_has_news_ = false;
      if (const std::optional<ChildEnd> end = Poll(child)) return *end;
      // A shell continues the whole group, and has reached the child already: it may even have stopped again since.
      // When there is no news of it, only we were reached.
      if (child_has_news_) continue;
      kill(child, SIGCONT);
      child_stopped_by_ = 0;
    }
    if (const std::optional<siginfo_t> signal = NextSignal(meanwhile)) PassOn(*signal, child);
  }
}

std::optional<siginfo_t> SignalRelay::NextSignal(const Meanwhile& meanwhile) const {
  siginfo_t signal;
  if (!meanwhile) return sigwaitinfo(&relayed_, &signal) > 0 ? std::optional(signal) : std::nullopt;
  constexpr uint64_t kSecondNs = 1'000'000'000;
  const uint64_t wait_ns = meanwhile();
  const timespec wait = {.tv_sec = static_cast<time_t>(wait_ns / kSecondNs),
                         .tv_nsec = static_cast<long>(wait_ns % kSecondNs)};
  return sigtimedwait(&relayed_, &signal, &wait) > 0 ? std::optional(signal) : std::nullopt;
}

std::optional<ChildEnd> SignalRelay::Poll(pid_t child) {
  for (;;) {
    siginfo_t info{};
    if (waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WSTOPPED | WCONTINUED | WNOHANG) != 0) {
      if (errno == EINTR) continue;
      return ChildEnd{.code = 125};  // no child of ours: nothing can be said about it
    }
    if (info.si_pid == 0) return std::nullopt;  // nothing (more) happened
    switch (info.si_code) {
      case CLD_EXITED:
        return ChildEnd{.code = info.si_status};
      case CLD_KILLED:
      case CLD_DUMPED:
        return ChildEnd{.signal = info.si_status};
      case CLD_STOPPED:
        child_stopped_by_ = info.si_status;
        child_has_news_ = true;
        break;
      case CLD_CONTINUED:
        child_stopped_by_ = 0;
        child_has_news_ = true;
        break;
    }
  }
}

// A child stopped by SIGSTOP was stopped by somebody who will continue *it*. Unless we are a shell's job, stopping with
// it could leave us stopped for ever.
bool SignalRelay::ShouldStopToo() const { return child_stopped_by_ != SIGSTOP || IsForegroundJob(); }

void SignalRelay::PassOn(const siginfo_t& signal, pid_t child) {
  switch (signal.si_signo) {
    case SIGCHLD:
      return;
    case SIGCONT:  // WaitFor() has seen to it, unless the child was stopped alone
      if (child_stopped_by_ != 0) kill(child, SIGCONT);
      return;
    case SIGALRM:  // alarm() outlives exec: this one was set by whoever started us, and meant for the program
      kill(child, SIGALRM);
      return;
    default:
      if (!SentByAProcess(signal) || signal.si_pid == getpid()) return;  // from the terminal; our own SIGPIPE
      if (signal.si_code == SI_QUEUE) {                                  // to one process, always
        sigqueue(child, signal.si_signo, signal.si_value);
      } else if (!group_->GroupGot(signal.si_signo)) {
        kill(child, signal.si_signo);
      }
  }
}

}  // namespace allocline
