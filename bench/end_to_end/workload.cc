#include "bench/end_to_end/workload.h"

#include <fmt/core.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace allocline::bench {
namespace {

std::string FirstLineOf(const std::string& shell_command) {
  FILE* output = popen(shell_command.c_str(), "r");
  if (output == nullptr) return "";
  char line[1024] = "";
  const bool any = fgets(line, sizeof line, output) != nullptr;
  pclose(output);
  std::string text = any ? line : "";
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

bool Installed(const std::string& program) { return !FirstLineOf("command -v " + program).empty(); }

std::string Count(double number) { return fmt::format("{:.0f}", std::max(1.0, number)); }

Workload GrowContainer(const Tools& tools, double scale) {
  Workload w;
  w.name = fmt::format("list of {:.0f}M small blocks, then freed", 10 * scale);
  w.command.arguments = {tools.programs + "/grow_container", Count(10e6 * scale)};
  w.cpu_goal = goals::kGrowContainer;
  return w;
}

Workload PassBlocks(const Tools& tools, double scale) {
  Workload w;
  w.name = "two threads free each other's blocks";
  w.command.arguments = {tools.programs + "/pass_blocks", Count(400 * scale)};
  w.throughput_goal = goals::kPassBlocks;
  return w;
}

// Statements as an application sends them one by one: each is parsed, planned, run and dropped.
Workload Sqlite(const Tools& tools, double scale) {
  Workload w;
  w.name = "sqlite3, a script of statements";
  if (!Installed("sqlite3")) w.missing = "sqlite3 is not installed";
  w.command.arguments = {"sqlite3", ":memory:"};
  w.cpu_goal = goals::kSqlite;
  w.command.input = tools.scratch + "/script.sql";
  std::ofstream script(w.command.input);
  script << "create table orders(id integer primary key, customer text, amount real, note text);\n"
            "create index by_customer on orders(customer);\nbegin;\n";
  const int rows = static_cast<int>(80'000 * scale);
  for (int i = 0; i < rows; ++i) {
    script << fmt::format(
        "insert into orders(customer, amount, note) values('customer {}', {}.5, upper('note {}') || hex({}));\n",
        i * 7919 % 5000, i % 1000, i, i);
    if (i % 4 == 3) {
      script << fmt::format("select count(*), sum(amount), max(note) from orders where customer = 'customer {}';\n",
                            i % 5000);
    }
  }
  script << "commit;\nselect customer, group_concat(note), avg(amount) from orders group by customer order by 3 desc "
            "limit 5;\n";
  return w;
}

// The compiler proper, not its driver: one process.
Workload Compiler(const Tools& tools, double scale) {
  Workload w;
  w.name = fmt::format("cc1plus {}, header-heavy file", scale < 1 ? "-fsyntax-only" : "-O1");
  const std::string compiler = FirstLineOf("g++ -print-prog-name=cc1plus 2>/dev/null");
  const std::string multiarch = FirstLineOf("g++ -print-multiarch 2>/dev/null");
  if (compiler.empty() || compiler[0] != '/') w.missing = "g++ is not installed";
  w.command.arguments = {compiler, "-quiet"};
  if (!multiarch.empty()) w.command.arguments.insert(w.command.arguments.end(), {"-imultiarch", multiarch});
  w.command.arguments.insert(w.command.arguments.end(), {"-D_GNU_SOURCE", "-std=c++17"});
  // Smaller work: the same headers, but no code is generated.
  w.command.arguments.push_back(scale < 1 ? "-fsyntax-only" : "-O1");
  w.command.arguments.push_back(tools.sources + "/bench/end_to_end/programs/header_heavy.cc");
  w.command.arguments.insert(w.command.arguments.end(), {"-o", "/dev/null"});
  w.cpu_goal = goals::kCompiler;
  w.tracer_mib_goal = goals::kTracerMiBCompiler;
  w.recording_mib_goal = 0;
  return w;
}

Workload Redis(const Tools& tools, double scale) {
  Workload w;
  w.name = "redis-server, SET and GET, pipelined";
  for (const char* program : {"redis-server", "redis-cli", "redis-benchmark"}) {
    if (!Installed(program)) w.missing = std::string(program) + " is not installed";
  }
  const std::string socket = tools.scratch + "/redis.sock";
  w.command.arguments = {"redis-server", "--port", "0",     "--unixsocket", socket, "--save", "",
                         "--appendonly", "no",     "--dir", tools.scratch};
  w.cpu_goal = goals::kRedis;
  const std::string requests = Count(1e6 * scale);
  w.during = [socket, requests] {
    Command ping, load, shutdown;
    ping.arguments = {"redis-cli", "-s", socket, "ping"};
    load.arguments = {"redis-benchmark", "-s", socket,   "-q", "-P",  "16", "-n",
                      requests,          "-r", "100000", "-d", "100", "-t", "set,get"};
    shutdown.arguments = {"redis-cli", "-s", socket, "shutdown", "nosave"};
    const auto run = [](const Command& command) { return Process::Start(command).Wait().ok(); };
    int tries = 0;
    while (!run(ping) && ++tries < 200) usleep(50'000);
    if (!run(load)) Die("redis-benchmark failed");
    run(shutdown);
  };
  return w;
}

}  // namespace

Workload ParseJson(const Tools& tools, double scale) {
  Workload w;
  w.name = fmt::format("nlohmann::json, {:.0f} MB", 50 * scale);
  w.command.arguments = {tools.programs + "/parse_json", Count(50 * scale)};
  w.cpu_goal = goals::kParseJson;
  w.map_share_goal = goals::kMapShareJson;
  return w;
}

std::vector<Workload> MakeWorkloads(const Tools& tools, double scale) {
  return {GrowContainer(tools, scale), ParseJson(tools, scale), Sqlite(tools, scale),
          Compiler(tools, scale),      Redis(tools, scale),     PassBlocks(tools, scale)};
}

}  // namespace allocline::bench
