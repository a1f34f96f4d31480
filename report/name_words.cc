#include "report/name_words.h"

#include <algorithm>
#include <cctype>

namespace allocline {

std::vector<std::string> WordsOf(std::string_view name) {
  std::vector<std::string> words;
  bool new_word = true;
  for (size_t i = 0; i < name.size(); ++i) {
    const auto c = static_cast<unsigned char>(name[i]);
    if (std::isalpha(c) == 0) {
      // base64 and b64 are words.
      if (std::isdigit(c) != 0 && !words.empty() && !new_word) {
        words.back() += static_cast<char>(c);
      } else {
        new_word = true;
      }
      continue;
    }
    const bool after_small = i > 0 && (std::islower(static_cast<unsigned char>(name[i - 1])) != 0 ||
                                       std::isdigit(static_cast<unsigned char>(name[i - 1])) != 0);
    const bool before_small = i + 1 < name.size() && std::islower(static_cast<unsigned char>(name[i + 1])) != 0;
    const bool after_capital = i > 0 && std::isupper(static_cast<unsigned char>(name[i - 1])) != 0;
    if (std::isupper(c) != 0 && (after_small || (after_capital && before_small))) new_word = true;
    if (new_word) words.emplace_back();
    new_word = false;
    words.back() += static_cast<char>(std::tolower(c));
  }
  return words;
}

std::span<const NamedFact> NamedFacts() {
  static const std::vector<NamedFact> facts = {
      {FactKind::kNamedCache,
       "a cache",
       {"cache", "caches", "cached", "memo", "memoize", "memoized", "lru", "seen", "known", "dedup", "interned"}},
      {FactKind::kNamedJoin,
       "a join or a sum",
       {"join",       "joined",      "joins",  "merge",  "merged",  "aggregate", "aggregates",
        "aggregated", "aggregation", "group",  "groups", "grouped", "by",        "index",
        "indexed",    "total",       "totals", "sum",    "sums",    "counts",    "bucket",
        "buckets",    "histogram",   "pivot",  "left",   "right",   "lookup",    "per"}},
      {FactKind::kNamedPage, "pages", {"page", "pages", "batch", "batches", "chunk", "chunks"}},
      {FactKind::kNamedQuery, "a query", {"query", "queries", "select", "fetchall", "resultset"}},
      {FactKind::kNamedFile,
       "a file",
       {"file", "files", "csv", "jsonl", "ndjson", "slurp", "load", "loader", "parse", "reader"}},
      {FactKind::kNamedBinary,
       "binary data",
       {"base64", "b64", "blob", "blobs", "attachment", "attachments", "binary", "inflate", "unzip", "gunzip",
        "decompress", "thumbnail", "image", "images", "pdf", "decode", "decoded", "payload"}},
      {FactKind::kNamedQueue,
       "a queue or its workers",
       {"queue", "queues", "producer", "prefetch", "worker", "workers", "fetcher", "parallel", "backlog", "channel"}},
  };
  return facts;
}

bool IsRowName(std::string_view name) {
  const size_t dot = name.find_last_of(".>");
  if (dot != name.npos) name.remove_prefix(dot + 1);
  for (const std::string_view word : {"row", "record", "fields", "columns", "values", "cells", "out"}) {
    if (name == word) return true;
  }
  return false;
}

}  // namespace allocline
