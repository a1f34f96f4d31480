// Names out of demangled functions, which C++ makes long: the name itself is often a hundredth of the text.
//
// The text has no grammar worth the word, but three rules find the name in what demanglers print: it ends at the first
// parenthesis that opens parameters, it begins after the last space outside of brackets before that, and an "operator"
// is read as a unit. Text that is none of it comes back as it is.
#ifndef ALLOCLINE_REPORT_FUNCTION_NAME_H_
#define ALLOCLINE_REPORT_FUNCTION_NAME_H_

#include <string>
#include <string_view>

namespace allocline {

// "std::vector<int>::push_back" of "void std::vector<int>::push_back<int>(int&&)": without return type and parameters.
std::string_view QualifiedName(std::string_view demangled);

// The qualified name with long bracketed parts elided: "std::_Rb_tree<...>::_M_get_node".
std::string ShortFunctionName(std::string_view demangled);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_FUNCTION_NAME_H_
