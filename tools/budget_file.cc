#include "tools/budget_file.h"

#include <errno.h>
#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <utility>

#include "base/status_macros.h"
#include "report/filter.h"
#include "tools/byte_size.h"

// Errors are values here, and nothing in a file is compiled into the program.
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#define TOML_ENABLE_UNRELEASED_FEATURES 0
// Of a key in a damaged file its parser asserts, or with NDEBUG lets the compiler assume, what it then looks at and
// reports: only the report is wanted.
#pragma push_macro("NDEBUG")
#undef NDEBUG
#define TOML_ASSERT(expr) static_assert(true)
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

namespace allocline {
namespace {

constexpr size_t kMostFileBytes = 1 << 20;
constexpr uint64_t kMostBudget = uint64_t{1} << 50;

struct Measure {
  std::string_view key;
  BudgetMeasure measure;
};
constexpr Measure kMeasures[] = {{"peak", BudgetMeasure::kPeak},     {"live", BudgetMeasure::kLive},
                                 {"blocks", BudgetMeasure::kBlocks}, {"rss", BudgetMeasure::kRss},
                                 {"growth", BudgetMeasure::kGrowth}, {"growth_per_row", BudgetMeasure::kGrowthPerRow}};

// What may stand in a table of each kind, beside measures.
struct ScopeKeys {
  BudgetScope scope;
  std::vector<std::string_view> keys;
};
const ScopeKeys& KeysOf(BudgetScope scope) {
  static const std::vector<ScopeKeys> kScopes = {
      {BudgetScope::kTotal, {"peak", "live", "blocks", "growth", "growth_per_row"}},
      {BudgetScope::kLabel, {"name", "live", "blocks", "rss"}},
      {BudgetScope::kLine, {"name", "at", "peak", "live", "blocks", "growth", "growth_per_row"}},
      {BudgetScope::kFile, {"name", "at", "peak", "live", "blocks", "growth", "growth_per_row"}},
      {BudgetScope::kFunction, {"name", "at", "peak", "live", "blocks", "growth", "growth_per_row"}}};
  return *std::find_if(kScopes.begin(), kScopes.end(), [scope](const ScopeKeys& keys) { return keys.scope == scope; });
}

// How many characters have to be put in, taken out or exchanged (Levenshtein).
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = above;
    }
  }
  return row[b.size()];
}

// "; did you mean 'peak'?", or what there is where nothing is near.
std::string NearestOf(std::string_view unknown, const std::vector<std::string_view>& known) {
  constexpr size_t kLongestKey = 40;
  const std::string_view word = unknown.substr(0, kLongestKey);
  const auto nearest = std::min_element(known.begin(), known.end(), [word](std::string_view a, std::string_view b) {
    return EditDistance(word, a) < EditDistance(word, b);
  });
  if (EditDistance(word, *nearest) <= std::max<size_t>(1, nearest->size() / 2)) {
    return fmt::format("; did you mean '{}'?", *nearest);
  }
  std::string text = "; expected ";
  for (size_t i = 0; i < known.size(); ++i) {
    text += fmt::format("{}{}", i == 0 ? "" : (i + 1 == known.size() ? " or " : ", "), known[i]);
  }
  return text;
}

class BudgetParser {
 public:
  explicit BudgetParser(std::string name) : name_(std::move(name)) {}

  absl::StatusOr<std::vector<Budget>> Parse(std::string_view text) && {
    toml::parse_result parsed = toml::parse(text, std::string_view(name_));
    if (!parsed) return ErrorAt(parsed.error().source(), std::string(parsed.error().description()));
    const toml::table& file = parsed.table();
    for (const auto& [key, node] : file) RETURN_IF_ERROR(AddTopLevel(key, node));
    if (budgets_.empty()) {
      return absl::InvalidArgumentError(fmt::format("{}: holds no budget; `man allocline-check` has examples", name_));
    }
    std::stable_sort(budgets_.begin(), budgets_.end(),
                     [](const Budget& a, const Budget& b) { return a.source_line < b.source_line; });
    return std::move(budgets_);
  }

 private:
  absl::Status ErrorAt(const toml::source_region& where, const std::string& message) const {
    return absl::InvalidArgumentError(fmt::format("{}:{}: {}", name_, where.begin.line, message));
  }

  static BudgetScope ScopeOf(std::string_view key, bool* known) {
    *known = true;
    for (const BudgetScope scope :
         {BudgetScope::kTotal, BudgetScope::kLabel, BudgetScope::kLine, BudgetScope::kFile, BudgetScope::kFunction}) {
      if (BudgetScopeName(scope) == key) return scope;
    }
    *known = false;
    return BudgetScope::kTotal;
  }

  absl::Status AddTopLevel(const toml::key& key, const toml::node& node) {
    bool known = false;
    const BudgetScope scope = ScopeOf(key.str(), &known);
    if (!known) {
      return ErrorAt(key.source(), fmt::format("unknown key '{}'{}", key.str(),
                                               NearestOf(key.str(), {"total", "label", "line", "file", "function"})));
    }
    if (scope == BudgetScope::kTotal) {
      if (const toml::table* table = node.as_table()) return AddTable(scope, *table);
      return ErrorAt(key.source(), "'total' is a table: write [total], and its budgets below");
    }
    const toml::array* array = node.as_array();
    if (array == nullptr) {
      return ErrorAt(key.source(), fmt::format("there may be several of '{0}': write [[{0}]]", key.str()));
    }
    for (const toml::node& each : *array) {
      const toml::table* table = each.as_table();
      if (table == nullptr) return ErrorAt(each.source(), fmt::format("expected tables: write [[{}]]", key.str()));
      RETURN_IF_ERROR(AddTable(scope, *table));
    }
    return absl::OkStatus();
  }

