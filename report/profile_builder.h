// Builds a Profile: interns texts, locations and stacks, and merges sites that are equal.
//
//   ProfileBuilder builder;
//   LocationId main = builder.AddLocation({.file = "b.cc", .line = 4, .function = "main", .module = "/bin/b"});
//   LocationId make = builder.AddLocation({.file = "a.cc", .line = 2, .function = "Make", .module = "/bin/b"});
//   StackId stack = builder.Push(builder.Push(kRootStack, main), make);   // callers first
//   builder.AddSite({.stack = stack, .live_bytes = 30, .live_blocks = 3});
//   Profile profile = std::move(builder).Build(UserLineRule({}));
//
// Threads: one builder per thread. load_profile.h drives it from a recording; tests drive it by hand.
#ifndef ALLOCLINE_REPORT_PROFILE_BUILDER_H_
#define ALLOCLINE_REPORT_PROFILE_BUILDER_H_

#include <memory>
#include <string_view>

#include "report/profile.h"
#include "report/user_line.h"

namespace allocline {

class ProfileBuilder {
 public:
  ProfileBuilder();
  ~ProfileBuilder();
  ProfileBuilder(ProfileBuilder&&) noexcept;
  ProfileBuilder& operator=(ProfileBuilder&&) noexcept;

  // A text that lives as long as the profile; the same text gives the same view.
  std::string_view Intern(std::string_view text);
  // `location.where` is made from the other fields if it is empty; `role` is decided by Build(), except that
  // kSynthetic stays. The views need not outlive the call.
  LocationId AddLocation(const Location& location);
  // The stack `caller` with `location` called from it.
  StackId Push(StackId caller, LocationId location);
  // Adds to the site of the same stack, domain and thread, and gives the stack. An empty one becomes one frame
  // "<unknown>".
  StackId AddSite(const Site& site);
  uint32_t AddThread(const ProfileThread& thread);
  ProfileSummary& summary() { return summary_; }  // live_bytes and live_blocks are computed by Build()

  Profile Build(const UserLineRule& rule) &&;

 private:
  struct Tables;
  std::unique_ptr<Tables> tables_;
  ProfileSummary summary_;
};

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_PROFILE_BUILDER_H_
