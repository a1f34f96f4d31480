#include "report/statement.h"

#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <optional>

#include "report/name_words.h"

namespace allocline {
namespace {

// A call in brackets that is not closed on its line goes on for so many; what a statement made is looked for in so
// many.
constexpr uint32_t kStatementLines = 6;
constexpr uint32_t kFollowedLines = 8;
constexpr uint32_t kLinesAround = 40;
constexpr uint32_t kLinesOfLookUp = 6;
constexpr size_t kLongestLine = 2000;  // generated code: nobody's evidence

bool IsNameChar(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

bool IsIn(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

struct KnownText {
  std::string_view text;
  CallKinds kinds;
};
// Methods that put something into the object they are called on.
struct Method {
  std::string_view name;
  CallKinds kinds;
};
// Where the expression that ends before `end` begins: names, dots and arrows, brackets with what is in them.
size_t BeginOfExpression(std::string_view text, size_t end) {
  size_t begin = end;
  while (begin > 0) {
    const char c = text[begin - 1];
    if (IsNameChar(c) || c == '.') {
      --begin;
    } else if (c == '>' && begin > 1 && text[begin - 2] == '-') {
      begin -= 2;
    } else if (c == ']' || c == ')') {
      int depth = 0;
      size_t at = begin;
      while (at > 0) {
        const char d = text[--at];
        depth += d == ']' || d == ')';
        depth -= d == '[' || d == '(';
        if (depth == 0) break;
      }
      if (depth != 0) break;
      begin = at;
    } else {
      break;
    }
  }
  return begin;
}

// The name of a container without what stands in its brackets: "groups" of "groups[row[0]]".
std::string NameOfContainer(std::string_view expression) {
  std::string name;
  int depth = 0;
  for (const char c : expression) {
    depth -= c == ']' || c == ')';
    if (depth == 0 && c != ']' && c != ')' && c != '[' && c != '(') name += c;
    depth += c == '[' || c == '(';
  }
  return name;
}

// Whether a part of the expression is picked by x[i]: not of f(x[i]).
bool HasSubscript(std::string_view expression) {
  int depth = 0;
  for (const char c : expression) {
    if (c == '[' && depth == 0) return true;
    depth += c == '(';
    depth -= c == ')';
  }
  return false;
}

struct Put {
  CallKinds kinds;
  std::string container;
  bool by_subscript = false;
  CallKinds of_array;
};

// "x.append(", "x[i].append(", "x[i].rows.append(": the latter put into a list under a key.
std::optional<Put> PutByMethod(std::string_view text) {
  using enum CallKind;
  static constexpr Method kMethods[] = {
      {"append", kSequence},        {"extend", kSequence},     {"appendleft", kSequence}, {"push_back", kSequence},
      {"emplace_back", kSequence},  {"push_front", kSequence}, {"insert", kSequence},     {"setdefault", kKeyed},
      {"update", kKeyed},           {"add", kKeyed},           {"emplace", kKeyed},       {"try_emplace", kKeyed},
      {"insert_or_assign", kKeyed}, {"put", kQueue},           {"put_nowait", kQueue},    {"push", kQueue},
      {"enqueue", kQueue},
  };
  for (size_t open = text.find('('); open != text.npos; open = text.find('(', open + 1)) {
    size_t begin = open;
    while (begin > 0 && IsNameChar(text[begin - 1])) --begin;
    const std::string_view name = text.substr(begin, open - begin);
    size_t dot = begin;
    if (dot > 0 && text[dot - 1] == '.') {
      dot -= 1;
    } else if (dot > 1 && text.substr(dot - 2, 2) == "->") {
      dot -= 2;
    } else {
      continue;
    }
    for (const Method& method : kMethods) {
      if (name != method.name) continue;
      const std::string_view expression = text.substr(BeginOfExpression(text, dot), dot - BeginOfExpression(text, dot));
      if (expression.empty()) continue;
      const bool subscripted = HasSubscript(expression);
      const bool in_keyed = subscripted || IsIn(expression, ".setdefault(");
      return Put{.kinds = in_keyed ? CallKinds(kKeyed) : method.kinds,
                 .container = NameOfContainer(expression),
                 .by_subscript = subscripted,
                 .of_array = method.kinds};
    }
  }
  return std::nullopt;
}

// Where the first '=' that assigns is, outside of brackets; npos if there is none.
size_t FindAssignment(std::string_view text) {
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    depth += c == '(' || c == '[' || c == '{';
    depth -= c == ')' || c == ']' || c == '}';
    if (c != '=' || depth != 0) continue;
    const char before = i > 0 ? text[i - 1] : ' ', after = i + 1 < text.size() ? text[i + 1] : ' ';
    if (after == '=') {
      ++i;
      continue;
    }
    if (before == '=' || before == '!' || before == '<' || before == '>' || before == ':') continue;
    return i;
  }
  return text.npos;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.remove_suffix(1);
  return text;
}

// "x[key] = ...", "x[key] += ...".
std::optional<Put> PutByKey(std::string_view text) {
  const size_t equals = FindAssignment(text);
  if (equals == text.npos) return std::nullopt;
  std::string_view left = text.substr(0, equals);
  while (!left.empty() && std::string_view("+-|&").find(left.back()) != std::string_view::npos) left.remove_suffix(1);
  left = Trim(left);
  if (!left.ends_with(']')) return std::nullopt;
  const size_t begin = BeginOfExpression(left, left.size());
  const std::string name = NameOfContainer(left.substr(begin));
  if (name.empty() || name == ".") return std::nullopt;
  return Put{.kinds = CallKind::kKeyed, .container = name, .by_subscript = true, .of_array = {}};
}

bool HasWord(std::string_view text, std::string_view word) {
  for (size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1)) {
    const bool begins = at == 0 || !IsNameChar(text[at - 1]);
    const bool ends = at + word.size() == text.size() || !IsNameChar(text[at + word.size()]);
    if (begins && ends) return true;
  }
  return false;
}

// "orders = [f(row) for row in rows]", "by_id = {row[0]: row for ...}", "ids = set(...)".
std::optional<Put> PutByMaking(std::string_view text) {
  const size_t equals = FindAssignment(text);
  if (equals == text.npos) return std::nullopt;
  std::string_view left = Trim(text.substr(0, equals));
  const std::string_view right = Trim(text.substr(equals + 1));
  const bool comprehends = HasWord(right, "for") && HasWord(right, "in");
  CallKinds kinds;
  const bool adds = left.ends_with('+') || left.ends_with('|');  // orders += [row]
  if (adds) left = Trim(left.substr(0, left.size() - 1));
  if (right.starts_with("[") && (comprehends || adds)) kinds = CallKind::kSequence;
  if (right.starts_with("{") && comprehends) kinds = CallKind::kKeyed;
  for (const std::string_view sequence : {"list(", "sorted(", "tuple(", "deque("}) {
    if (right.starts_with(sequence)) kinds = CallKind::kSequence;
  }
  for (const std::string_view keyed : {"set(", "dict("}) {
    if (right.starts_with(keyed)) kinds = CallKind::kKeyed;
  }
  const size_t begin = BeginOfExpression(left, left.size());
  if (kinds.Empty() || begin == left.size()) return std::nullopt;
  return Put{.kinds = kinds, .container = NameOfContainer(left.substr(begin)), .by_subscript = false, .of_array = {}};
}

// The name that a plain assignment gives, or the first variable of a loop over something: "row" of "const Row row =
// f()", "for row in rows:", "for (const Row& row : rows)". Empty if there is none.
std::string NamedBy(std::string_view text) {
  size_t end = text.npos;
  if (text.starts_with("for ") && IsIn(text, " in ")) {
    end = text.find(" in ");
  } else if (text.starts_with("for (") && IsIn(text, " : ")) {
    end = text.find(" : ");
  } else if (!text.starts_with("for ") && !text.starts_with("if ") && !text.starts_with("while ")) {
    end = FindAssignment(text);
  }
  if (end == text.npos) return "";
  std::string_view left = Trim(text.substr(0, end));
  if (!left.empty() && left.back() == '+') return "";  // +=
  size_t begin = left.size();
  while (begin > 0 && IsNameChar(left[begin - 1])) --begin;
  if (begin > 0 && (left[begin - 1] == '.' || left[begin - 1] == '>')) return "";  // a member
  return std::string(left.substr(begin));
}

// Calls whose names are those of libraries. Without quotation marks and what is in them.
CallKinds KindsInText(std::string_view text) {
  using enum CallKind;
  static constexpr KnownText kTexts[] = {
      {".fetchall(", kDatabase | kWholeResult},
      {".fetch_all(", kDatabase | kWholeResult},
      {".fetchdf(", kDatabase | kWholeResult},
      {".fetch_arrow_table(", kDatabase | kWholeResult},
      {"read_sql(", kDatabase | kWholeResult},
      {"read_sql_query(", kDatabase | kWholeResult},
      {"read_sql_table(", kDatabase | kWholeResult},
      {"sqlite3_get_table(", kDatabase | kWholeResult},
      {"PQexec", kDatabase | kWholeResult},
      {"mysql_store_result(", kDatabase | kWholeResult},
      {".fetchmany(", kDatabase | kPaged},
      {".fetchone(", kDatabase},
      {".execute(", kDatabase},
      {"sqlite3_step(", kDatabase},
      {".read()", kFile | kWholeFile},
      {".readlines()", kFile | kWholeFile},
      {"read_text(", kFile | kWholeFile},
      {"read_bytes(", kFile | kWholeFile},
      {"json.load(", kFile | kWholeFile | kDocument},
      {"pickle.load(", kFile | kWholeFile},
      {"yaml.load(", kFile | kWholeFile | kDocument},
      {"yaml.safe_load(", kFile | kWholeFile | kDocument},
      {"tomllib.load(", kFile | kWholeFile | kDocument},
      {"read_csv(", kFile | kWholeFile | kCsv},
      {"read_json(", kFile | kWholeFile | kDocument},
      {"read_parquet(", kFile | kWholeFile},
      {"read_excel(", kFile | kWholeFile},
      {"load_workbook(", kFile | kWholeFile},
      {"etree.parse(", kFile | kWholeFile | kDocument},
      {"ElementTree.parse(", kFile | kWholeFile | kDocument},
      {"ET.parse(", kFile | kWholeFile | kDocument},
      {"istreambuf_iterator<", kFile | kWholeFile},
      {".rdbuf()", kFile | kWholeFile},
      {"csv.reader(", kCsv},
      {"DictReader(", kCsv},
      {"json.loads(", kDocument},
      {"json::parse(", kDocument},
      {".json()", kDocument},
      {"fromstring(", kDocument},
      {"xmltodict.parse(", kDocument},
      {"b64decode(", kBinary},
      {"b64encode(", kBinary},
      {"a2b_base64(", kBinary},
      {"unhexlify(", kBinary},
      {".fromhex(", kBinary},
      {"decompress(", kBinary},
      {"urlopen(", kNetwork},
      {"requests.", kNetwork},
  };
  CallKinds kinds;
  for (const KnownText& known : kTexts) {
    if (IsIn(text, known.text)) kinds |= known.kinds;
  }
  // list(cursor), list(csv.reader(file)), sorted(...): all of what gives one at a time.
  const bool at_once = HasWord(text, "list") || HasWord(text, "sorted") || HasWord(text, "tuple");
  if (at_once && kinds.Has(kCsv)) kinds |= kFile | kWholeFile;
  if (at_once && (IsIn(text, "cursor)") || IsIn(text, ".execute("))) kinds |= kDatabase | kWholeResult;
  return kinds;
}

int OpenBrackets(std::string_view text) {
  int open = 0;
  for (const char c : text) {
    open += c == '(' || c == '[' || c == '{';
    open -= c == ')' || c == ']' || c == '}';
  }
  return open;
}

bool IsPython(std::string_view file) { return file.ends_with(".py"); }

void Keep(const Put& put, uint32_t line, Statement* statement) {
  statement->kinds |= put.kinds;
  statement->container = put.container;
  statement->container_line = line;
  statement->by_subscript = put.by_subscript;
  statement->of_array = put.of_array;
}

}  // namespace

bool StatementReader::IsAsRecorded(std::string_view file) {
  const auto [entry, is_new] = as_recorded_.try_emplace(std::string(file), false);
  if (!is_new) return entry->second;
  struct stat status;
  if (stat(entry->first.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return false;
  const uint64_t changed_ns =
      static_cast<uint64_t>(status.st_mtim.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(status.st_mtim.tv_nsec);
  entry->second = recorded_at_ns_ == 0 || changed_ns <= recorded_at_ns_;
  return entry->second;
}

std::string_view StatementReader::Line(std::string_view file, uint32_t line) {
  if (!IsAsRecorded(file)) return {};
  const std::string_view text = lines_.Get(file, line);
  return text.size() > kLongestLine ? std::string_view() : text;
}

std::string StatementReader::Code(std::string_view file, uint32_t line) {
  const std::string_view text = Line(file, line);
  const bool python = IsPython(file);
  std::string code;
  char quote = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0) {
      if (c == '\\') ++i;
      if (c == quote) {
        quote = 0;
        code += c;
      }
      continue;
    }
    if (python ? c == '#' : text.substr(i, 2) == "//" || text.substr(i, 2) == "/*") break;
    // 1'000 is a number.
    if (c == '"' || (c == '\'' && (i == 0 || python || !IsNameChar(text[i - 1])))) quote = c;
    code += c;
  }
  return std::string(Trim(code));
}

std::string StatementReader::WholeStatement(std::string_view file, uint32_t line, uint32_t* last) {
  std::string text = Code(file, line);
  // Where the line closes more than it opens, or begins in the middle, the statement began further up.
  for (uint32_t up = 1; up < kStatementLines && line > up; ++up) {
    const bool goes_on = OpenBrackets(text) < 0 || text.starts_with(".") || text.starts_with("->");
    if (!goes_on) break;
    text = Code(file, line - up) + " " + text;
  }
  *last = line;
  while (OpenBrackets(text) > 0 && !text.ends_with('{') && !text.ends_with(':') && *last < line + kStatementLines) {
    text += " " + Code(file, ++*last);
  }
  return text;
}

void StatementReader::Follow(std::string_view file, uint32_t line, std::string_view name, Statement* statement) {
  for (uint32_t next = line; next < line + kFollowedLines; ++next) {
    const std::string text = Code(file, next);
    if (text.starts_with("def ") || text.starts_with("class ")) return;
    if (!name.empty() && !HasWord(text, name)) continue;
    std::optional<Put> put = PutByKey(text);
    if (!put) put = PutByMethod(text);
    // row["x"] = ... puts into the row, not the row into something.
    if (!put || put->container == name) continue;
    Keep(*put, next, statement);
    return;
  }
}

Statement StatementReader::Read(std::string_view file, uint32_t line) {
  Statement statement;
  uint32_t last = line;
  const std::string text = WholeStatement(file, line, &last);
  if (text.empty()) return statement;
  statement.text = text;
  statement.kinds = KindsInText(text);
  std::optional<Put> put = PutByKey(text);
  if (!put) put = PutByMethod(text);
  if (put) {
    Keep(*put, line, &statement);
    return statement;
  }
  const std::string name = NamedBy(text);
  // What is all there already needs no container.
  if (!name.empty() && !statement.kinds.Has(CallKind::kWholeResult) && !statement.kinds.Has(CallKind::kWholeFile)) {
    Follow(file, last + 1, name, &statement);
  }
  // A list or dict that goes nowhere else is itself what keeps.
  if (statement.container.empty() && (put = PutByMaking(text))) Keep(*put, line, &statement);
  return statement;
}

CallKinds StatementReader::Around(std::string_view file, uint32_t line) {
  CallKinds kinds;
  for (uint32_t at = line; at > 0 && at + kLinesAround > line; --at) {
    const std::string text = Code(file, at);
    const std::string_view whole = Line(file, at);  // SQL stands in quotation marks
    for (const std::string_view word : {"LIMIT", "OFFSET", "fetchmany", "page_size", "per_page", "next_page"}) {
      if (HasWord(whole, word)) kinds |= CallKind::kPaged;
    }
    if (IsPython(file)) {
      if (HasWord(text, "open") && IsIn(text, "open(") && !IsIn(text, "urlopen(")) kinds |= CallKind::kFile;
      if (IsIn(text, ".execute(") || HasWord(text, "cursor")) kinds |= CallKind::kDatabase;
      if (text.starts_with("def ") || text.starts_with("async def ")) break;
    }
  }
  return kinds;
}

bool StatementReader::IsLookUp(std::string_view file, uint32_t line, std::string_view container) {
  if (container.empty()) return false;
  const std::string name(container);
  bool looks = false, gives_back = false;
  const uint32_t first = line > kLinesOfLookUp ? line - kLinesOfLookUp : 1;
  for (uint32_t at = first; at <= line + kLinesOfLookUp; ++at) {
    const std::string text = Code(file, at);
    for (const std::string_view how : {".find(", ".count(", ".contains(", ".get("})
      looks |= IsIn(text, name + std::string(how));
    looks |= IsIn(text, "in " + name + ":") || text.ends_with("in " + name);
    const size_t back = text.find("return ");
    if (back == text.npos) continue;
    gives_back |= IsIn(text.substr(back), name) || IsIn(text.substr(back), "->second");
  }
  return looks && gives_back;
}

bool StatementReader::IsMemoized(std::string_view file, uint32_t line, std::string_view function) {
  if (!IsPython(file)) return false;
  const size_t dot = function.rfind('.');
  const std::string_view name = dot == function.npos ? function : function.substr(dot + 1);
  constexpr uint32_t kLongestFunction = 200;
  for (uint32_t at = line; at > 0 && at + kLongestFunction > line; --at) {
    const std::string text = Code(file, at);
    if (!text.starts_with("def ") && !text.starts_with("async def ")) continue;
    const std::string_view rest = Trim(std::string_view(text).substr(text.find("def ") + 4));
    if (!rest.starts_with(name) || (rest.size() > name.size() && IsNameChar(rest[name.size()]))) continue;
    for (uint32_t above = at - 1; above > 0; --above) {
      const std::string decorator = Code(file, above);
      if (!decorator.starts_with("@")) return false;
      const std::vector<std::string> words = WordsOf(decorator);
      const bool keeps = std::ranges::any_of(words, [](const std::string& w) {
        return w == "cache" || w == "cached" || w == "memoize" || w == "memoized" || w == "memo";
      });
      if (keeps) return true;
    }
    return false;
  }
  return false;
}

}  // namespace allocline
