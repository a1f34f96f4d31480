// Servers under load: they answer as they do untraced, stop when told to, and their recordings are whole.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/e2e/unharmed.h"

namespace allocline::testing {
namespace {

bool Eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

// What clients got, and how the server ended.
struct Served {
  std::vector<std::string> answers;
  std::string ending;
  bool operator==(const Served&) const = default;
};

// Runs redis-server on a socket in `directory`, loads it with redis-benchmark and asks it for its data.
Served ServeRedis(const TempDir& directory, std::map<std::string, std::string> env) {
  std::string socket = directory / "redis.sock";
  Process server({.argv = {"redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--dir",
                           directory.path(), "--enable-debug-command", "yes"},
                  .env = std::move(env)});
  auto ask = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"redis-cli", "-s", socket});
    return RunProgram({.argv = words, .time_limit = std::chrono::seconds(60)}).out;
  };
  Served served;
  EXPECT_TRUE(Eventually([&] { return ask({"ping"}) == "PONG\n"; })) << server.OutputSoFar();
  Outcome load = RunProgram({.argv = {"redis-benchmark", "-s", socket, "-n", "20000", "-c", "20", "-d", "200", "-q",
                                      "-t", "set,get,incr,lpush,sadd,hset,zadd,lrange_100"}});
  served.answers.push_back(load.Ending());
  ask({"eval", "for i = 1, 5000 do redis.call('hset', 'table', i, string.rep('v', i % 100)) end", "0"});
  for (const char* key : {"mylist", "counter:__rand_int__", "key:__rand_int__", "table"}) {
    served.answers.push_back(ask({"type", key}));
  }
  served.answers.push_back(ask({"llen", "mylist"}));
  served.answers.push_back(ask({"get", "counter:__rand_int__"}));
  served.answers.push_back(ask({"eval", "local t = redis.call('hgetall', 'table') table.sort(t) return t", "0"}));
  served.answers.push_back(ask({"dbsize"}));
  ask({"shutdown", "nosave"});
  served.ending = server.Wait().Ending();
  return served;
}

TEST(Servers, RedisUnderItsBenchmarkWithJemallocBehindUs) {
  ASSERT_NE(FindProgram("redis-server"), "") << "redis-server is not installed";
  TempDir plain, traced, recordings;
  Served untraced = ServeRedis(plain, {});
  Served served = ServeRedis(traced, TracingEnvironment(recordings.path()));
  EXPECT_EQ(untraced.ending, "exit 0");
  EXPECT_EQ(served.ending, untraced.ending);
  EXPECT_EQ(served.answers, untraced.answers);

  ASSERT_EQ(RecordingsIn(recordings.path()).size(), 1);
  RecordedProcess process(RecordingsIn(recordings.path()).front(), {});
  EXPECT_GT(process.Total().total_blocks, 100000);
  EXPECT_TRUE(process.recording().header().state & format::kStateNotGlibc);
  EXPECT_NE(std::string(process.recording().header().allocator).find("jemalloc"), std::string::npos);
}

TEST(Servers, RedisUnderItsBenchmarkHasTheStacksThatLibunwindTakes) {
  ASSERT_NE(FindProgram("redis-server"), "") << "redis-server is not installed";
  TempDir directory, recordings;
  EXPECT_EQ(ServeRedis(directory, TracingEnvironment(recordings.path(), {{"ALLOCLINE_VERIFY", "1"}})).ending, "exit 0");
  ASSERT_EQ(RecordingsIn(recordings.path()).size(), 1);
  const RecordedProcess process(RecordingsIn(recordings.path()).front(), {});
  EXPECT_GT(process.recording().header().verified_stacks, 1'000'000);
  EXPECT_EQ(process.recording().header().different_stacks, 0);
}

// nginx with two workers that give up root, serving files from `directory`.
Served ServeNginx(const TempDir& directory, std::map<std::string, std::string> env) {
  std::string big;
  for (int i = 0; i < 200000; ++i) big += std::to_string(i) + "\n";
  std::filesystem::create_directory(directory / "html");
  std::filesystem::permissions(directory.path(), std::filesystem::perms::all);  // for the workers' user
  directory.WriteFile("html/index.html", "<p>hello</p>\n");
  directory.WriteFile("html/big.txt", big);
  std::string socket = directory / "nginx.sock";
  std::string conf = directory.WriteFile("nginx.conf", "worker_processes 2;\ndaemon off;\npid " + directory.path() +
                                                           "/pid;\nerror_log " + directory.path() +
                                                           "/error.log crit;\nevents {}\nhttp {\n  access_log off;\n"
                                                           "  client_body_temp_path " +
                                                           directory.path() +
                                                           "/body;\n"
                                                           "  proxy_temp_path " +
                                                           directory.path() +
                                                           "/proxy;\n"
                                                           "  fastcgi_temp_path " +
                                                           directory.path() +
                                                           "/fastcgi;\n"
                                                           "  uwsgi_temp_path " +
                                                           directory.path() +
                                                           "/uwsgi;\n"
                                                           "  scgi_temp_path " +
                                                           directory.path() +
                                                           "/scgi;\n"
                                                           "  server {\n    listen unix:" +
                                                           socket + ";\n    root " + directory.path() +
                                                           "/html;\n    gzip on;\n"
                                                           "    gzip_types text/plain;\n  }\n}\n");
  Process server(
      {.argv = {"nginx", "-p", directory.path(), "-c", conf, "-e", directory / "error.log"}, .env = std::move(env)});
  auto fetch = [&](const std::string& path, std::vector<std::string> options) {
    options.insert(options.begin(), {"curl", "-s", "--unix-socket", socket, "http://localhost" + path});
    return RunProgram({.argv = options, .time_limit = std::chrono::seconds(60)}).out;
  };
  Served served;
  EXPECT_TRUE(Eventually([&] { return !fetch("/", {}).empty(); })) << server.Wait().err;
  for (int i = 0; i < 20; ++i) served.answers.push_back(fetch("/", {}));
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(fetch("/big.txt", {"--compressed"}) == big);
    served.answers.push_back(fetch("/absent", {"-o", "/dev/null", "-w", "%{http_code}"}));
  }
  server.Signal(SIGHUP);  // new workers, the old ones leave
  EXPECT_TRUE(Eventually([&] { return !fetch("/", {}).empty(); }));
  served.answers.push_back(fetch("/", {}));
  server.Signal(SIGQUIT);
  served.ending = server.Wait().Ending();
  served.answers.push_back(ReadFile(directory / "error.log"));
  return served;
}

TEST(Servers, NginxWithTwoWorkersThatChangeTheirUser) {
  ASSERT_NE(FindProgram("nginx"), "") << "nginx is not installed";
  ASSERT_NE(FindProgram("curl"), "") << "curl is not installed";
  TempDir plain, traced, recordings;
  Served untraced = ServeNginx(plain, {});
  Served served = ServeNginx(traced, TracingEnvironment(recordings.path()));
  EXPECT_EQ(untraced.ending, "exit 0");
  EXPECT_EQ(served.ending, untraced.ending);
  EXPECT_EQ(served.answers, untraced.answers);

  // The master and its workers, two before and two after the reload.
  std::vector<std::string> paths = RecordingsIn(recordings.path());
  EXPECT_GE(paths.size(), 3);
  for (const std::string& path : paths) {
    EXPECT_GT(RecordedProcess(path, {}).Total().total_blocks, 10) << path;
  }
}

}  // namespace
}  // namespace allocline::testing
