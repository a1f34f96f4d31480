// One ELF file, opened read-only: who it is (build id), its symbols, and its sections, decompressed when asked for.
//
// Threads:    none of its own; one thread at a time.
// Invariants: bytes handed out stay valid and unchanged for the life of the ElfFile. A section is decompressed once.
// At the edge: whatever the bytes of the file are, the answer is a result or an error, never a crash; a section that
//             is absent is an empty section, one that cannot be read is an error that says why.
#ifndef ALLOCLINE_SYMBOLIZE_ELF_FILE_H_
#define ALLOCLINE_SYMBOLIZE_ELF_FILE_H_

#include <libelf.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "symbolize/inflate.h"

namespace allocline {

struct DebugLink {
  std::string file_name;
  uint32_t crc = 0;  // of the whole file it names
};

// A link to a debug file that several others share (made by dwz).
struct DebugAltLink {
  std::string file_name;
  std::string build_id;  // raw bytes
};

struct ElfSymbol {
  std::string_view name;
  uint64_t address = 0;
  uint64_t size = 0;
  uint64_t section_end = 0;  // where the section that holds it ends
  uint8_t type = 0;          // STT_*
  uint8_t binding = 0;       // STB_*
};

class ElfFile {
 public:
  static absl::StatusOr<std::unique_ptr<ElfFile>> Open(const std::string& path);
  ~ElfFile();
  ElfFile(const ElfFile&) = delete;
  ElfFile& operator=(const ElfFile&) = delete;

  const std::string& path() const { return path_; }
  const std::string& build_id() const { return build_id_; }  // raw bytes, "" if the file has none
  // Virtual address of the first loaded segment: tells a prelinked file from its debug file.
  uint64_t first_load_address() const { return first_load_address_; }
  uint8_t address_bytes() const { return address_bytes_; }

  std::optional<DebugLink> debug_link() const;
  absl::StatusOr<std::optional<DebugAltLink>> debug_alt_link();
  // CRC-32 of the whole file, as .gnu_debuglink uses it.
  uint32_t Crc32() const;

  // True if the section exists and has bytes in this file (a debug file has headers of sections it does not hold).
  bool HasSection(std::string_view name) const;
  // The bytes of ".debug_info" and the like, from .zdebug_info if that is how the file spells it. Empty if absent.
  absl::StatusOr<std::string_view> Section(std::string_view name);
  // Calls `visit` for each defined symbol in executable sections, of .symtab or of .dynsym.
  enum class SymbolTableKind { kSymtab, kDynsym };
  void ForEachCodeSymbol(SymbolTableKind kind, const std::function<void(const ElfSymbol&)>& visit);

 private:
  ElfFile(std::string path, char* image, size_t bytes) : path_(std::move(path)), image_(image), bytes_(bytes) {}
  absl::Status ReadHeaders();
  Elf_Scn* FindSection(std::string_view name) const;
  absl::StatusOr<std::string_view> ReadSection(Elf_Scn* section, std::string_view name);

  std::string path_;
  char* image_;  // the mapped file
  size_t bytes_;
  Elf* elf_ = nullptr;
  size_t names_index_ = 0;
  std::string build_id_;
  uint64_t first_load_address_ = 0;
  uint8_t address_bytes_ = 8;
  std::map<std::string, std::string_view, std::less<>> sections_;  // those handed out
  std::map<std::string, LargeBuffer, std::less<>> decompressed_;   // the bytes of some of them
};

}  // namespace allocline

#endif  // ALLOCLINE_SYMBOLIZE_ELF_FILE_H_
