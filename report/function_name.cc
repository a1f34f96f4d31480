#include "report/function_name.h"

#include <cctype>

namespace allocline {
namespace {

bool IsIdentifier(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

class NameScanner {
 public:
  explicit NameScanner(std::string_view text) : text_(text) {}

  std::string_view Scan() {
    while (at_ < text_.size() && Step()) {
    }
    std::string_view name = text_.substr(begin_, at_ - begin_);
    return name.empty() ? text_ : name;
  }

  std::string Shortened() {
    std::string out;
    while (at_ < text_.size()) {
      size_t from = at_;
      char c = text_[at_];
      if (c == '<' || c == '(' || c == '{' || c == '[') {
        SkipBrackets();
        out += Elided(text_.substr(from, at_ - from));
        continue;
      }
      if (AtOperator()) {
        SkipOperator();
      } else {
        ++at_;
      }
      out += text_.substr(from, at_ - from);
    }
    return out;
  }

 private:
  static constexpr size_t kLongestKept = 24;  // of a bracketed part: "<int, std::string>" says something

  static std::string Elided(std::string_view part) {
    if (part.size() <= kLongestKept) return std::string(part);
    if (part.front() == '<') return "<...>";
    if (part.front() == '(') return "(...)";
    // {lambda(PARAMETERS)#1}
    size_t open = part.find('('), close = part.rfind(')');
    if (open == std::string_view::npos || close == std::string_view::npos || close < open) return std::string(part);
    return std::string(part.substr(0, open)).append("(...)").append(part.substr(close + 1));
  }

  // Moves past one element; false at the end of the name.
  bool Step() {
    switch (text_[at_]) {
      case '<':
      case '{':
      case '[':
        SkipBrackets();
        return true;
      case '(':
        return StepOverParenthesis();
      case ' ':
        if (text_.substr(at_).starts_with(" [clone")) return false;
        begin_ = ++at_;
        return true;
      default:
        if (AtOperator()) {
          SkipOperator();
        } else {
          ++at_;
        }
        return true;
    }
  }

  // Only some open a parameter list: not "(anonymous namespace)", "decltype(...)", "'lambda'(int)", nor the
  // parameters of a function around a local one: "Fill(int) const::{lambda(Row)#1}::operator()".
  bool StepOverParenthesis() {
    std::string_view before = text_.substr(begin_, at_ - begin_);
    size_t open = at_;
    SkipBrackets();
    if (text_.substr(open, at_ - open) == "(anonymous namespace)") return true;
    if (before.empty() || before == "decltype" || before.ends_with('\'')) return true;
    size_t behind = at_;
    for (std::string_view qualifier : {" const", " volatile", " &", "&", "&"}) {
      if (text_.substr(behind).starts_with(qualifier)) behind += qualifier.size();
    }
    if (text_.substr(behind).starts_with("::")) {
      at_ = behind;
      return true;
    }
    at_ = open;
    return false;
  }

  bool AtOperator() const {
    constexpr std::string_view kOperator = "operator";
    if (!text_.substr(at_).starts_with(kOperator) || (at_ > begin_ && IsIdentifier(text_[at_ - 1]))) return false;
    size_t behind = at_ + kOperator.size();
    return behind < text_.size() && !IsIdentifier(text_[behind]);
  }

  void SkipOperator() {
    at_ += std::string_view("operator").size();
    std::string_view rest = text_.substr(at_);
    if (rest.starts_with("()") || rest.starts_with("[]")) {
      at_ += 2;
    } else if (rest.starts_with(' ')) {  // operator new[], operator std::string
      while (at_ < text_.size() && text_[at_] != '(') {
        if (text_[at_] == '<') {
          SkipBrackets();
        } else {
          ++at_;
        }
      }
    } else {
      while (at_ < text_.size() && std::string_view("+-*/%^&|~!=<>,\"").find(text_[at_]) != std::string_view::npos) {
        ++at_;
      }
      if (text_.substr(at_).starts_with(" <")) ++at_;  // operator<< <char>
    }
  }

  // Past the bracket that closes the one at `at_`. Kinds are not told apart: text in between is balanced or cut.
  void SkipBrackets() {
    int depth = 0;
    do {
      char c = text_[at_];
      if (c == '<' || c == '(' || c == '{' || c == '[') ++depth;
      bool arrow = c == '>' && at_ > 0 && text_[at_ - 1] == '-';
      if ((c == '>' && !arrow) || c == ')' || c == '}' || c == ']') --depth;
      ++at_;
    } while (at_ < text_.size() && depth > 0);
  }

  std::string_view text_;
  size_t begin_ = 0;  // of the name
  size_t at_ = 0;
};

}  // namespace

std::string_view QualifiedName(std::string_view demangled) { return NameScanner(demangled).Scan(); }

std::string ShortFunctionName(std::string_view demangled) { return NameScanner(QualifiedName(demangled)).Shortened(); }

}  // namespace allocline
