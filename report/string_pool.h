// Texts stored once: equal texts get the same view, which stays valid as long as the pool.
#ifndef ALLOCLINE_REPORT_STRING_POOL_H_
#define ALLOCLINE_REPORT_STRING_POOL_H_

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"

namespace allocline {

class StringPool {
 public:
  StringPool() = default;
  StringPool(const StringPool&) = delete;
  StringPool& operator=(const StringPool&) = delete;

  std::string_view Intern(std::string_view text) {
    if (text.empty()) return {};
    auto found = texts_.find(text);
    if (found != texts_.end()) return *found;
    return *texts_.insert(Store(text)).first;
  }

 private:
  std::string_view Store(std::string_view text) {
    if (text.size() > room_) {
      room_ = std::max(kBlockBytes, text.size());
      blocks_.push_back(std::make_unique_for_overwrite<char[]>(room_));
      next_ = blocks_.back().get();
    }
    std::string_view stored(std::copy(text.begin(), text.end(), next_) - text.size(), text.size());
    next_ += text.size();
    room_ -= text.size();
    return stored;
  }

  static constexpr size_t kBlockBytes = 64 * 1024;
  std::vector<std::unique_ptr<char[]>> blocks_;
  char* next_ = nullptr;
  size_t room_ = 0;
  // std::hash: absl's own does not know std::string_view where absl::string_view is another type.
  absl::flat_hash_set<std::string_view, std::hash<std::string_view>> texts_;
};

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_STRING_POOL_H_
