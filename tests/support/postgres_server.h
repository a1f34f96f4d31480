// A PostgreSQL server of the test's own: on a socket in a temporary directory, gone with the object.
#ifndef ALLOCLINE_TESTS_SUPPORT_POSTGRES_SERVER_H_
#define ALLOCLINE_TESTS_SUPPORT_POSTGRES_SERVER_H_

#include <optional>
#include <string>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace allocline::testing {

// The server's programs do not run as root: there they become the user nobody. It runs where the test does, not in a
// cgroup that a program of the test enters.
class PostgresServer {
 public:
  // Throws when there is no PostgreSQL, or it does not come up within a minute.
  PostgresServer();
  // Ends it at once. Its data are not wanted any more.
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  // As libpq takes it.
  std::string where() const;
  // Runs a script of psql's. Throws with what psql said when it fails.
  void RunScript(const std::string& path, const std::vector<std::string>& psql_options = {});

 private:
  // A program of PostgreSQL's, as the user that it wants.
  Command As(std::vector<std::string> argv) const;

  TempDir directory_;
  std::string programs_;
  std::optional<Process> server_;
};

}  // namespace allocline::testing

#endif  // ALLOCLINE_TESTS_SUPPORT_POSTGRES_SERVER_H_
