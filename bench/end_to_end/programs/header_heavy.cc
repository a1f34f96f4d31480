// Input for the compiler, not a program of ours: headers that make it allocate through very many different stacks.
#include <algorithm>
#include <functional>
#include <future>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <regex>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

int main() {
  const std::regex words("([a-z]+)\\s*=\\s*([0-9]+)");
  const nlohmann::json value = nlohmann::json::parse(R"({"a": [1, 2, {"b": "c"}]})");
  std::map<std::string, std::vector<int>> index;
  for (const auto& [key, item] : value.items()) index[key].push_back(static_cast<int>(item.size()));
  std::smatch match;
  const std::string text = "depth = 8";
  if (std::regex_search(text, match, words)) std::cout << match[1] << value.dump(2) << index.size() << '\n';
}
