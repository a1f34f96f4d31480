#include "symbolize/elf_file.h"

#include <elfutils/libdwelf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gelf.h>
#include <libdeflate.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace allocline {
namespace {

constexpr uint32_t kCompressZstd = 2;  // ELFCOMPRESS_ZSTD, younger than the headers we build with

absl::Status CannotOpen(const std::string& path, int error) {
  std::string message = fmt::format("{}: {}", path, std::strerror(error));
  return error == ENOENT || error == ENOTDIR ? absl::NotFoundError(message) : absl::PermissionDeniedError(message);
}

// .zdebug_info, the spelling before SHF_COMPRESSED: "ZLIB", the size as 8 big-endian bytes, and the stream.
constexpr size_t kZdebugHeaderBytes = 12;

absl::StatusOr<LargeBuffer> InflateZdebug(std::string_view bytes) {
  if (bytes.size() < kZdebugHeaderBytes || bytes.substr(0, 4) != "ZLIB") return absl::DataLossError("no ZLIB header");
  uint64_t size = 0;
  for (char byte : bytes.substr(4, 8)) size = size << 8 | static_cast<uint8_t>(byte);
  return InflateZlib(bytes.substr(kZdebugHeaderBytes), size);
}

absl::StatusOr<LargeBuffer> InflateSection(std::string_view bytes, uint8_t address_bytes) {
  Elf64_Chdr header = {};
  size_t header_bytes = sizeof(Elf64_Chdr);
  if (address_bytes == 4) {
    Elf32_Chdr header32;
    header_bytes = sizeof(header32);
    if (bytes.size() < header_bytes) return absl::DataLossError("no compression header");
    std::memcpy(&header32, bytes.data(), header_bytes);
    header.ch_type = header32.ch_type;
    header.ch_size = header32.ch_size;
  } else {
    if (bytes.size() < header_bytes) return absl::DataLossError("no compression header");
    std::memcpy(&header, bytes.data(), header_bytes);
  }
  if (header.ch_type == kCompressZstd) {
    return absl::UnimplementedError(
        "zstd-compressed, which elfutils 0.188 does not read (objcopy "
        "--decompress-debug-sections makes a file that can be read)");
  }
  if (header.ch_type != ELFCOMPRESS_ZLIB) {
    return absl::UnimplementedError(fmt::format("compressed in unknown way {}", header.ch_type));
  }
  return InflateZlib(bytes.substr(header_bytes), header.ch_size);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ElfFile>> ElfFile::Open(const std::string& path) {
  // Non-blocking, so that a FIFO by that name cannot hang us before fstat tells what it is.
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return CannotOpen(path, errno);
  struct stat status;
  void* image = MAP_FAILED;
  int error = fstat(fd, &status) == 0 ? 0 : errno;
  bool regular = error == 0 && S_ISREG(status.st_mode) && status.st_size > 0;
  if (regular) {
    image = mmap(nullptr, static_cast<size_t>(status.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
    if (image == MAP_FAILED) error = errno;
  }
  close(fd);
  if (error != 0) return CannotOpen(path, error);
  if (!regular) return absl::InvalidArgumentError(fmt::format("{}: not an ELF file (empty or not a file)", path));
  std::unique_ptr<ElfFile> file(new ElfFile(path, static_cast<char*>(image), static_cast<size_t>(status.st_size)));
  if (absl::Status headers = file->ReadHeaders(); !headers.ok()) return headers;
  return file;
}

ElfFile::~ElfFile() {
  if (elf_ != nullptr) elf_end(elf_);
  munmap(image_, bytes_);
}

absl::Status ElfFile::ReadHeaders() {
  elf_version(EV_CURRENT);
  elf_ = elf_memory(image_, bytes_);
  GElf_Ehdr header;
  if (elf_ == nullptr || elf_kind(elf_) != ELF_K_ELF || gelf_getehdr(elf_, &header) == nullptr) {
    return absl::InvalidArgumentError(fmt::format("{}: not an ELF file", path_));
  }
  if (header.e_ident[EI_DATA] != ELFDATA2LSB) {
    return absl::UnimplementedError(fmt::format("{}: a big-endian ELF file", path_));
  }
  address_bytes_ = header.e_ident[EI_CLASS] == ELFCLASS32 ? 4 : 8;
  if (elf_getshdrstrndx(elf_, &names_index_) != 0) names_index_ = 0;  // a file without section names has no sections
  const void* id = nullptr;
  if (ssize_t size = dwelf_elf_gnu_build_id(elf_, &id); size > 0) {
    build_id_.assign(static_cast<const char*>(id), static_cast<size_t>(size));
  }
  size_t segments = 0;
  if (elf_getphdrnum(elf_, &segments) != 0) segments = 0;
  for (size_t i = 0; i < segments; ++i) {
    GElf_Phdr segment;
    if (gelf_getphdr(elf_, static_cast<int>(i), &segment) != nullptr && segment.p_type == PT_LOAD) {
      first_load_address_ = segment.p_vaddr;
      break;
    }
  }
  return absl::OkStatus();
}

std::optional<DebugLink> ElfFile::debug_link() const {
  GElf_Word crc = 0;
  const char* name = dwelf_elf_gnu_debuglink(elf_, &crc);
  if (name == nullptr || *name == '\0') return std::nullopt;
  return DebugLink{.file_name = name, .crc = crc};
}

absl::StatusOr<std::optional<DebugAltLink>> ElfFile::debug_alt_link() {
  absl::StatusOr<std::string_view> bytes = Section(".gnu_debugaltlink");
  if (!bytes.ok()) return bytes.status();
  if (bytes->empty()) return std::nullopt;
  size_t end = bytes->find('\0');
  if (end == std::string_view::npos || end == 0) {
    return absl::DataLossError(fmt::format("{}: .gnu_debugaltlink names no file", path_));
  }
  return DebugAltLink{.file_name = std::string(bytes->substr(0, end)), .build_id = std::string(bytes->substr(end + 1))};
}

uint32_t ElfFile::Crc32() const { return libdeflate_crc32(0, image_, bytes_); }

Elf_Scn* ElfFile::FindSection(std::string_view name) const {
  for (Elf_Scn* section = elf_nextscn(elf_, nullptr); section != nullptr; section = elf_nextscn(elf_, section)) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr || header.sh_type == SHT_NOBITS) continue;
    const char* found = elf_strptr(elf_, names_index_, header.sh_name);
    if (found != nullptr && name == found) return section;
  }
  return nullptr;
}

bool ElfFile::HasSection(std::string_view name) const {
  if (FindSection(name) != nullptr) return true;
  return name.starts_with(".debug_") && FindSection(fmt::format(".z{}", name.substr(1))) != nullptr;
}

absl::StatusOr<std::string_view> ElfFile::Section(std::string_view name) {
  if (auto known = sections_.find(name); known != sections_.end()) return known->second;
  Elf_Scn* section = FindSection(name);
  std::string spelling(name);
  if (section == nullptr && name.starts_with(".debug_")) {
    spelling = fmt::format(".z{}", name.substr(1));
    section = FindSection(spelling);
  }
  std::string_view bytes;
  if (section != nullptr) {
    absl::StatusOr<std::string_view> read = ReadSection(section, spelling);
    if (!read.ok()) {
      return absl::Status(read.status().code(),
                          fmt::format("{}: {} is {}", path_, spelling, std::string(read.status().message())));
    }
    bytes = *read;
  }
  sections_.emplace(name, bytes);
  return bytes;
}

absl::StatusOr<std::string_view> ElfFile::ReadSection(Elf_Scn* section, std::string_view name) {
  GElf_Shdr header;
  if (gelf_getshdr(section, &header) == nullptr) return absl::DataLossError("without a readable header");
  // Checked here, without wrap-around, rather than left to the library: this is the border to foreign bytes.
  if (header.sh_offset > bytes_ || header.sh_size > bytes_ - header.sh_offset) {
    return absl::DataLossError(
        fmt::format("at {:#x}+{:#x}, beyond the end of the file", header.sh_offset, header.sh_size));
  }
  std::string_view bytes(image_ + header.sh_offset, header.sh_size);
  bool zdebug = name.starts_with(".zdebug_");
  if (!zdebug && (header.sh_flags & SHF_COMPRESSED) == 0) return bytes;

  absl::StatusOr<LargeBuffer> inflated = zdebug ? InflateZdebug(bytes) : InflateSection(bytes, address_bytes_);
  if (!inflated.ok()) return inflated.status();
  // The compressed pages are not needed again: they would only count as our memory.
  constexpr size_t kPage = 4096;
  size_t first = (header.sh_offset + kPage - 1) / kPage * kPage;
  size_t last = (header.sh_offset + header.sh_size) / kPage * kPage;
  if (first < last) madvise(image_ + first, last - first, MADV_DONTNEED);
  return decompressed_.emplace(name, *std::move(inflated)).first->second.view();
}

void ElfFile::ForEachCodeSymbol(SymbolTableKind kind, const std::function<void(const ElfSymbol&)>& visit) {
  const GElf_Word wanted = kind == SymbolTableKind::kSymtab ? SHT_SYMTAB : SHT_DYNSYM;
  for (Elf_Scn* section = elf_nextscn(elf_, nullptr); section != nullptr; section = elf_nextscn(elf_, section)) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr || header.sh_type != wanted || header.sh_entsize == 0) continue;
    Elf_Data* data = elf_getdata(section, nullptr);
    if (data == nullptr) continue;
    const size_t count = data->d_size / header.sh_entsize;
    for (size_t i = 1; i < count; ++i) {
      GElf_Sym symbol;
      if (gelf_getsym(data, static_cast<int>(i), &symbol) == nullptr) break;
      if (symbol.st_shndx == SHN_UNDEF) continue;
      GElf_Shdr home;
      Elf_Scn* home_section = elf_getscn(elf_, symbol.st_shndx);
      if (home_section == nullptr || gelf_getshdr(home_section, &home) == nullptr) continue;
      if ((home.sh_flags & SHF_EXECINSTR) == 0) continue;
      const char* name = elf_strptr(elf_, header.sh_link, symbol.st_name);
      if (name == nullptr || *name == '\0') continue;
      visit({.name = name,
             .address = symbol.st_value,
             .size = symbol.st_size,
             .section_end = home.sh_addr + home.sh_size,
             .type = static_cast<uint8_t>(GELF_ST_TYPE(symbol.st_info)),
             .binding = static_cast<uint8_t>(GELF_ST_BIND(symbol.st_info))});
    }
  }
}

}  // namespace allocline
