#include "tests/support/postgres_server.h"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <thread>

namespace allocline::testing {
namespace {

constexpr const char* kUser = "helpdesk";

// Where Debian puts them: beside PATH, a directory per version.
std::string NewestPrograms() {
  std::string newest;
  std::error_code ignored;
  for (const auto& version : std::filesystem::directory_iterator("/usr/lib/postgresql", ignored)) {
    const std::string programs = version.path().string() + "/bin";
    if (FindProgram(programs + "/initdb") != "") newest = std::max(newest, programs);
  }
  if (newest.empty()) throw std::runtime_error("no PostgreSQL server is installed");
  return newest;
}

}  // namespace

PostgresServer::PostgresServer() : programs_(NewestPrograms()) {
  if (getuid() == 0) {
    const passwd* const nobody = getpwnam("nobody");
    if (nobody == nullptr || chown(directory_.path().c_str(), nobody->pw_uid, nobody->pw_gid) != 0) {
      throw std::runtime_error(fmt::format("cannot give {} to the user nobody", directory_.path()));
    }
  }
  const std::string data = directory_ / "data";
  const Outcome made = RunProgram(
      As({programs_ + "/initdb", "-D", data, "-U", kUser, "-A", "trust", "--no-sync", "--no-locale", "-E", "UTF8"}));
  if (!made.ok()) throw std::runtime_error(fmt::format("initdb: {}\n{}", made.Ending(), made.err));
  Command serve = As({programs_ + "/postgres", "-D", data, "-k", directory_.path(), "-c", "listen_addresses=", "-c",
                      "fsync=off", "-c", "autovacuum=off", "-c", "shared_buffers=32MB", "-c", "max_wal_size=4GB"});
  serve.time_limit = std::chrono::hours(1);
  server_.emplace(serve);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!RunProgram(As({programs_ + "/pg_isready", "-q", "-h", directory_.path()})).ok()) {
    if (!server_->running() || std::chrono::steady_clock::now() > deadline) {
      server_->Signal(SIGQUIT);
      throw std::runtime_error(fmt::format("postgres does not come up: {}", server_->Wait().err));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

PostgresServer::~PostgresServer() {
  server_->Signal(SIGQUIT);
  server_->Wait();
}

std::string PostgresServer::where() const {
  return fmt::format("host={} user={} dbname=postgres", directory_.path(), kUser);
}

void PostgresServer::RunScript(const std::string& path, const std::vector<std::string>& psql_options) {
  Command command{.argv = {programs_ + "/psql", "-X", "-q", "-d", where(), "-f", path}};
  command.argv.insert(command.argv.end(), psql_options.begin(), psql_options.end());
  const Outcome outcome = RunProgram(command);
  if (!outcome.ok()) throw std::runtime_error(fmt::format("psql: {}\n{}", outcome.Ending(), outcome.err));
}

Command PostgresServer::As(std::vector<std::string> argv) const {
  Command command{.argv = std::move(argv), .directory = directory_.path()};
  if (getuid() != 0) return command;
  const passwd* const nobody = getpwnam("nobody");
  command.in_child = [user = nobody->pw_uid, group = nobody->pw_gid] {
    if (setgroups(0, nullptr) != 0 || setgid(group) != 0 || setuid(user) != 0) _exit(98);
  };
  return command;
}

}  // namespace allocline::testing
