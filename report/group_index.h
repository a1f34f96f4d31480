// Gives the locations (or stacks, or threads) of one or more profiles dense group numbers by name: what statistics.cc
// sums into, and what diff.cc matches two profiles by.
//
// A traceback is a path in a tree of line groups. Merging the trees of two profiles node by node, callers first, finds
// equal tracebacks of different profiles without ever writing one down; numbering the merged tree in preorder, siblings
// in the order of their frames, sorts them.
//
// Not part of the library's interface. The StackTables added must outlive the index.
#ifndef ALLOCLINE_REPORT_GROUP_INDEX_H_
#define ALLOCLINE_REPORT_GROUP_INDEX_H_

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "report/profile.h"
#include "report/statistics.h"

namespace allocline {

using GroupId = uint32_t;

class GroupIndex {
 public:
  // `across_runs`: leave out of names what means nothing in another run (a thread's tid, a module's directory).
  GroupIndex(GroupBy by, bool across_runs);

  // The group of every location (kThread: thread; kTraceback: stack) of `stacks`, by its id.
  std::vector<GroupId> Add(const StackTable& stacks);

  size_t size() const { return examples_.size(); }
  Group Describe(GroupId group) const;
  // Sets `ranks[g]` for every g of `groups` so that ranks are in the order of the groups' tracebacks.
  std::vector<uint32_t> Ranks(const std::vector<GroupId>& groups) const;

 private:
  // What makes a group.
  struct Name {
    std::string_view text;
    std::string_view module;
    uint32_t line = 0;
    auto operator<=>(const Name&) const = default;
    template <typename H>
    friend H AbslHashValue(H h, const Name& name) {
      return H::combine(std::move(h), std::hash<std::string_view>()(name.text),
                        std::hash<std::string_view>()(name.module), name.line);
    }
  };
  struct Example {
    const StackTable* stacks;
    uint32_t id;  // of a location, thread or stack
  };
  struct TreeNode {
    GroupId caller;      // or kNoGroup
    GroupId line_group;  // in lines_
    GroupId outermost;
  };

  Name NameOf(const Location& location) const;
  GroupId Intern(const Name& name, Example example);
  std::vector<GroupId> AddStacks(const StackTable& stacks);
  std::vector<uint32_t> TreeRanks() const;

  static constexpr GroupId kNoGroup = ~GroupId{0};
  const GroupBy by_;
  const bool across_runs_;
  std::vector<Name> names_;  // empty by traceback: a stack is named by its line groups
  std::vector<Example> examples_;
  absl::flat_hash_map<Name, GroupId> ids_;
  // By traceback only.
  std::unique_ptr<GroupIndex> lines_;
  std::vector<TreeNode> tree_;
  absl::flat_hash_map<uint64_t, GroupId> tree_ids_;  // caller << 32 | line group
};

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_GROUP_INDEX_H_
