// Texts quoted as Python's repr() quotes a str: 'a.py', "it's".
#ifndef ALLOCLINE_REPORT_PYTHON_REPR_H_
#define ALLOCLINE_REPORT_PYTHON_REPR_H_

#include <string>
#include <string_view>

namespace allocline {

std::string PythonRepr(std::string_view text);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_PYTHON_REPR_H_
