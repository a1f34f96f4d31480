// Causes of made-up programs, drawn anew from each seed, as a confusion table: what they are meant to show, and what is
// found. None of them is an example of the repository's.
#include "report/causes.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/report/made_up_program.h"
#include "tests/report/shapes.h"

namespace allocline {
namespace {

using testing::Call;
using testing::Dice;
using testing::ExplainBytes;
using testing::Explained;
using testing::Lib;
using testing::MadeUpProgram;
using testing::Own;
using testing::Std;

constexpr uint64_t kMiB = 1 << 20;

// How the programs of one kind are drawn: their sizes, their names, their limits, how they end.
class Draw {
 public:
  Draw(uint64_t seed, std::string_view kind) : dice(seed, kind) {
    if (dice.Chance(0.5)) program.SetLimit(dice.Chance(0.5) ? 256 * kMiB : 512 * kMiB);
    most = static_cast<uint64_t>(dice.Between(80, 200)) * kMiB;
    batches = dice.Count(8, 40);
    row = dice.Count(40, 900);
    checkpoints = dice.Chance(0.5);
    // A little of everything else: what a kit, a parser of configurations and a logger hold.
    const SiteId kit = program.Site({Std("std::vector<char>::reserve"), Own("Kit::Kit()", 900)});
    program.Allocate(kit, dice.Count(1, 3) * kMiB, 500);
  }

  std::string Name(std::vector<std::string> names) { return names[dice.Count(0, names.size() - 1)]; }
  uint64_t batch() const { return most / batches; }

  // Fills `site` batch by batch, to `most` in all. `also` happens in each batch.
  template <typename Also>
  void Fill(SiteId site, Also also, size_t thread = 0) {
    for (size_t i = 0; i < batches; ++i) {
      also();
      const auto bytes = static_cast<uint64_t>(static_cast<double>(batch()) * dice.Between(0.7, 1.3));
      program.Allocate(site, bytes, std::max<uint64_t>(1, bytes / row), thread);
      if (checkpoints) program.Snapshot("batch");
    }
  }
  void Fill(SiteId site) {
    Fill(site, [] {});
  }
  // What comes and goes: a page, a statement, a line of text.
  void Pass(SiteId site, uint64_t bytes, uint64_t blocks = 1) {
    program.Allocate(site, bytes, blocks);
    program.Free(site, bytes, blocks);
  }
  std::string End() {
    if (dice.Chance(0.5)) program.Exit();
    return program.Bytes();
  }

