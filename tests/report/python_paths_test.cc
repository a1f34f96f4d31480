#include "report/python_paths.h"

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

namespace allocline {
namespace {

TEST(PythonPathsTest, TheStandardLibraryAndWhatIsInstalledAreLibraries) {
  const PythonPaths paths;
  for (const char* path :
       {"/usr/lib/python3.11/json/decoder.py", "/export/.pyenv/versions/3.8.18/lib/python3.8/threading.py",
        "/opt/py/lib64/python3.13t/abc.py", "/opt/tool/python311.zip/json/decoder.py", "<frozen importlib._bootstrap>",
        "<frozen os>", "/srv/app/.venv/lib/python3.11/site-packages/pandas/io.py",
        "/usr/lib/python3/dist-packages/numpy/core/numeric.py", "lib/python3.12/random.py",
        "/export/.local/lib/python3.9/site-packages/x.py", "/usr/local/share/allocline/python/allocline/__init__.py",
        "/opt/py/lib/python3.11/lib-dynload/_json.cpython-311-x86_64-linux-gnu.so"}) {
    EXPECT_TRUE(paths.IsLibrary(path)) << path;
  }
}

TEST(PythonPathsTest, OtherCodeIsNot) {
  const PythonPaths paths;
  for (const char* path :
       {"/srv/app/connector.py", "connector.py", "", "<string>", "<stdin>", "/srv/python/connector.py",
        "/srv/lib/python/connector.py", "/srv/lib/python3/connector.py", "/srv/lib/python3.x/connector.py",
        "/srv/lib/python3.11", "/srv/mylib/python3.11/a.py", "/srv/python.zip/a.py", "/srv/python311.zips/a.py",
        "/srv/site-packages.py", "/srv/my-site-packages/a.py", "<ipython-input-1-abc>"}) {
    EXPECT_FALSE(paths.IsLibrary(path)) << path;
  }
}

TEST(PythonPathsTest, AModuleIsWhatWasImported) {
  const PythonPaths paths;
  EXPECT_EQ(paths.ModuleOf("/usr/lib/python3.11/json/decoder.py"), "/usr/lib/python3.11/json");
  EXPECT_EQ(paths.ModuleOf("/usr/lib/python3.11/threading.py"), "/usr/lib/python3.11/threading.py");
  EXPECT_EQ(paths.ModuleOf("/v/lib/python3.9/site-packages/pandas/io/parsers/readers.py"),
            "/v/lib/python3.9/site-packages/pandas");
  EXPECT_EQ(paths.ModuleOf("/v/lib/python3.9/site-packages/six.py"), "/v/lib/python3.9/site-packages/six.py");
  EXPECT_EQ(paths.ModuleOf("/t/python311.zip/json/decoder.py"), "/t/python311.zip/json");
  EXPECT_EQ(paths.ModuleOf("<frozen importlib._bootstrap>"), "<frozen importlib._bootstrap>");
  EXPECT_EQ(paths.ModuleOf("/srv/app/rows/fetch.py"), "/srv/app/rows/fetch.py");
  EXPECT_EQ(paths.ModuleOf("<string>"), "<string>");
}

TEST(PythonPathsTest, AnInterpreterThatIsBroughtAlongHasItsLibraryWhereItIs) {
  const PythonPaths paths({"/srv/app/main.py", "/srv/tool/py/encodings/__init__.py", "/srv/tool/py/json/decoder.py",
                           "/usr/lib/python3.11/encodings/__init__.py"});
  EXPECT_TRUE(paths.IsLibrary("/srv/tool/py/threading.py"));
  EXPECT_EQ(paths.ModuleOf("/srv/tool/py/json/decoder.py"), "/srv/tool/py/json");
  EXPECT_FALSE(paths.IsLibrary("/srv/tool/python.py"));
  EXPECT_FALSE(paths.IsLibrary("/srv/app/main.py"));
}

TEST(PythonPathsTest, ARelativeOrBareFolderMakesNothingALibrary) {
  const PythonPaths paths({"encodings/__init__.py", "/encodings/__init__.py", "/srv/app/my_encodings/__init__.py"});
  EXPECT_FALSE(paths.IsLibrary("connector.py"));
  EXPECT_FALSE(paths.IsLibrary("/connector.py"));
  EXPECT_FALSE(paths.IsLibrary("/srv/app/connector.py"));
}

TEST(PythonPathsTest, AMadeUpFileIsInBrackets) {
  for (const char* file : {"<string>", "<stdin>", "<attrs generated init __main__.Row>", ""}) {
    EXPECT_TRUE(IsMadeUpPythonFile(file)) << file;
  }
  for (const char* file : {"a.py", "<a.py", "a>"}) EXPECT_FALSE(IsMadeUpPythonFile(file)) << file;
}

TEST(PythonPathsTest, ALauncherIsNamedAsInterpretersAre) {
  for (const char* path :
       {"python", "/usr/bin/python3", "/usr/bin/python3.11", "/opt/bin/python3.13t", "python3.11d"}) {
    EXPECT_TRUE(IsPythonLauncher(path)) << path;
  }
  for (const char* path : {"/usr/bin/uwsgi", "/app/pythonista", "/app/connector", "/app/my-python3", ""}) {
    EXPECT_FALSE(IsPythonLauncher(path)) << path;
  }
}

}  // namespace
}  // namespace allocline
