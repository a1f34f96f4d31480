#include "report/frame_limit.h"

#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace allocline {

// Builds the table of cut stacks.
class StackCutter {
 public:
  StackCutter(const StackTable& whole, uint32_t frames, LineOf line_of)
      : whole_(whole), frames_(frames), line_of_(line_of), cut_(std::make_shared<StackTable>()) {
    cut_->locations_ = whole.locations_;
    cut_->threads_ = whole.threads_;
    cut_->strings_ = whole.strings_;
    cut_->nodes_.push_back({});  // the root
  }

  StackId Cut(StackId stack) {
    path_.clear();
    const StackId user = whole_.nodes()[stack].user;
    size_t user_index = kNoIndex;
    const StackFrames frames = whole_.Frames(stack);
    for (auto frame = frames.begin(); frame != frames.end(); ++frame) {
      const bool wants_user = line_of_ == LineOf::kUser && user_index == kNoIndex;
      if (path_.size() >= frames_ && !wants_user) break;
      if (frame.stack() == user) user_index = path_.size();
      path_.push_back(*frame);
    }
    if (user_index == kNoIndex) user_index = 0;  // it is cut off

    StackId id = kRootStack, user_id = kThisOne;
    for (size_t i = path_.size(); i-- > 0;) {
      id = Push(id, path_[i], i < user_index ? user_id : kThisOne);
      if (i == user_index) user_id = id;
    }
    return id;
  }
  std::shared_ptr<const StackTable> table() && { return std::move(cut_); }

 private:
  static constexpr size_t kNoIndex = ~size_t{0};
  static constexpr StackId kThisOne = ~StackId{0};

  // Equal frames with another user's line are another stack.
  StackId Push(StackId caller, LocationId location, StackId user) {
    std::vector<StackNode>& nodes = cut_->nodes_;
    const auto [entry, is_new] = ids_.try_emplace({caller, location, user}, static_cast<StackId>(nodes.size()));
    if (is_new) {
      nodes.push_back({.parent = caller, .location = location, .user = user == kThisOne ? entry->second : user});
    }
    return entry->second;
  }

  const StackTable& whole_;
  const uint32_t frames_;
  const LineOf line_of_;
  std::shared_ptr<StackTable> cut_;
  std::vector<LocationId> path_;
  absl::flat_hash_map<std::tuple<StackId, LocationId, StackId>, StackId> ids_;
};

Profile LimitFrames(const Profile& profile, uint32_t frames, LineOf line_of) {
  StackCutter cutter(profile.stacks(), frames, line_of);
  std::vector<Site> sites;
  absl::flat_hash_map<std::tuple<StackId, uint32_t, uint32_t>, size_t> indices;
  for (const Site& site : profile.sites()) {
    Site cut = site;
    cut.stack = cutter.Cut(site.stack);
    const auto [entry, is_new] = indices.try_emplace({cut.stack, cut.domain, cut.thread}, sites.size());
    if (is_new) {
      sites.push_back(cut);
    } else {
      sites[entry->second].Add(cut);
    }
  }
  return Profile(std::move(cutter).table(), std::move(sites), profile.summary());
}

}  // namespace allocline
