#include "report/group_index.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "report/path_text.h"

namespace allocline {

GroupIndex::GroupIndex(GroupBy by, bool across_runs) : by_(by), across_runs_(across_runs) {
  if (by == GroupBy::kTraceback) lines_ = std::make_unique<GroupIndex>(GroupBy::kLine, across_runs);
}

GroupIndex::Name GroupIndex::NameOf(const Location& location) const {
  std::string_view module_name = Basename(location.module);
  switch (by_) {
    case GroupBy::kFile:
      if (!location.file.empty()) return {.text = location.file};
      return {.text = module_name.empty() ? location.where : module_name};
    case GroupBy::kFunction:
      return {.text = location.function.empty() ? location.where : location.function, .module = module_name};
    case GroupBy::kModule:
      if (location.module.empty()) return {.text = location.where};
      return {.text = across_runs_ ? module_name : location.module};
    default: {
      Frame frame = FrameOf(location);
      return {.text = frame.file, .line = frame.line};
    }
  }
}

GroupId GroupIndex::Intern(const Name& name, Example example) {
  auto [entry, is_new] = ids_.try_emplace(name, static_cast<GroupId>(names_.size()));
  if (is_new) {
    names_.push_back(name);
    examples_.push_back(example);
  }
  return entry->second;
}

std::vector<GroupId> GroupIndex::Add(const StackTable& stacks) {
  if (by_ == GroupBy::kTraceback) return AddStacks(stacks);
  std::vector<GroupId> groups;
  if (by_ == GroupBy::kThread || by_ == GroupBy::kProcess) {
    for (uint32_t i = 0; i < stacks.threads().size(); ++i) {
      const ProfileThread& thread = stacks.threads()[i];
      // Within one run two threads of one name are two groups, told apart by their place in the recording.
      groups.push_back(across_runs_ ? Intern({.text = thread.name}, {&stacks, i})
                                    : Intern({.text = thread.label, .line = i}, {&stacks, i}));
    }
    return groups;
  }
  groups.reserve(stacks.locations().size());
  for (uint32_t i = 0; i < stacks.locations().size(); ++i) {
    groups.push_back(Intern(NameOf(stacks.locations()[i]), {&stacks, i}));
  }
  return groups;
}

std::vector<GroupId> GroupIndex::AddStacks(const StackTable& stacks) {
  std::vector<GroupId> line_groups = lines_->Add(stacks);
  std::vector<GroupId> groups(stacks.nodes().size(), kNoGroup);
  for (StackId stack = 1; stack < stacks.nodes().size(); ++stack) {
    const StackNode& node = stacks.nodes()[stack];
    GroupId caller = groups[node.parent], line_group = line_groups[node.location];
    auto [entry, is_new] =
        tree_ids_.try_emplace(uint64_t{caller} << 32 | line_group, static_cast<GroupId>(tree_.size()));
    if (is_new) {
      GroupId outermost = caller == kNoGroup ? entry->second : tree_[caller].outermost;
      tree_.push_back({.caller = caller, .line_group = line_group, .outermost = outermost});
      examples_.push_back({&stacks, stack});
    }
    groups[stack] = entry->second;
  }
  return groups;
}

Group GroupIndex::Describe(GroupId group) const {
  const Example& example = examples_[group];
  Group described{.by = by_, .stacks = example.stacks};
  if (by_ == GroupBy::kThread || by_ == GroupBy::kProcess) {
    described.thread = example.id;
    described.frame = {.file = names_[group].text, .is_file = false};
    return described;
  }
  if (by_ == GroupBy::kTraceback) {
    described.stack = example.id;
    const Example& outermost = examples_[tree_[group].outermost];
    described.frame = FrameOf(outermost.stacks->Innermost(outermost.id));
    return described;
  }
  described.frame = FrameOf(example.stacks->locations()[example.id]);
  if (by_ != GroupBy::kFunction) {
    described.frame.file = names_[group].text;
    described.frame.line = names_[group].line;
  }
  if (by_ == GroupBy::kModule) described.frame.is_file = false;
  return described;
}

std::vector<uint32_t> GroupIndex::Ranks(const std::vector<GroupId>& groups) const {
  if (by_ == GroupBy::kTraceback) return TreeRanks();
  std::vector<GroupId> sorted = groups;
  std::sort(sorted.begin(), sorted.end(), [this](GroupId a, GroupId b) { return names_[a] < names_[b]; });
  std::vector<uint32_t> ranks(names_.size(), 0);
  for (uint32_t i = 0; i < sorted.size(); ++i) ranks[sorted[i]] = i;
  return ranks;
}

std::vector<uint32_t> GroupIndex::TreeRanks() const {
  std::vector<GroupId> all_lines(lines_->size());
  std::iota(all_lines.begin(), all_lines.end(), 0);
  std::vector<uint32_t> line_ranks = lines_->Ranks(all_lines);

  // Siblings beside each other, in the order of their frames. kNoGroup + 1 is 0: the outermost frames come first.
  std::vector<GroupId> by_caller(tree_.size());
  std::iota(by_caller.begin(), by_caller.end(), 0);
  std::sort(by_caller.begin(), by_caller.end(), [&](GroupId a, GroupId b) {
    if (tree_[a].caller != tree_[b].caller) return tree_[a].caller + 1 < tree_[b].caller + 1;
    return line_ranks[tree_[a].line_group] < line_ranks[tree_[b].line_group];
  });
  std::vector<uint32_t> first_child(tree_.size() + 2, 0);  // in by_caller, index: caller + 1
  for (const TreeNode& node : tree_) ++first_child[node.caller + 1 + 1];
  std::partial_sum(first_child.begin(), first_child.end(), first_child.begin());

  // Preorder with a stack of our own: paths may be thousands of frames long.
  std::vector<uint32_t> ranks(tree_.size(), 0);
  std::vector<GroupId> pending;
  auto push_callees = [&](GroupId caller) {
    for (uint32_t i = first_child[caller + 2]; i > first_child[caller + 1]; --i) pending.push_back(by_caller[i - 1]);
  };
  uint32_t next_rank = 0;
  push_callees(kNoGroup);
  while (!pending.empty()) {
    GroupId group = pending.back();
    pending.pop_back();
    ranks[group] = next_rank++;
    push_callees(group);
  }
  return ranks;
}

}  // namespace allocline
