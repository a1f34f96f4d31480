#include "report/function_name.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace allocline {
namespace {

TEST(QualifiedNameTest, ReturnTypeAndParametersAreLeftOut) {
  const std::pair<const char*, const char*> kNames[] = {
      {"main", "main"},
      {"", ""},
      {"f(int)", "f"},
      {"ns::C::f(int) const", "ns::C::f"},
      {"void ns::f<int>(int)", "ns::f<int>"},
      {"std::vector<int, std::allocator<int> > ns::make<int>(int)", "ns::make<int>"},
      {"(anonymous namespace)::f(int)", "(anonymous namespace)::f"},
      {"ns::(anonymous namespace)::C::f()", "ns::(anonymous namespace)::C::f"},
      {"C::operator()(int) const", "C::operator()"},
      {"C::operator<(C const&) const", "C::operator<"},
      {"std::ostream& std::operator<< <char>(std::ostream&, char)", "std::operator<< <char>"},
      {"C::operator->() const", "C::operator->"},
      {"C::operator[](int)", "C::operator[]"},
      {"operator new[](unsigned long)", "operator new[]"},
      {"C::operator std::vector<int, std::allocator<int> >() const",
       "C::operator std::vector<int, std::allocator<int> >"},
      {"main::{lambda(int)#1}::operator()(int) const", "main::{lambda(int)#1}::operator()"},
      {"f(int)::{lambda()#1}::operator()() const", "f(int)::{lambda()#1}::operator()"},
      {"C::f() const::{lambda()#2}::operator()() const", "C::f() const::{lambda()#2}::operator()"},
      {"main::'lambda'(int)::operator()(int) const", "main::'lambda'(int)::operator()"},
      {"decltype(auto) ns::f<int>(int)", "ns::f<int>"},
      {"decltype (x+y) ns::f(int)", "ns::f"},
      {"f[abi:cxx11](int)", "f[abi:cxx11]"},
      {"f(int) [clone .cold]", "f"},
      {"f [clone .isra.0]", "f"},
      {"ns::operatorish(int)", "ns::operatorish"},
      {"f<(E)1>(int)", "f<(E)1>"},
      {"unbalanced<<<(", "unbalanced<<<("},
  };
  for (const auto& [text, name] : kNames) EXPECT_EQ(QualifiedName(text), name) << text;
}

TEST(ShortFunctionNameTest, LongBracketedPartsAreElided) {
  const std::pair<const char*, const char*> kNames[] = {
      {"main", "main"},
      {"std::vector<int>::push_back(int&&)", "std::vector<int>::push_back"},
      {"std::_Rb_tree<std::string, std::pair<std::string const, long> >::_M_get_node()",
       "std::_Rb_tree<...>::_M_get_node"},
      {"(anonymous namespace)::Update(Configuration const&, State&)", "(anonymous namespace)::Update"},
      {"std::ostream& std::operator<< <std::char_traits<char> >(std::ostream&, char const*)", "std::operator<< <...>"},
      {"f(int)::{lambda(std::map<std::string, std::string> const&)#2}::operator()(std::map<std::string, std::string>) "
       "const",
       "f(int)::{lambda(...)#2}::operator()"},
      {"f(std::map<std::string, std::string> const&)::{lambda()#1}::operator()() const",
       "f(...)::{lambda()#1}::operator()"},
      {"", ""},
      {"<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<", "<...>"},
  };
  for (const auto& [text, name] : kNames) EXPECT_EQ(ShortFunctionName(text), name) << text;
}

TEST(FunctionNameTest, AnyTextComesBackAsSomethingNoLonger) {
  const std::string kAlphabet = "a<>(){}[]:'- operator";
  for (uint32_t seed = 0; seed < 20000; ++seed) {
    std::string text;
    uint32_t random = seed * 2654435761u;
    for (int i = 0; i < 12; ++i, random = random * 1664525u + 1013904223u)
      text += kAlphabet[(random >> 16) % kAlphabet.size()];
    ASSERT_LE(QualifiedName(text).size(), text.size()) << text;
    ASSERT_LE(ShortFunctionName(text).size(), text.size()) << text;
  }
}

}  // namespace
}  // namespace allocline
