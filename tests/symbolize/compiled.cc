#include "tests/symbolize/compiled.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <sstream>
#include <stdexcept>

#include "symbolize/elf_file.h"
#include "tests/support/paths.h"
#include "tests/support/process.h"

namespace allocline::testing {
namespace {

std::vector<std::string> Words(const std::string& command_line) {
  std::istringstream stream(command_line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

std::unique_ptr<ElfFile> OpenElf(const std::string& path) {
  auto file = ElfFile::Open(path);
  if (!file.ok()) throw std::runtime_error(std::string(file.status().message()));
  return *std::move(file);
}

// "/a/b.cc:12", with what GNU and LLVM add behind it.
void ParsePosition(std::string text, SourceLocation* location) {
  text = text.substr(0, text.find(" ("));  // " (discriminator 2)"
  const size_t colon = text.rfind(':');
  location->file = text.substr(0, colon);
  if (location->file == "??") location->file.clear();
  const std::string line = colon == std::string::npos ? "?" : text.substr(colon + 1);
  location->line = line == "?" ? 0 : static_cast<uint32_t>(std::stoul(line));
}

}  // namespace

bool HasTool(const std::string& tool) { return !FindProgram(tool).empty(); }

std::vector<std::string> Compilers() {
  std::vector<std::string> found;
  for (const char* compiler : {"g++", "clang++"}) {
    if (HasTool(compiler)) found.push_back(compiler);
  }
  return found;
}

bool RunTool(const std::string& command_line, const std::string& directory) {
  Outcome outcome = RunProgram({.argv = Words(command_line), .directory = directory});
  if (!outcome.ok()) ADD_FAILURE() << command_line << ": " << outcome.Ending() << "\n" << outcome.err;
  return outcome.ok();
}

bool ToolFails(const std::string& command_line, const std::string& directory) {
  return !RunProgram({.argv = Words(command_line), .directory = directory}).ok();
}

std::string SourcePath(std::string_view name) {
  return fmt::format("{}/tests/symbolize/programs/{}", SourceDir(), name);
}

uint32_t LineWith(const std::string& source_path, std::string_view text) {
  std::istringstream source(ReadFile(source_path));
  uint32_t number = 0, found = 0;
  for (std::string line; std::getline(source, line);) {
    ++number;
    if (line.find(text) == std::string::npos) continue;
    if (found != 0)
      throw std::runtime_error(fmt::format("{}: '{}' is on lines {} and {}", source_path, text, found, number));
    found = number;
  }
  if (found == 0) throw std::runtime_error(fmt::format("{}: no line with '{}'", source_path, text));
  return found;
}

std::map<std::string, Extent> FunctionExtents(const std::string& path) {
  std::map<std::string, Extent> extents;
  std::unique_ptr<ElfFile> file = OpenElf(path);
  file->ForEachCodeSymbol(ElfFile::SymbolTableKind::kSymtab, [&](const ElfSymbol& symbol) {
    if (symbol.type == STT_FUNC && symbol.size > 0) {
      extents[std::string(symbol.name)] = {.address = symbol.address, .bytes = symbol.size};
    }
  });
  return extents;
}

std::vector<uint64_t> SampleAddresses(const std::string& path, size_t count, uint32_t seed) {
  std::vector<uint64_t> bytes;
  for (const auto& [name, extent] : FunctionExtents(path)) {
    for (uint64_t i = 0; i < extent.bytes; ++i) bytes.push_back(extent.address + i);
  }
  std::sort(bytes.begin(), bytes.end());
  bytes.erase(std::unique(bytes.begin(), bytes.end()), bytes.end());
  std::mt19937 random(seed);
  std::shuffle(bytes.begin(), bytes.end(), random);
  bytes.resize(std::min(bytes.size(), count));
  return bytes;
}

std::map<uint64_t, std::vector<SourceLocation>> AskOracle(const std::string& tool, const std::string& path,
                                                          const std::vector<uint64_t>& addresses) {
  std::string input;
  for (uint64_t address : addresses) input += fmt::format("{:#x}\n", address);
  std::vector<std::string> argv = {tool, "-a", "-i", "-f", "-e", path};
  if (tool == "llvm-symbolizer") argv.insert(argv.end(), {"--output-style=GNU", "--no-demangle"});
  Outcome outcome = RunProgram({.argv = argv, .input = input});
  if (!outcome.ok()) throw std::runtime_error(fmt::format("{}: {}\n{}", tool, outcome.Ending(), outcome.err));

  std::map<uint64_t, std::vector<SourceLocation>> answers;
  std::vector<SourceLocation>* current = nullptr;
  std::istringstream stream(outcome.out);
  for (std::string line; std::getline(stream, line);) {
    if (line.empty()) continue;
    if (line.starts_with("0x")) {
      current = &answers[std::stoull(line, nullptr, 16)];
      continue;
    }
    if (current == nullptr) throw std::runtime_error(fmt::format("{}: unexpected '{}'", tool, line));
    SourceLocation location{.function = line == "??" ? "" : line};
    std::getline(stream, line);
    ParsePosition(line, &location);
    current->push_back(location);
  }
  return answers;
}

std::string ToText(const std::vector<SourceLocation>& locations) {
  std::string text;
  for (const SourceLocation& location : locations) {
    text += fmt::format("    {}:{} {}{}\n", location.file, location.line, location.function,
                        location.inlined ? " (inlined)" : "");
  }
  return text;
}

}  // namespace allocline::testing