  Dice dice;
  MadeUpProgram program;
  uint64_t most, row;
  size_t batches;
  bool checkpoints;
};

struct Kind {
  std::string_view name, cause;
  std::string (*draw)(Draw& draw);
};

const std::string kRow = "std::map<std::string, std::variant<long, double, std::string>>";

std::string AppendsPages(Draw& draw) {
  const std::string update = draw.Name({"Update", "Sync::Run", "ExtractOrders", "Pull"});
  const SiteId keeps =
      draw.program.Site({Std(kRow + "::insert"), Std("std::vector<" + kRow + ">::push_back"), Own(update + "()", 20)});
  const SiteId page =
      draw.program.Site({Lib("sqlite3_step", "libsqlite3.so.0"),
                         Own(draw.Name({"NextPage()", "Source::Read()", "Poll()"}), 60), Own(update + "()", 19)});
  draw.Fill(keeps, [&] { draw.Pass(page, 300 << 10, 40); });
  return draw.End();
}
std::string KeepsWhatAPageFunctionMade(Draw& draw) {
  const SiteId row = draw.program.Site(
      {Std("std::_Rb_tree<std::string, std::pair<const std::string, std::variant<long, std::string>>>::_M_create_node"),
       Own(draw.Name({"Api::FetchPage(long)", "NextBatch(Connection&)"}), 70), Own("Update()", 20)});
  const SiteId http = draw.program.Site({Lib("curl_easy_perform", "libcurl.so.4"), Own("Api::Get()", 65)});
  draw.Fill(row, [&] { draw.Pass(http, 64 << 10, 10); });
  return draw.End();
}
std::string ReadsAFileIntoAString(Draw& draw) {
  const SiteId text =
      draw.program.Site({Std("std::__cxx11::basic_string<char>::_M_construct<std::istreambuf_iterator<char>>"),
                         Own(draw.Name({"Slurp(std::string)", "Update()", "Import::Run()"}), 31)});
  draw.program.Allocate(text, draw.most);
  const SiteId rows = draw.program.Site({Std("std::vector<long>::push_back"), Own("Update()", 40)});
  for (size_t i = 0; i < draw.batches; ++i) draw.Pass(rows, 200 << 10, 300);
  return draw.End();
}
std::string ReadsAFileIntoABuffer(Draw& draw) {
  const std::string function = draw.Name({"Load()", "ReadAll()", "Update()"});
  const SiteId open = draw.program.Site({Std("std::basic_filebuf<char>::_M_allocate_internal_buffer"),
                                         Std("std::basic_ifstream<char>::open"), Own(function, 30)});
  draw.Pass(open, 8191);
  const SiteId buffer = draw.program.Site({Std("std::vector<char>::vector"), Own(function, 31)});
  draw.program.Allocate(buffer, draw.most);
  return draw.End();
}
std::string CollectsTheLinesOfAFile(Draw& draw) {
  const std::string function = draw.Name({"ReadCsv(std::string)", "LoadRecords()", "Import::Parse()"});
  const SiteId open = draw.program.Site({Lib("fopen", "libc.so.6"), Own(function, 30)});
  draw.Pass(open, 472);
  draw.Fill(draw.program.Site({Std("std::vector<Order>::emplace_back"), Own(function, 33)}));
  // The vector's own buffer, which may be as large as all that is in it: one block, and not many large ones.
  draw.program.Allocate(draw.program.Site({Std("std::vector<Order>::_M_realloc_insert<Order>"),
                                           Std("std::vector<Order>::emplace_back"), Own(function, 33)}),
                        static_cast<uint64_t>(draw.dice.Between(0.5, 1.3) * static_cast<double>(draw.most)));
  return draw.End();
}
std::string ParsesADocumentFromAFile(Draw& draw) {
  const SiteId nodes = draw.program.Site(
      {Std("nlohmann::basic_json<>::parser<nlohmann::detail::input_stream_adapter>::parse"),
       Std("nlohmann::basic_json<>::parse<std::basic_ifstream<char>&>"), Own(draw.Name({"Read()", "Update()"}), 44)});
  draw.Fill(nodes);
  return draw.End();
}
std::string AsksForAllRowsOfPostgres(Draw& draw) {
  const SiteId result =
      draw.program.Site({Lib("", "libpq.so.5"), Lib("PQgetResult", "libpq.so.5"), Lib("PQexecParams", "libpq.so.5"),
                         Own(draw.Name({"Fetch()", "Update()", "Db::Run(char const*)"}), 51)});
  draw.Fill(result);
  return draw.End();
}
std::string GetsATableOfSqlite(Draw& draw) {
  const SiteId table =
      draw.program.Site({Lib("sqlite3_realloc64", "libsqlite3.so.0"), Lib("sqlite3_exec", "libsqlite3.so.0"),
                         Lib("sqlite3_get_table", "libsqlite3.so.0"), Own("Tickets()", 52)});
  draw.Fill(table);
  return draw.End();
}
std::string StepsThroughAQueryIntoAVector(Draw& draw) {
  const std::string function = draw.Name({"LoadCustomers()", "Query(std::string)", "SelectAll()"});
  const SiteId step = draw.program.Site({Lib("sqlite3_step", "libsqlite3.so.0"), Own(function, 54)});
  const SiteId rows = draw.program.Site({Std("std::vector<Customer>::push_back"), Own(function, 55)});
  draw.checkpoints = false;  // one query is one piece of work
  draw.Fill(rows, [&] { draw.Pass(step, 4 << 10, 3); });
  return draw.End();
}
std::string BuildsOneSideOfAJoin(Draw& draw) {
  const std::string function = draw.Name({"IndexCustomers()", "BuildLeftSide()", "JoinOrders()", "OrdersByCustomer()"});
  const SiteId side =
      draw.program.Site({Std("std::_Hashtable<long, std::pair<const long, Customer>>::_M_insert_unique_node"),
                         Std("std::unordered_map<long, Customer>::emplace"), Own(function, 71)});
  const SiteId step =
      draw.program.Site({Lib("sqlite3_step", "libsqlite3.so.0"), Own("Scan::Next()", 64), Own(function, 70)});
  draw.checkpoints = false;  // nothing can be sent before the side is there
  draw.Fill(side, [&] { draw.Pass(step, 4 << 10, 3); });
  const SiteId sent = draw.program.Site({Std("std::vector<char>::reserve"), Own("Send()", 80)});
  for (size_t i = 0; i < draw.batches; ++i) {
    draw.Pass(sent, 64 << 10);
    draw.program.Snapshot("sent");
  }
  return draw.End();
}
std::string AddsUpByKey(Draw& draw) {
  const SiteId sums = draw.program.Site(
      {Std("std::_Rb_tree<std::string, std::pair<const std::string, Sums>>::_M_emplace_hint_unique"),
       Std("std::map<std::string, Sums>::operator[]"),
       Own(draw.Name({"Aggregate(Rows&)", "TotalsByDay()", "GroupOrders()", "Report::CountsPerShop()"}), 73)});
  draw.checkpoints = false;
  draw.Fill(sums);
  return draw.End();
}
std::string RemembersWhatItLookedUp(Draw& draw) {
  const std::string function = draw.Name({"CustomerCache::Get(long)", "Memo::Find(std::string)", "LookUpCached(int)"});
  const SiteId entries =
      draw.program.Site({Std("std::__detail::_Map_base<long, std::pair<const long, Customer>>::operator[]"),
                         Own(function, 81), Own("Update()", 22)});
  const SiteId get =
      draw.program.Site({Lib("curl_easy_perform", "libcurl.so.4"), Own(function, 80), Own("Update()", 22)});
  draw.Fill(entries, [&] { draw.Pass(get, 16 << 10, 20); });
  return draw.End();
}
// Nothing is called a cache, but it grows while rows are sent and checkpoints are taken.
std::string RemembersAcrossCheckpoints(Draw& draw) {
  draw.checkpoints = true;
  const SiteId entries =
      draw.program.Site({Std("absl::flat_hash_map<long, Customer>::try_emplace"),
                         Own(draw.Name({"Resolve(long)", "Customers::Find(long)"}), 83), Own("Update()", 23)});
  draw.Fill(entries);
  return draw.End();
}
std::string ManyThreadsBufferEach(Draw& draw) {
  const SiteId rows = draw.program.Site(
      {Std("std::vector<Ticket>::push_back"), Own(draw.Name({"Fetcher::Run(int)", "Download(Shard)", "Work()"}), 91)});
  const size_t threads = draw.dice.Count(3, 16);
  for (size_t i = 0; i < threads; ++i) {
    const size_t thread = draw.program.AddThread("fetch");
    draw.program.Allocate(rows, draw.most / threads, draw.most / threads / draw.row, thread);
  }
  return draw.End();
}
std::string OneThreadFillsAQueueForAnother(Draw& draw) {
  const size_t producer = draw.program.AddThread("reader");
  const SiteId items = draw.program.Site({Std("std::deque<Item>::_M_push_back_aux"), Std("std::queue<Item>::push"),
                                          Own(draw.Name({"Read()", "Source::Pump()"}), 93)});
  // The other is slower: two thirds wait.
  for (size_t i = 0; i < draw.batches; ++i) {
    draw.program.Allocate(items, draw.batch() * 3 / 2, draw.batch() / draw.row, producer);
    draw.program.Free(items, draw.batch() / 2, draw.batch() / draw.row / 3, 0);
  }
  return draw.End();
}
std::string KeepsDecodedAttachments(Draw& draw) {
  const SiteId decoded = draw.program.Site(
      {Std("std::__cxx11::basic_string<char>::reserve"),
       Own(draw.Name({"Base64Decode(std::string const&)", "DecodeAttachment(Mail&)", "Blob::Inflate()"}), 95),
       Own("Update()", 24)});
  const uint64_t size = static_cast<uint64_t>(draw.dice.Between(0.2, 6) * static_cast<double>(kMiB));
  for (uint64_t live = 0; live < draw.most; live += size) draw.program.Allocate(decoded, size);
  return draw.End();
}
std::string UnpacksLargeObjects(Draw& draw) {
  const SiteId unpacked =
      draw.program.Site({Lib("inflate", "libz.so.1"), Own("Unpack(Object&)", 96), Own("Update()", 25)});
  const uint64_t size = static_cast<uint64_t>(draw.dice.Between(0.5, 8) * static_cast<double>(kMiB));
  for (uint64_t live = 0; live < draw.most; live += size) draw.program.Allocate(unpacked, size);
  return draw.End();
}
std::string HoldsNestedDocuments(Draw& draw) {
  const SiteId nodes = draw.program.Site({Std("nlohmann::basic_json<>::basic_json"),
                                          Std("nlohmann::basic_json<>::parse<std::string&>"), Own("Expand(Row&)", 97)});
  draw.checkpoints = false;
  draw.Fill(nodes);
  return draw.End();
}

// In C: one function makes a row, and the one that calls it steps through the query.
std::string LinksRowsInC(Draw& draw) {
  const SiteId row = draw.program.Site({Lib("strdup", "libc.so.6"), Own("keep", 98), Own("read_orders", 99)});
  const SiteId step = draw.program.Site({Lib("sqlite3_step", "libsqlite3.so.0"), Own("read_orders", 99)});
  draw.checkpoints = false;
  draw.Fill(row, [&] { draw.Pass(step, 4 << 10, 3); });
  return draw.End();
}

// ---------------------------------------------------------------- what is no finding

std::string SendsPageByPage(Draw& draw) {
  const SiteId page =
      draw.program.Site({Std("std::vector<Order>::push_back"), Own("NextPage()", 60), Own("Update()", 20)});
  const uint64_t size = static_cast<uint64_t>(draw.dice.Between(0.2, 24) * static_cast<double>(kMiB));
  for (size_t i = 0; i < draw.batches; ++i) {
    draw.Pass(page, size, size / draw.row);
    if (draw.checkpoints) draw.program.Snapshot("batch");
  }
  return draw.End();
}
std::string ReadsInChunks(Draw& draw) {
  const std::string function = "ReadCsv()";
  const SiteId open =
      draw.program.Site({Std("std::basic_filebuf<char>::_M_allocate_internal_buffer"), Own(function, 30)});
  draw.Pass(open, 8191);
  const SiteId chunk = draw.program.Site({Std("std::vector<char>::vector"), Own(function, 31)});
  draw.program.Allocate(chunk, 4 * kMiB);
  const SiteId rows = draw.program.Site({Std("std::vector<Order>::push_back"), Own(function, 33)});
  for (size_t i = 0; i < 200; ++i) draw.Pass(rows, 3 * kMiB, 3 * kMiB / draw.row);
  return draw.End();
}
std::string LetsOldEntriesGo(Draw& draw) {
  const SiteId entries = draw.program.Site(
      {Std("std::unordered_map<long, Customer>::emplace"), Own("CustomerCache::Get(long)", 81), Own("Update()", 22)});
  const uint64_t full = 30 * kMiB, step = kMiB;
  for (uint64_t done = 0; done < 40 * full; done += step) {
    draw.program.Allocate(entries, step, step / draw.row);
    if (done >= full) draw.program.Free(entries, step, step / draw.row);
    if (draw.checkpoints && done % (8 * full / 10) == 0) draw.program.Snapshot("batch");
  }
  return draw.End();
}
std::string WorkersWithABound(Draw& draw) {
  const SiteId rows = draw.program.Site({Std("std::vector<Ticket>::push_back"), Own("Fetcher::Run(int)", 91)});
  std::vector<size_t> threads;
  for (size_t i = 0; i < 6; ++i) threads.push_back(draw.program.AddThread("fetch"));
  for (size_t i = 0; i < draw.batches * 2; ++i) {
    for (const size_t thread : threads) draw.program.Allocate(rows, 4 * kMiB, 4 * kMiB / draw.row, thread);
    if (draw.checkpoints) draw.program.Snapshot("batch");
    for (size_t j = 0; j < threads.size(); ++j) draw.program.Free(rows, 4 * kMiB, 4 * kMiB / draw.row, 0);
  }
  return draw.End();
}
std::string ALibraryHoldsIt(Draw& draw) {
  draw.Fill(draw.program.Site({Lib("git_odb_read", "libgit2.so.1"), Lib("git_revwalk_next", "libgit2.so.1")}));
  return draw.End();
}
std::string CodeWithoutLines(Draw& draw) {
  const SiteId nodes = draw.program.Site({{.function = "tree_cons"}, {.function = "parse_file"}});
  draw.Fill(nodes);
  return draw.End();
}
std::string ASmallProgram(Draw& draw) {
  const SiteId rows = draw.program.Site({Std("std::vector<Order>::push_back"), Own("Update()", 20)});
  const SiteId step = draw.program.Site({Lib("sqlite3_step", "libsqlite3.so.0"), Own("Update()", 19)});
  draw.Pass(step, 4096);
  draw.program.Allocate(rows, 6 * kMiB, 6 * kMiB / draw.row);
  return draw.End();
}
// Some bytes more with each checkpoint, which will take years to matter.
std::string LeaksALittle(Draw& draw) {
  const SiteId leak = draw.program.Site({Std("std::vector<long>::push_back"), Own("Update()", 20)});
  const SiteId step =
      draw.program.Site({Lib("sqlite3_step", "libsqlite3.so.0"), Own("NextPage()", 19), Own("Update()", 20)});
  for (size_t i = 0; i < 80; ++i) {
    draw.Pass(step, kMiB, 20);
    draw.program.Allocate(leak, draw.dice.Count(20, 2000));
    draw.program.Snapshot("page");
  }
  return draw.End();
}
// Tables of numbers: vectors that are made as large as they are, and nothing is put into them.
std::string Computes(Draw& draw) {
  const SiteId rows = draw.program.Site(
      {Std("std::vector<double>::vector"), Std("std::vector<std::vector<double>>::vector"), Own("Solve()", 16)});
  draw.program.Allocate(rows, draw.most, draw.dice.Count(1, 4000));
  return draw.End();
}
// An arena: large, and of none of the causes.
std::string AnArena(Draw& draw) {
  draw.program.Allocate(draw.program.Site({Own("Arena::Arena(unsigned long)", 12)}), draw.most);
  return draw.End();
}
// Nodes of a compiler, or of a game: they stay, and nothing points to a source of data.
std::string ATreeOfItsOwn(Draw& draw) {
  draw.checkpoints = false;
  draw.Fill(draw.program.Site({Own("Node::Make(Kind)", 14), Own("Parser::Expression()", 40)}));
  return draw.End();
}

constexpr Kind kPrograms[] = {
    {"appends pages to a vector", "collects_all", AppendsPages},
    {"keeps what a page function made", "collects_all", KeepsWhatAPageFunctionMade},
    {"reads a file into a string", "whole_file", ReadsAFileIntoAString},
    {"reads a file into a buffer", "whole_file", ReadsAFileIntoABuffer},
    {"collects the lines of a file", "whole_file", CollectsTheLinesOfAFile},
    {"parses a document from a file", "whole_file", ParsesADocumentFromAFile},
    {"asks for all rows of PostgreSQL", "whole_result", AsksForAllRowsOfPostgres},
    {"gets a table of SQLite", "whole_result", GetsATableOfSqlite},
    {"steps through a query into a vector", "whole_result", StepsThroughAQueryIntoAVector},
    {"links rows in C", "whole_result", LinksRowsInC},
    {"builds one side of a join", "join_in_memory", BuildsOneSideOfAJoin},
    {"adds up by key", "join_in_memory", AddsUpByKey},
    {"remembers what it looked up", "cache", RemembersWhatItLookedUp},
    {"remembers across checkpoints", "cache", RemembersAcrossCheckpoints},
    {"many threads buffer each", "parallel_fetch", ManyThreadsBufferEach},
    {"one thread fills a queue for another", "parallel_fetch", OneThreadFillsAQueueForAnother},
    {"keeps decoded attachments", "large_objects", KeepsDecodedAttachments},
    {"unpacks large objects", "large_objects", UnpacksLargeObjects},
    {"holds nested documents", "large_objects", HoldsNestedDocuments},
    {"sends page by page", "none", SendsPageByPage},
    {"reads in chunks", "none", ReadsInChunks},
    {"lets old entries go", "none", LetsOldEntriesGo},
    {"workers with a bound", "none", WorkersWithABound},
    {"a library holds it", "none", ALibraryHoldsIt},
    {"code without lines", "none", CodeWithoutLines},
    {"a small program", "none", ASmallProgram},
    {"leaks a little", "none", LeaksALittle},
    {"computes", "none", Computes},
    {"an arena", "none", AnArena},
    {"a tree of its own", "none", ATreeOfItsOwn},
};

TEST(CausesTest, ProgramsOfKnownCauseAreExplainedRight) {
  constexpr size_t kSeeds = 40;
  std::vector<std::string_view> names;
  for (const Cause cause : kCauses) names.push_back(TextOf(cause).name);
  names.push_back("none");
  std::string table = fmt::format("{:<54}", "drawn: meant (rows), found (columns), in 100");
  for (const std::string_view name : names) table += fmt::format(" {:>14}", name);
  for (const Kind& kind : kPrograms) {
    std::map<std::string_view, size_t> counts;
    for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
      Draw draw(seed, kind.name);
      ++counts[ExplainBytes(kind.draw(draw))->cause()];
    }
    table += fmt::format("\n{:<54}", fmt::format("{}: {}", kind.name, kind.cause));
    for (const std::string_view name : names) {
      const size_t count = counts[name];
      table += count == 0 ? fmt::format(" {:>14}", ".") : fmt::format(" {:>14}", count * 100 / kSeeds);
    }
    if (kind.cause == "none") {
      EXPECT_EQ(counts["none"], kSeeds) << kind.name << ": a verdict without evidence";
    } else {
      EXPECT_GE(counts[kind.cause], kSeeds * 95 / 100) << kind.name;
    }
  }
  std::cout << table << "\n";
}

}  // namespace
}  // namespace allocline
