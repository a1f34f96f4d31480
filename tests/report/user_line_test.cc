#include "report/user_line.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "report/profile_builder.h"

namespace allocline {
namespace {

constexpr const char* kProgram = "/app/connector";
constexpr const char* kLibstdcxx = "/usr/lib/x86_64-linux-gnu/libstdc++.so.6";

FrameRole RoleOf(const Location& location, UserLineOptions options = {}) {
  options.main_executable = kProgram;
  return UserLineRule(std::move(options)).Classify(location);
}
FrameRole RoleOfFunction(std::string_view function) { return RoleOf({.function = function, .module = kProgram}); }

// `where` of the user's line of a stack, given most recent frame first.
std::string UserLineOf(const std::vector<Location>& frames, UserLineOptions options = {}) {
  options.main_executable = kProgram;
  ProfileBuilder builder;
  StackId stack = kRootStack;
  for (auto frame = frames.rbegin(); frame != frames.rend(); ++frame) {
    stack = builder.Push(stack, builder.AddLocation(*frame));
  }
  builder.AddSite({.stack = stack, .live_bytes = 1, .live_blocks = 1});
  Profile profile = std::move(builder).Build(UserLineRule(std::move(options)));
  return std::string(profile.stacks().UserLine(profile.sites()[0].stack).where);
}

TEST(UserLineTest, TheLineThatGrowsAVectorIsTheUsers) {
  EXPECT_EQ(UserLineOf({
                {.file = "/usr/include/c++/12/bits/new_allocator.h",
                 .line = 137,
                 .function = "std::__new_allocator<Row>::allocate(unsigned long, void const*)",
                 .module = kProgram,
                 .inlined = true},
                {.file = "/usr/include/c++/12/bits/vector.tcc",
                 .line = 459,
                 .function = "void std::vector<Row>::_M_realloc_insert<Row>(Row&&)",
                 .module = kProgram},
                {.file = "/src/collect_all.cc", .line = 61, .function = "FetchAll()", .module = kProgram},
                {.file = "/src/main.cc", .line = 12, .function = "main", .module = kProgram},
            }),
            "/src/collect_all.cc");
}

TEST(UserLineTest, AllocatorEntriesAreNeverTheUsersLineEvenInTheProgram) {
  EXPECT_EQ(UserLineOf({{.file = "/src/my_new.cc", .function = "operator new(unsigned long)", .module = kProgram},
                        {.file = "/src/use.cc", .function = "Use()", .module = kProgram}}),
            "/src/use.cc");
}

TEST(UserLineTest, WithoutAUsersFrameTheInnermostOneOutsideTheAllocatorStandsIn) {
  EXPECT_EQ(UserLineOf({{.function = "operator new(unsigned long)", .module = kLibstdcxx},
                        {.function = "std::locale::_S_initialize()", .module = kLibstdcxx},
                        {.function = "_dl_init", .module = "/lib64/ld-linux-x86-64.so.2"}}),
            "std::locale::_S_initialize() [libstdc++.so.6]");
}

TEST(UserLineTest, WithNothingButAllocatorEntriesTheInnermostStandsIn) {
  EXPECT_EQ(UserLineOf({{.function = "malloc", .module = "/lib/libjemalloc.so.2"}}), "malloc [libjemalloc.so.2]");
}

TEST(UserLineTest, CodeThatTheCompilerMadeUpIsNotTheUsersLine) {
  constexpr ResolutionLevel kLine = ResolutionLevel::kLine;
  EXPECT_EQ(
      UserLineOf({{.function = "__cxa_thread_atexit", .module = kLibstdcxx},
                  {.file = "/src/pool.cc", .function = "Init()", .module = kProgram, .level = ResolutionLevel::kSymbol},
                  {.function = "TLS wrapper function for pool", .module = kProgram, .level = ResolutionLevel::kSymbol},
                  {.file = "/src/use.cc", .line = 8, .function = "Use()", .module = kProgram, .level = kLine}}),
      "/src/use.cc");
  EXPECT_EQ(RoleOf({.file = "/src/pool.cc", .line = 5, .function = "__tls_init", .module = kProgram, .level = kLine}),
            FrameRole::kUser)
      << "g++ gives it the line of the declaration";
}

TEST(UserLineTest, SyntheticFramesAreNeverTheUsersLineWhileThereIsCode) {
  EXPECT_EQ(UserLineOf({{.function = "deep", .module = "/lib/libdeep.so"},
                        {.where = "[callers unknown: more than 1000 frames]", .role = FrameRole::kSynthetic}}),
            "deep [libdeep.so]");
  EXPECT_EQ(UserLineOf({{.where = "[not attributed]", .role = FrameRole::kSynthetic}}), "[not attributed]");
}

TEST(UserLineTest, AFrameWithoutAFileIsJudgedByItsModule) {
  EXPECT_EQ(RoleOf({.function = "handler", .module = kProgram}), FrameRole::kUser);
  EXPECT_EQ(RoleOf({.function = "handler", .module = "/app/plugin.so"}), FrameRole::kUser);
  EXPECT_EQ(RoleOf({.module = "/app/plugin.so"}), FrameRole::kUser);
  EXPECT_EQ(RoleOf({.function = "sqlite3_exec", .module = "/usr/lib/x86_64-linux-gnu/libsqlite3.so.0"}),
            FrameRole::kLibrary);
  EXPECT_EQ(RoleOf({.function = "clock", .module = "[vdso]"}), FrameRole::kLibrary);
  EXPECT_EQ(RoleOf({.where = "<unknown>"}), FrameRole::kLibrary);
}

TEST(UserLineTest, TheProgramIsTheUsersWhereverItLies) {
  UserLineRule rule({.main_executable = "/usr/lib/gcc/x86_64-linux-gnu/12/cc1plus"});
  EXPECT_EQ(rule.Classify({.function = "xmalloc", .module = "/usr/lib/gcc/x86_64-linux-gnu/12/cc1plus"}),
            FrameRole::kUser);
}

TEST(UserLineTest, ASystemLibraryWithDebugInformationIsStillALibrary) {
  EXPECT_EQ(RoleOf({.file = "/build/sqlite3-3.40.1/sqlite3.c",
                    .function = "sqlite3MemMalloc",
                    .module = "/usr/lib/x86_64-linux-gnu/libsqlite3.so.0"}),
            FrameRole::kLibrary);
}

TEST(UserLineTest, HeadersOfPackageManagersAreLibraries) {
  for (const char* file :
       {"/usr/include/nlohmann/json.hpp", "/usr/local/include/x.h", "/opt/vendor/include/sdk.h",
        "/export/me/vcpkg/installed/x64-linux/include/a.h", "/src/build/vcpkg_installed/x64-linux/include/a.h",
        "/export/me/.conan/data/zlib/1.2/_/_/package/1/include/z.h", "/export/me/.conan2/p/b/x/include/z.h",
        "/export/.cargo/registry/src/index/serde/lib.rs", "/rustc/90b35a6/library/alloc/src/vec/mod.rs",
        "/src/build/_deps/abseil-src/absl/strings/cord.cc", "/src/third_party/re2/re2.cc"}) {
    EXPECT_EQ(RoleOf({.file = file, .function = "f()", .module = kProgram}), FrameRole::kLibrary) << file;
  }
  for (const char* file : {"/usr/src/app/connector.cc", "/opt/connector/src/connector.cc", "src/connector.cc",
                           "/export/me/include/mine.h", "/app/libs/mine.cc"}) {
    EXPECT_EQ(RoleOf({.file = file, .function = "f()", .module = kProgram}), FrameRole::kUser) << file;
  }
}

TEST(UserLineTest, StandardNamespacesAreLibrariesByName) {
  for (const char* function :
       {"std::vector<int, std::allocator<int> >::reserve(unsigned long)", "void std::sort<int*>(int*, int*)",
        "std::__cxx11::basic_string<char> std::operator+<char>(char const*, std::string const&)",
        "__gnu_cxx::new_allocator<int>::allocate(unsigned long)", "boost::asio::io_context::run()",
        "decltype(auto) std::__invoke<Job&>(Job&)"}) {
    EXPECT_EQ(RoleOfFunction(function), FrameRole::kLibrary) << function;
  }
  for (const char* function : {"std::vector<Row> Fetch<int>(std::string const&)", "mystd::vector::push()", "FetchAll()",
                               "Wrap(std::vector<int>)", "main::{lambda(std::string)#1}::operator()(std::string) const",
                               "Connector::operator std::string() const"}) {
    EXPECT_EQ(RoleOfFunction(function), FrameRole::kUser) << function;
  }
}

TEST(UserLineTest, AllocatorEntriesAreKnownByName) {
  for (const char* function :
       {"malloc", "calloc", "realloc", "posix_memalign", "__libc_malloc", "je_malloc", "mi_calloc",
        "operator new(unsigned long)", "operator new[](unsigned long, std::align_val_t)", "_Znwm", "mmap64", "__mmap",
        "__rust_alloc"}) {
    EXPECT_EQ(RoleOfFunction(function), FrameRole::kAllocator) << function;
  }
  for (const char* function : {"my_malloc", "malloc_stats", "Pool::malloc(unsigned long)", "operator newline()",
                               "Widget::operator new(unsigned long)"}) {
    EXPECT_EQ(RoleOfFunction(function), FrameRole::kUser) << function;
  }
  EXPECT_EQ(RoleOf({.function = "Anything()", .module = "/opt/allocline/lib/liballocline.so.0"}),
            FrameRole::kAllocator);
  EXPECT_EQ(RoleOf({.file = "/usr/include/allocline/allocline.h", .function = "allocline_track", .module = kProgram}),
            FrameRole::kAllocator);
}

TEST(UserLineTest, PathsOfTheCommandLineOverrideTheBuiltInOnes) {
  Location header{.file = "/usr/include/mine/pool.h", .function = "Pool::Grow()", .module = kProgram};
  Location library{.function = "grow", .module = "/usr/lib/libmine.so"};
  EXPECT_EQ(RoleOf(header, {.user_paths = {"/usr/include/mine"}}), FrameRole::kUser);
  EXPECT_EQ(RoleOf(header, {.user_paths = {"/usr/include/min"}}), FrameRole::kLibrary) << "not a whole folder";
  EXPECT_EQ(RoleOf(library, {.user_paths = {"*/libmine.so"}}), FrameRole::kUser);
  Location source{.file = "/app/vendored/x.cc", .function = "f()", .module = kProgram};
  EXPECT_EQ(RoleOf(source, {.lib_paths = {"/app/vendored"}}), FrameRole::kLibrary);
  EXPECT_EQ(RoleOf(source, {.user_paths = {"/app"}, .lib_paths = {"/app/vendored"}}), FrameRole::kLibrary)
      << "the longer one decides";
  EXPECT_EQ(RoleOf(source, {.user_paths = {"/app/vendored"}, .lib_paths = {"/app"}}), FrameRole::kUser);
  EXPECT_EQ(RoleOf(source, {.user_paths = {"/app"}, .lib_paths = {"/app"}}), FrameRole::kUser);
  EXPECT_EQ(RoleOf({.function = "malloc", .module = kProgram}, {.user_paths = {"/app"}}), FrameRole::kAllocator);
}

TEST(UserLineTest, TheRuntimesEntryOfAProgramIsNotTheUsers) {
  EXPECT_EQ(UserLineOf({{.function = "__libc_setup", .module = "/lib/x86_64-linux-gnu/libc.so.6"},
                        {.function = "_start", .module = kProgram}}),
            "__libc_setup [libc.so.6]");
}

// ---------------------------------------------------------------- with Python

constexpr const char* kPython = "/usr/bin/python3.11";
constexpr const char* kConnector = "/srv/app/connector.py";

std::string UserLineInPython(const std::vector<Location>& frames, UserLineOptions options = {}) {
  ProfileBuilder builder;
  StackId stack = kRootStack;
  for (auto frame = frames.rbegin(); frame != frames.rend(); ++frame) {
    stack = builder.Push(stack, builder.AddLocation(*frame));
  }
  builder.AddSite({.stack = stack, .live_bytes = 1, .live_blocks = 1});
  if (options.main_executable.empty()) options.main_executable = kPython;
  options.python_runtime = kPython;
  Profile profile = std::move(builder).Build(UserLineRule(std::move(options)));
  return std::string(profile.stacks().UserLine(profile.sites()[0].stack).where);
}

Location Python(const char* file, uint32_t line = 1, const char* function = "f") {
  return {.file = file, .line = line, .function = function, .level = ResolutionLevel::kLine, .python = true};
}
Location Native(const char* function, const char* module, const char* file = "") {
  return {.file = file, .line = *file == 0 ? 0u : 5u, .function = function, .module = module};
}

TEST(PythonUserLineTest, TheInnermostPythonFrameOutsideLibrariesComesBeforeAnyNativeOne) {
  EXPECT_EQ(UserLineInPython({Native("malloc", "/lib/libc.so.6"), Native("Grow()", "/srv/ext/fast.so", "/srv/fast.cc"),
                              Python("/usr/lib/python3/dist-packages/pandas/core/frame.py", 93, "DataFrame.append"),
                              Python(kConnector, 61), Python("/srv/app/main.py", 3),
                              Python("/usr/lib/python3.11/threading.py", 982), Native("main", kPython)}),
            kConnector);
}

TEST(PythonUserLineTest, NativeCodeThatWasAskedForIsTheLineWhereItIsFurtherIn) {
  const std::vector<Location> inside = {Native("Grow()", "/srv/ext/fast.so", "/srv/fast.cc"), Python(kConnector)};
  EXPECT_EQ(UserLineInPython(inside), kConnector);
  EXPECT_EQ(UserLineInPython(inside, {.user_paths = {"/srv/ext"}}), "/srv/fast.cc");
  EXPECT_EQ(UserLineInPython({Python(kConnector), Native("Grow()", "/srv/ext/fast.so", "/srv/fast.cc")},
                             {.user_paths = {"/srv/ext"}}),
            kConnector);
  // Where there is no Python, to be asked for is to be the user's as any other code.
  EXPECT_EQ(UserLineInPython({Native("Read()", "/srv/app/reader.so", "/srv/reader.cc"),
                              Native("Grow()", "/srv/ext/fast.so", "/srv/fast.cc")},
                             {.user_paths = {"/srv/ext"}}),
            "/srv/reader.cc");
}

TEST(PythonUserLineTest, CodeOfNoFileIsTheLineOnlyWhereNoFileIs) {
  // What a dataclass makes, and what exec runs: the line that calls it says more.
  EXPECT_EQ(UserLineInPython({Python("<string>", 3, "__create_fn__.<locals>.__init__"), Python(kConnector)}),
            kConnector);
  EXPECT_EQ(UserLineInPython({Python("<attrs generated init Row>", 3), Python("/usr/lib/python3.11/runpy.py")}),
            "<attrs generated init Row>");
  EXPECT_EQ(UserLineInPython({Native("Grow()", "/srv/fast.so", "/srv/fast.cc"), Python("<stdin>")}), "<stdin>");
  EXPECT_EQ(UserLineInPython({Python("<string>"), Python(kConnector)}, {.user_paths = {"<string>"}}), "<string>");
}

TEST(PythonUserLineTest, AStringIsTheLineWhereItIsWhatTheInterpreterWasStartedWith) {
  const Location json = Python("/usr/lib/python3.11/json/decoder.py");
  EXPECT_EQ(UserLineInPython({json, Python("<string>", 2), Native("main", kPython)}), "<string>");
  // A line of a .pth file, which is executed by site.
  EXPECT_EQ(UserLineInPython({json, Python("<string>", 2), Python("<frozen site>"), Native("main", kPython)}),
            json.file);
  EXPECT_EQ(UserLineInPython({Python("<string>", 9, "__init__"), Python("<stdin>"), Native("main", kPython)}),
            "<stdin>");
}

TEST(PythonUserLineTest, PathsOfTheCommandLineDecideForPythonToo) {
  const char* pandas = "/usr/lib/python3/dist-packages/pandas/io.py";
  const std::vector<Location> stack = {Python(pandas), Python(kConnector)};
  EXPECT_EQ(UserLineInPython(stack, {.user_paths = {"/usr/lib/python3/dist-packages/pandas"}}), pandas);
  EXPECT_EQ(UserLineInPython({Python("/srv/app/kit.py"), Python(kConnector)}, {.lib_paths = {"/srv/app/kit.py"}}),
            kConnector);
}

TEST(PythonUserLineTest, TheInterpreterIsALibraryAlsoWhereItIsTheProgram) {
  // The innermost library stands in: it would be the interpreter, if that were the user's.
  const std::vector<Location> stack = {Native("inflate", "/lib/libz.so.1"), Native("PyObject_Call", kPython),
                                       Native("main", kPython)};
  EXPECT_EQ(UserLineInPython(stack), "inflate [libz.so.1]");
  // An application that embeds it has code of its own.
  std::vector<Location> embedded = stack;
  embedded.push_back(Native("Main()", kProgram, "/src/main.cc"));
  EXPECT_EQ(UserLineInPython(embedded, {.main_executable = kProgram}), "/src/main.cc");
}

TEST(PythonUserLineTest, WithoutCodeOfTheUsersWhatIsInnermostStandsIn) {
  EXPECT_EQ(UserLineInPython({Native("malloc", "/lib/libc.so.6"), Native("inflate", "/lib/libz.so.1"),
                              Python("/usr/lib/python3.11/zipfile.py", 7), Python("<frozen runpy>", 9)}),
            "inflate [libz.so.1]");
  EXPECT_EQ(UserLineInPython({Python("/usr/lib/python3.11/zipfile.py", 7), Python("<frozen runpy>", 9)}),
            "/usr/lib/python3.11/zipfile.py");
}

TEST(PythonUserLineTest, WhatAnImportHoldsStandsWhereItIsWritten) {
  const Location import = Python("<frozen importlib._bootstrap_external>", 729);
  EXPECT_EQ(UserLineInPython({import, Python("/usr/lib/python3.11/enum.py", 3), import, Python("<frozen site>", 5)}),
            "/usr/lib/python3.11/enum.py");
  EXPECT_EQ(UserLineInPython({import, Python(kConnector, 1)}), kConnector);
  EXPECT_EQ(UserLineInPython({import, Python("<frozen importlib._bootstrap>", 241)}), import.file);
}

TEST(PythonUserLineTest, AnInstructionOnNoLineIsStillOfItsFile) {
  EXPECT_EQ(UserLineInPython({Python(kConnector, 0), Python("/srv/app/main.py")}), kConnector);
}

TEST(PythonUserLineTest, OurOwnPackageIsNotTheUsers) {
  EXPECT_EQ(UserLineInPython({Python("/opt/allocline/python/allocline/__init__.py"), Python(kConnector)}), kConnector);
}

TEST(PythonUserLineTest, AFunctionOfPythonIsNoAllocatorByItsName) {
  EXPECT_EQ(UserLineInPython({Python(kConnector, 4, "malloc"), Python("/srv/app/main.py")}), kConnector);
}

}  // namespace
}  // namespace allocline
