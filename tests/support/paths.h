// Where the things under test are. Known from the build, so a test binary can be started by hand too.
#ifndef ALLOCLINE_TESTS_SUPPORT_PATHS_H_
#define ALLOCLINE_TESTS_SUPPORT_PATHS_H_

#include <string>

namespace allocline::testing {

inline std::string BuildDir() { return ALLOCLINE_BUILD_DIR; }
inline std::string SourceDir() { return ALLOCLINE_SOURCE_DIR; }
inline std::string TracerPath() { return BuildDir() + "/lib/liballocline.so"; }
inline std::string CliPath() { return BuildDir() + "/bin/allocline"; }
inline std::string ProgramSources() { return SourceDir() + "/tests/programs"; }
inline std::string TrapPath(const std::string& name) { return BuildDir() + "/programs/traps/" + name; }

}  // namespace allocline::testing

#endif  // ALLOCLINE_TESTS_SUPPORT_PATHS_H_
