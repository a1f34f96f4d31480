#include "examples/connectors/connector_kit.h"

#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace connectors {
namespace {

std::string state_path;  // empty: this run keeps no state

void PrintLine(const nlohmann::json& line) {
  std::string text = line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  text += '\n';
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size())
    throw std::runtime_error("cannot write to stdout");
}

nlohmann::json ReadJson(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  return nlohmann::json::parse(file);
}

}  // namespace

void Upsert(std::string_view table, const Row& row) {
  nlohmann::json data = nlohmann::json::object();
  for (const auto& [column, value] : row) {
    std::visit([&cell = data[column]](const auto& it) { cell = it; }, value);
  }
  PrintLine({{"type", "upsert"}, {"table", table}, {"data", std::move(data)}});
}

void Checkpoint(const State& state) {
  PrintLine({{"type", "checkpoint"}, {"state", state}});
  std::fflush(stdout);
  if (state_path.empty()) return;
  // Written beside and renamed: a run that dies here leaves the old state or the new one, never half of one.
  const std::string fresh_path = state_path + ".new";
  std::ofstream fresh(fresh_path);
  fresh << state << '\n';
  fresh.close();
  if (!fresh) throw std::runtime_error("cannot write " + fresh_path);
  std::filesystem::rename(fresh_path, state_path);
}

void Log(std::string_view level, std::string_view message) {
  PrintLine({{"type", "log"}, {"level", level}, {"message", message}});
}

int RunConnector(int argc, char** argv, void (*update)(const Configuration&, State&)) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: %s CONFIGURATION.json [STATE.json]\n", argv[0]);
    return 2;
  }
  try {
    const Configuration configuration = ReadJson(argv[1]);
    if (argc == 3) state_path = argv[2];
    State state = State::object();
    if (!state_path.empty() && std::filesystem::exists(state_path)) state = ReadJson(state_path);
    Log("info", "sync started");
    update(configuration, state);
    Log("info", "sync finished");
    if (std::fflush(stdout) != 0) throw std::runtime_error("cannot write to stdout");
    return 0;
  } catch (const std::exception& error) {
    Log("severe", error.what());
    return 1;
  }
}

}  // namespace connectors