  absl::Status AddTable(BudgetScope scope, const toml::table& table) {
    Budget common{.scope = scope};
    for (const auto& [key, node] : table) RETURN_IF_ERROR(ReadWords(key, node, &common));
    if (scope != BudgetScope::kTotal && common.name.empty()) {
      return ErrorAt(table.source(), fmt::format("this {} has no name: which one is meant?", BudgetScopeName(scope)));
    }
    RETURN_IF_ERROR(CheckName(table, common));
    const size_t before = budgets_.size();
    for (const auto& [key, node] : table) RETURN_IF_ERROR(ReadMeasure(key, node, common));
    const bool uses_at = std::any_of(budgets_.begin() + static_cast<std::ptrdiff_t>(before), budgets_.end(),
                                     [](const Budget& budget) { return budget.at.has_value(); });
    if (common.at && !uses_at)
      return ErrorAt(table.source(), "'at' says when 'live' and 'blocks' are looked at: give one");
    if (budgets_.size() > before) return absl::OkStatus();
    return ErrorAt(table.source(),
                   fmt::format("this {} has no budget{}", BudgetScopeName(scope), NearestOf("", MeasuresOf(scope))));
  }

  static std::vector<std::string_view> MeasuresOf(BudgetScope scope) {
    std::vector<std::string_view> keys = KeysOf(scope).keys;
    std::erase_if(keys, [](std::string_view key) { return key == "name" || key == "at"; });
    return keys;
  }

  absl::Status ReadWords(const toml::key& key, const toml::node& node, Budget* budget) const {
    const std::vector<std::string_view>& known = KeysOf(budget->scope).keys;
    if (std::find(known.begin(), known.end(), key.str()) == known.end()) {
      return ErrorAt(key.source(), fmt::format("unknown key '{}' of a {}{}", key.str(), BudgetScopeName(budget->scope),
                                               NearestOf(key.str(), known)));
    }
    if (key.str() != "name" && key.str() != "at") return absl::OkStatus();
    const auto text = node.value_exact<std::string>();
    if (!text || text->empty()) return ErrorAt(node.source(), fmt::format("{}: expected a text in quotes", key.str()));
    if (key.str() == "name") {
      budget->name = *text;
    } else {
      budget->at = *text;
    }
    return absl::OkStatus();
  }

  absl::Status CheckName(const toml::table& table, const Budget& budget) const {
    if (budget.scope != BudgetScope::kLine && budget.scope != BudgetScope::kFile) return absl::OkStatus();
    const absl::StatusOr<Filter> filter = ParseFilter("file=" + budget.name);
    if (!filter.ok()) return ErrorAt(table.source(), fmt::format("name: {}", std::string(filter.status().message())));
    if (filter->line.has_value() == (budget.scope == BudgetScope::kLine)) return absl::OkStatus();
    return ErrorAt(table.source(), budget.scope == BudgetScope::kLine
                                       ? fmt::format("name: expected FILE:LINE, not '{}'", budget.name)
                                       : fmt::format("name: '{}' is a line: write [[line]]", budget.name));
  }

  absl::Status ReadMeasure(const toml::key& key, const toml::node& node, const Budget& common) {
    const auto* const measure =
        std::find_if(std::begin(kMeasures), std::end(kMeasures), [&](const Measure& m) { return m.key == key.str(); });
    if (measure == std::end(kMeasures)) return absl::OkStatus();
    Budget budget = common;
    budget.measure = measure->measure;
    budget.source_line = key.source().begin.line;
    const bool of_a_moment = budget.measure == BudgetMeasure::kLive || budget.measure == BudgetMeasure::kBlocks;
    if (!of_a_moment) budget.at.reset();
    ASSIGN_OR_RETURN(budget.most, Amount(key, node, budget.measure == BudgetMeasure::kBlocks));
    budgets_.push_back(std::move(budget));
    return absl::OkStatus();
  }

  absl::StatusOr<double> Amount(const toml::key& key, const toml::node& node, bool of_blocks) const {
    const std::string expected = of_blocks ? "a whole number" : "a number of bytes, or a text such as \"512 MiB\"";
    if (const auto number = node.value_exact<int64_t>()) {
      if (*number >= 0 && static_cast<uint64_t>(*number) <= kMostBudget) return static_cast<double>(*number);
    } else if (const auto text = node.value_exact<std::string>(); text && !of_blocks) {
      std::string size = *text;
      std::erase(size, ' ');
      const absl::StatusOr<uint64_t> bytes = ParseByteSize("", size, 0, kMostBudget);
      if (bytes.ok()) return static_cast<double>(*bytes);
    }
    return ErrorAt(node.source(), fmt::format("{}: expected {}", key.str(), expected));
  }

  const std::string name_;
  std::vector<Budget> budgets_;
};

}  // namespace

absl::StatusOr<std::vector<Budget>> ParseBudgets(std::string_view text, const std::string& name) {
  return BudgetParser(name).Parse(text);
}

absl::StatusOr<std::vector<Budget>> ReadBudgetFile(const std::string& path) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(fopen(path.c_str(), "re"), &fclose);
  std::string text(kMostFileBytes + 1, '\0');
  size_t bytes = 0;
  if (file != nullptr) bytes = fread(text.data(), 1, text.size(), file.get());
  if (file == nullptr || ferror(file.get()) != 0) {
    const std::string message = fmt::format("{}: cannot be read: {}", path, strerror(errno));
    return errno == ENOENT ? absl::NotFoundError(message) : absl::PermissionDeniedError(message);
  }
  if (bytes > kMostFileBytes) {
    return absl::InvalidArgumentError(fmt::format("{}: is larger than 1 MiB, which no budget file is", path));
  }
  text.resize(bytes);
  return ParseBudgets(text, path);
}

}  // namespace allocline
