// A directory that is gone, with all it holds, when the object is. Made where the system keeps temporary files.
#ifndef ALLOCLINE_TESTS_SUPPORT_TEMP_DIR_H_
#define ALLOCLINE_TESTS_SUPPORT_TEMP_DIR_H_

#include <string>
#include <string_view>

namespace allocline::testing {

class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(TempDir&& other) noexcept;
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const;
  // Gives the path of the new file.
  std::string WriteFile(std::string_view name, std::string_view text) const;

 private:
  std::string path_;
};

// The whole file; a test that cannot read it aborts with its name.
std::string ReadFile(const std::string& path);

}  // namespace allocline::testing

#endif  // ALLOCLINE_TESTS_SUPPORT_TEMP_DIR_H_
