#include "report/known_calls.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "report/function_name.h"
#include "report/path_text.h"

namespace allocline {
namespace {

struct KnownName {
  std::string_view begins;
  CallKinds kinds;
};

// How a native function's qualified name begins; inline namespaces (std::__cxx11::) are left out of it.
std::span<const KnownName> KnownFunctions() {
  using enum CallKind;
  static constexpr KnownName kKnown[] = {
      {"sqlite3_get_table", kDatabase | kWholeResult},
      {"sqlite3_", kDatabase},
      {"PQexec", kDatabase | kWholeResult},
      {"PQgetResult", kDatabase | kWholeResult},
      {"PQ", kDatabase},
      {"pqxx::", kDatabase},
      {"mysql_store_result", kDatabase | kWholeResult},
      {"mysql_stmt_store_result", kDatabase | kWholeResult},
      {"mysql_", kDatabase},
      {"SQLExecDirect", kDatabase},
      {"SQLFetch", kDatabase},
      {"SQLite::", kDatabase},
      {"soci::", kDatabase},
      {"mongocxx::", kDatabase},
      {"mongoc_", kDatabase},
      {"duckdb::", kDatabase},

      {"std::basic_filebuf<", kFile},
      {"std::basic_ifstream<", kFile},
      {"std::basic_fstream<", kFile},
      {"fopen", kFile},
      {"_IO_fopen", kFile},
      {"_IO_new_fopen", kFile},
      {"__fopen_internal", kFile},
      {"fdopen", kFile},
      {"__getdelim", kFile},
      {"getdelim", kFile},
      {"std::ostream::operator<<(std::basic_streambuf<", kWholeFile},
      {"std::basic_ostream<char, std::char_traits<char> >::operator<<(std::basic_streambuf<", kWholeFile},
      {"g_file_get_contents", kFile | kWholeFile},
      {"xmlReadFile", kFile | kWholeFile},
      {"xmlParseFile", kFile | kWholeFile},
      {"json_load_file", kFile | kWholeFile},
      {"json_object_from_file", kFile | kWholeFile},
      {"YAML::LoadFile", kFile | kWholeFile},
      {"toml::parse_file", kFile | kWholeFile},
      {"pugi::xml_document::load_file", kFile | kWholeFile},
      {"rapidcsv::", kCsv | kWholeFile},
      {"csv::", kCsv},
      {"io::LineReader", kFile},
      {"io::CSVReader", kCsv},

      {"nlohmann::", kDocument},
      {"rapidjson::", kDocument},
      {"simdjson::", kDocument},
      {"boost::json::", kDocument},
      {"boost::property_tree::", kDocument},
      {"Json::", kDocument},
      {"json_load", kDocument},
      {"json_tokener_parse", kDocument},
      {"cJSON_", kDocument},
      {"yyjson_", kDocument},
      {"xmlRead", kDocument},
      {"xmlParse", kDocument},
      {"pugi::", kDocument},
      {"tinyxml2::", kDocument},
      {"YAML::", kDocument},

      {"EVP_Decode", kBinary},
      {"EVP_Encode", kBinary},
      {"g_base64_", kBinary},
      {"inflate", kBinary},
      {"uncompress", kBinary},
      {"ZSTD_decompress", kBinary},
      {"LZ4_decompress", kBinary},
      {"BZ2_bz", kBinary},
      {"lzma_", kBinary},

      {"std::vector<", kSequence},
      {"std::list<", kSequence},
      {"std::forward_list<", kSequence},
      {"std::deque<", kSequence},
      {"absl::InlinedVector<", kSequence},
      {"boost::container::vector<", kSequence},
      {"boost::container::small_vector<", kSequence},
      {"folly::fbvector<", kSequence},
      {"QVector<", kSequence},
      {"QList<", kSequence},
      {"g_list_", kSequence},
      {"g_slist_", kSequence},
      {"g_array_", kSequence},
      {"g_ptr_array_", kSequence},

      {"std::map<", kKeyed},
      {"std::multimap<", kKeyed},
      {"std::set<", kKeyed},
      {"std::multiset<", kKeyed},
      {"std::unordered_", kKeyed},
      {"std::_Rb_tree<", kKeyed},
      {"std::_Hashtable<", kKeyed},
      {"std::__detail::_Map_base<", kKeyed},
      {"std::__detail::_Insert_base<", kKeyed},
      {"absl::flat_hash_", kKeyed},
      {"absl::node_hash_", kKeyed},
      {"absl::btree_", kKeyed},
      {"absl::container_internal::", kKeyed},
      {"boost::unordered", kKeyed},
      {"boost::container::flat_", kKeyed},
      {"robin_hood::", kKeyed},
      {"ankerl::unordered_dense::", kKeyed},
      {"tsl::", kKeyed},
      {"phmap::", kKeyed},
      {"folly::F14", kKeyed},
      {"QHash<", kKeyed},
      {"QMap<", kKeyed},
      {"g_hash_table_", kKeyed},
      {"hcreate", kKeyed},
      {"tsearch", kKeyed},

      {"std::queue<", kQueue},
      {"std::priority_queue<", kQueue},
      {"moodycamel::", kQueue},
      {"tbb::concurrent_queue<", kQueue},
      {"tbb::concurrent_bounded_queue<", kQueue},
      {"boost::lockfree::", kQueue},
      {"g_async_queue_", kQueue},
      {"g_queue_", kQueue},

      {"curl_", kNetwork},
      {"SSL_", kNetwork},
      {"httplib::", kNetwork},
      {"cpr::", kNetwork},
      {"grpc::", kNetwork},
      {"boost::beast::", kNetwork},
      {"boost::asio::", kNetwork},
  };
  return kKnown;
}

// How the name of a library's file begins.
std::span<const KnownName> KnownLibraries() {
  using enum CallKind;
  static constexpr KnownName kKnown[] = {
      {"libsqlite3.", kDatabase},
      {"_sqlite3.", kDatabase},
      {"libpq.", kDatabase | kWholeResult},  // what it holds are results: rows that are taken one by one do not stay
      {"libmariadb.", kDatabase | kWholeResult},
      {"libmysqlclient.", kDatabase | kWholeResult},
      {"libpqxx", kDatabase},
      {"_psycopg.", kDatabase},
      {"libodbc.", kDatabase},
      {"libsybdb.", kDatabase},
      {"libct.", kDatabase},
      {"libclntsh.", kDatabase},
      {"libmongoc-", kDatabase},
      {"libduckdb", kDatabase},
      {"duckdb.", kDatabase},
      {"_mysql.", kDatabase},
      {"_csv.", kCsv},
      {"_json.", kDocument},
      {"orjson.", kDocument},
      {"ujson.", kDocument},
      {"libexpat.", kDocument},
      {"pyexpat.", kDocument},
      {"libxml2.", kDocument},
      {"libyaml", kDocument},
      {"libjansson.", kDocument},
      {"libjson-c.", kDocument},
      {"libjsoncpp.", kDocument},
      {"binascii.", kBinary},
      {"zlib.", kBinary},
      {"libz.", kBinary},
      {"libzstd.", kBinary},
      {"liblzma.", kBinary},
      {"libbz2.", kBinary},
      {"_queue.", kQueue},
      {"libcurl", kNetwork},
      {"libssl.", kNetwork},
      {"_ssl.", kNetwork},
      {"libgrpc", kNetwork},
  };
  return kKnown;
}

struct KnownPython {
  std::string_view path_part;
  std::string_view function;  // how the last part of its name begins; "" for any
  CallKinds kinds;
};
std::span<const KnownPython> KnownPythonFiles() {
  using enum CallKind;
  static constexpr KnownPython kKnown[] = {
      {"/json/__init__.py", "load", kDocument},
      {"/json/decoder.py", "", kDocument},
      {"/simplejson/", "", kDocument},
      {"/yaml/", "", kDocument},
      {"/xml/", "", kDocument},
      {"/lxml/", "", kDocument},
      {"/xmltodict", "", kDocument},
      {"/csv.py", "", kCsv},
      {"/base64.py", "", kBinary},
      {"/gzip.py", "", kBinary},
      {"/zipfile", "", kBinary},
      {"/lzma.py", "", kBinary},
      {"/bz2.py", "", kBinary},
      {"/_compression.py", "", kBinary},
      {"/pathlib", "read_", kFile | kWholeFile},
      {"/codecs.py", "", kFile},
      {"<frozen codecs>", "", kFile},
      {"/fileinput.py", "", kFile},
      {"/pandas/io/sql.py", "", kDatabase | kWholeResult},
      {"/pandas/io/parsers/", "", kCsv | kWholeFile},
      {"/pandas/io/json/", "", kDocument | kWholeFile},
      {"/pandas/io/", "", kWholeFile},
      {"/openpyxl/", "", kWholeFile},
      {"/pyarrow/parquet", "read", kWholeFile},
      {"/sqlalchemy/", "fetchall", kDatabase | kWholeResult},
      {"/sqlalchemy/", "all", kDatabase | kWholeResult},
      {"/sqlalchemy/", "_allrows", kDatabase | kWholeResult},
      {"/sqlalchemy/", "", kDatabase},
      {"/psycopg/", "fetchall", kDatabase | kWholeResult},
      {"/psycopg/", "", kDatabase},
      {"/psycopg2/", "", kDatabase},
      {"/pg8000/", "", kDatabase},
      {"/asyncpg/", "", kDatabase},
      {"/pymysql/", "_read_rowdata_packet", kDatabase | kWholeResult},
      {"/pymysql/", "", kDatabase},
      {"/pymssql", "", kDatabase},
      {"/pymongo/", "", kDatabase},
      {"/cx_Oracle", "", kDatabase},
      {"/oracledb/", "", kDatabase},
      {"/snowflake/", "", kDatabase},
      {"/sqlite3/", "", kDatabase},
      {"/queue.py", "", kQueue},
      {"/asyncio/queues.py", "", kQueue},
      {"/multiprocessing/queues.py", "", kQueue},
      {"/http/client.py", "", kNetwork},
      {"/urllib3/", "", kNetwork},
      {"/requests/", "", kNetwork},
      {"/httpx/", "", kNetwork},
      {"/aiohttp/", "", kNetwork},
      {"/boto3/", "", kNetwork},
      {"/botocore/", "", kNetwork},
      {"/grpc/", "", kNetwork},
      {"/ssl.py", "", kNetwork},
  };
  return kKnown;
}

bool HasPart(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

// "std::list<" for "std::__cxx11::list<".
std::string WithoutInlineNamespaces(std::string_view name) {
  std::string text(name);
  for (const std::string_view inner : {"__cxx11::", "__1::", "__debug::", "__cxx1998::", "lts_20220623::"}) {
    for (size_t at; (at = text.find(inner)) != text.npos;) text.erase(at, inner.size());
  }
  return text;
}

// The arguments of the first template in `name`: {"long", "std::vector<int>"} of "std::map<long, std::vector<int>
// >::at".
std::vector<std::string_view> TemplateArguments(std::string_view name) {
  std::vector<std::string_view> arguments;
  const size_t open = name.find('<');
  if (open == name.npos) return arguments;
  int depth = 0;
  size_t begin = open + 1;
  for (size_t i = open; i < name.size(); ++i) {
    depth += name[i] == '<' || name[i] == '(';
    depth -= name[i] == '>' || name[i] == ')';
    if (!(depth == 0 || (depth == 1 && name[i] == ','))) continue;
    arguments.push_back(name.substr(begin, i - begin));
    if (depth == 0) break;
    begin = i + 1;
    while (begin < name.size() && name[begin] == ' ') ++begin;
  }
  return arguments;
}

// A row as a map from column to value is no container of rows.
bool IsRow(std::string_view map) {
  std::vector<std::string_view> arguments = TemplateArguments(map);
  // What a map is made of has pairs.
  if (arguments.size() > 1 && arguments[1].starts_with("std::pair<")) arguments = TemplateArguments(arguments[1]);
  return arguments.size() > 1 && (arguments[1].starts_with("std::variant<") || arguments[1].starts_with("std::any"));
}

// Whether a container's method adds to it, and does not make it, copy it, or give it room.
bool IsPut(std::string_view method) {
  int depth = 0;
  size_t begin = 0;
  for (size_t i = 0; i < method.size(); ++i) {
    if (method.substr(i).starts_with("operator")) break;
    depth += method[i] == '<';
    depth -= method[i] == '>';
    if (depth == 0 && method.substr(i, 2) == "::") begin = i + 2;
  }
  std::string_view name = method.substr(begin);
  name = name.substr(0, name.starts_with("operator") ? name.npos : name.find('<'));
  for (const std::string_view other : {"vector",
                                       "list",
                                       "deque",
                                       "forward_list",
                                       "map",
                                       "multimap",
                                       "set",
                                       "multiset",
                                       "unordered_map",
                                       "unordered_set",
                                       "unordered_multimap",
                                       "queue",
                                       "_Rb_tree",
                                       "_Hashtable",
                                       "_Vector_base",
                                       "_Deque_base",
                                       "operator=",
                                       "assign",
                                       "reserve",
                                       "resize",
                                       "rehash",
                                       "_M_copy",
                                       "_M_assign",
                                       "_M_create_storage",
                                       "_M_initialize_map",
                                       "_M_fill_initialize",
                                       "_M_default_initialize",
                                       "_M_range_initialize",
                                       "_M_default_append",
                                       "_M_fill_assign",
                                       "_M_assign_aux",
                                       "_M_assign_elements"}) {
    if (name == other) return false;
  }
  return true;
}

CallKinds KindsOfFunction(std::string_view demangled) {
  const std::string whole = WithoutInlineNamespaces(demangled);
  const std::string_view name = QualifiedName(whole);
  CallKinds kinds;
  for (const KnownName& known : KnownFunctions()) {
    // What is told by its parameters has those in its pattern.
    const std::string_view text = HasPart(known.begins, "(") ? std::string_view(whole) : name;
    if (!text.starts_with(known.begins)) continue;
    kinds = known.kinds;
    break;
  }
  // Templates say what they are made for.
  if (HasPart(name, "istreambuf_iterator<")) kinds |= CallKind::kFile | CallKind::kWholeFile;
  if (kinds.Has(CallKind::kDocument) &&
      (HasPart(name, "ifstream") || HasPart(name, "input_stream_adapter") || HasPart(name, "file_input_adapter") ||
       HasPart(name, "FileReadStream") || HasPart(name, "IStreamWrapper"))) {
    kinds |= CallKind::kFile | CallKind::kDocumentOfFile;
  }
  if (HasPart(name, "istream_iterator<")) kinds |= CallKind::kFile | CallKind::kWholeFile;
  if (!(kinds & kContainers).Empty()) {
    kinds |= CallKind::kContainer;
    if (!IsPut(name) || (kinds.Has(CallKind::kKeyed) && IsRow(name))) kinds = kinds - kContainers;
  }
  return kinds;
}

CallKinds KindsOfPython(const Location& location) {
  const size_t dot = location.function.rfind('.');
  const std::string_view name = dot == location.function.npos ? location.function : location.function.substr(dot + 1);
  const std::string_view path = location.file.empty() ? location.where : location.file;
  for (const KnownPython& known : KnownPythonFiles()) {
    if (HasPart(path, known.path_part) && name.starts_with(known.function)) return known.kinds;
  }
  return {};
}

}  // namespace

CallKinds KindsOfCall(const Location& location) {
  // Of the user's own files names say nothing: a requests/sync.py of theirs talks to nobody.
  if (location.python) return location.role == FrameRole::kUser ? CallKinds() : KindsOfPython(location);
  CallKinds kinds = KindsOfFunction(location.function);
  const std::string_view library = Basename(location.module);
  for (const KnownName& known : KnownLibraries()) {
    if (library.starts_with(known.begins)) kinds |= known.kinds;
  }
  return kinds;
}

}  // namespace allocline
