// Several processes as one profile: the lines of each are the sums over all.
//
// Traced bytes add up. What forked processes inherited is to be taken off before
// (LoadProfileOptions::without_inherited) where the process that they have it from is among the parts: a page that both
// share is in memory once. Resident sets add up too, and there a shared page counts in each; where the proportional set
// sizes of all are known, those add up to what the processes really hold. Peaks add up to no moment that ever was: the
// sum is an upper bound.
#ifndef ALLOCLINE_REPORT_MERGE_PROFILES_H_
#define ALLOCLINE_REPORT_MERGE_PROFILES_H_

#include <span>

#include "report/profile.h"

namespace allocline {

// `parts`: at least one, none split by thread. Every site keeps its process (GroupBy::kProcess), whose index among the
// parts is Site::thread; summary().processes has one entry for each, in their order.
Profile MergeProfiles(std::span<const Profile> parts);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_MERGE_PROFILES_H_
