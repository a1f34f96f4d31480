// What the path of a Python source file says: whether it is of the standard library or of an installed package, and of
// which. Nothing here looks at a disk.
//
//   /opt/py/lib/python3.11/json/decoder.py                     the standard library's json
//   /srv/app/.venv/lib/python3.11/site-packages/pandas/io.py   pandas, installed
//   /usr/lib/python3/dist-packages/numpy/core/numeric.py       numpy, installed by Debian
//   /opt/tool/python311.zip/json/decoder.py                    the standard library, in an archive
//   <frozen importlib._bootstrap>                              the standard library, in the interpreter itself
//   /srv/app/connector.py, connector.py, <string>              none of them
#ifndef ALLOCLINE_REPORT_PYTHON_PATHS_H_
#define ALLOCLINE_REPORT_PYTHON_PATHS_H_

#include <string>
#include <string_view>
#include <vector>

namespace allocline {

class PythonPaths {
 public:
  PythonPaths() = default;
  // Learns from the files of a recording where its standard library is, if that is not at a place like those above: an
  // application that brings its own interpreter has it anywhere.
  explicit PythonPaths(const std::vector<std::string_view>& files);

  // Of the standard library or an installed package; extension modules in their folders too.
  bool IsLibrary(std::string_view path) const;
  // The folder or file right below the standard library or the place packages are installed in: what was imported.
  // `file` itself outside of them.
  std::string_view ModuleOf(std::string_view file) const;

 private:
  size_t EndOfRoot(std::string_view path) const;

  std::vector<std::string> roots_;  // each ends with a slash
};

// <string>, <stdin>, <attrs generated init Row>: no file at all, but code that was made up by a program.
bool IsMadeUpPythonFile(std::string_view file);

// python, python3, python3.11, /usr/bin/python3.13t: what starts an interpreter and does nothing else.
bool IsPythonLauncher(std::string_view path);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_PYTHON_PATHS_H_
