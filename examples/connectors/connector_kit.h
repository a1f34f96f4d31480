// A connector kit in miniature: what the author of a data connector works with.
//
// A connector is one function, update(configuration, state): it reads its source from where `state` says the last run
// stopped, sends rows by Upsert(), and says by Checkpoint() how far it came. Everything meant for the destination
// leaves as one JSON object per line on stdout; the state outlives the process in a file.
//
// Threads: everything here is called from update(), on the thread that runs it.
#ifndef ALLOCLINE_EXAMPLES_CONNECTORS_CONNECTOR_KIT_H_
#define ALLOCLINE_EXAMPLES_CONNECTORS_CONNECTOR_KIT_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>

namespace connectors {

using Configuration = nlohmann::json;
using State = nlohmann::json;
using Value = std::variant<std::nullptr_t, int64_t, double, std::string>;
using Row = std::map<std::string, Value>;  // by column name

// Sends one row: the destination inserts it, or replaces the row with the same key.
void Upsert(std::string_view table, const Row& row);

// Everything sent so far may be made durable; the next run begins with this state.
void Checkpoint(const State& state);

void Log(std::string_view level, std::string_view message);

// The body of main(): PROGRAM CONFIGURATION.json [STATE.json]. A missing state file is a first run.
// Gives the exit code: 0, or 1 after a line at level "severe" that says why.
int RunConnector(int argc, char** argv, void (*update)(const Configuration&, State&));

}  // namespace connectors

#endif  // ALLOCLINE_EXAMPLES_CONNECTORS_CONNECTOR_KIT_H_
