// What makes a report's numbers less than complete, one sentence each: a damaged file, stacks cut short, modules
// without debug information, drops. Nothing that was not seen is shown as zero; it is said here.
#ifndef ALLOCLINE_REPORT_NOTES_H_
#define ALLOCLINE_REPORT_NOTES_H_

#include <string>
#include <string_view>
#include <vector>

#include "recording/format.h"
#include "report/profile.h"

namespace allocline {

// Safe to print. Most serious first; empty if there is nothing to say.
std::vector<std::string> NotesOf(const ProfileSummary& summary);

// What was not recorded and why, "nothing" if all was.
std::string DropsText(const ProfileSummary& summary);
// "recording_full" for machines.
std::string_view DropReasonName(format::DropReason reason);

// `part` of `whole` as "99.8%": rounded towards the middle, so that neither 0% nor 100% is said of what is not.
std::string PercentText(int64_t part, int64_t whole);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_NOTES_H_
