#include "tools/program_check.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gelf.h>
#include <libelf.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string_view>

#include "base/unique_fd.h"
#include "report/path_text.h"
#include "tools/command.h"

namespace allocline {
namespace {

#if defined(__x86_64__)
constexpr int kOurMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr int kOurMachine = EM_AARCH64;
#else
#error "which ELF machine is this?"
#endif

// ---------------------------------------------------------------- reading the ELF file

class ElfFile {
 public:
  explicit ElfFile(const std::string& path) : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    elf_version(EV_CURRENT);
    if (fd_.valid()) elf_.reset(elf_begin(fd_.get(), ELF_C_READ_MMAP_PRIVATE, nullptr));
    if (elf_ != nullptr && elf_kind(elf_.get()) != ELF_K_ELF) elf_.reset();
  }

  bool valid() const { return elf_ != nullptr && gelf_getclass(elf_.get()) != ELFCLASSNONE; }

  bool IsForOurMachine() const {
    GElf_Ehdr header;
    return gelf_getehdr(elf_.get(), &header) != nullptr && header.e_machine == kOurMachine &&
           header.e_ident[EI_CLASS] == (sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32);
  }

  // The loader's path, empty for a static executable.
  std::string Interpreter() const {
    size_t count = 0;
    if (elf_getphdrnum(elf_.get(), &count) != 0) return "";
    for (size_t i = 0; i < count; ++i) {
      GElf_Phdr segment;
      if (gelf_getphdr(elf_.get(), static_cast<int>(i), &segment) == nullptr || segment.p_type != PT_INTERP) continue;
      Elf_Data* data =
          elf_getdata_rawchunk(elf_.get(), static_cast<int64_t>(segment.p_offset), segment.p_filesz, ELF_T_BYTE);
      if (data == nullptr) return "";
      const char* text = static_cast<const char*>(data->d_buf);
      return std::string(text, strnlen(text, data->d_size));
    }
    return "";
  }

  // `visit(tag, text)` for every DT_NEEDED and DT_SONAME.
  void ForEachDynamicName(const std::function<void(int64_t tag, std::string_view name)>& visit) const {
    ForEachSection([&](Elf_Scn* section, const GElf_Shdr& header) {
      if (header.sh_type != SHT_DYNAMIC || header.sh_entsize == 0) return;
      Elf_Data* data = elf_getdata(section, nullptr);
      const size_t count = data == nullptr ? 0 : data->d_size / header.sh_entsize;
      for (size_t i = 0; i < count; ++i) {
        GElf_Dyn entry;
        if (gelf_getdyn(data, static_cast<int>(i), &entry) == nullptr) return;
        if (entry.d_tag != DT_NEEDED && entry.d_tag != DT_SONAME) continue;
        if (const char* name = elf_strptr(elf_.get(), header.sh_link, entry.d_un.d_val)) visit(entry.d_tag, name);
      }
    });
  }

  // `visit(name, dynamic)` for every function the file defines, until it gives true.
  void ForEachFunction(const std::function<bool(std::string_view name, bool dynamic)>& visit) const {
    bool done = false;
    ForEachSection([&](Elf_Scn* section, const GElf_Shdr& header) {
      if ((header.sh_type != SHT_DYNSYM && header.sh_type != SHT_SYMTAB) || header.sh_entsize == 0) return;
      Elf_Data* data = elf_getdata(section, nullptr);
      const size_t count = data == nullptr ? 0 : data->d_size / header.sh_entsize;
      for (size_t i = 0; i < count && !done; ++i) {
        GElf_Sym symbol;
        if (gelf_getsym(data, static_cast<int>(i), &symbol) == nullptr) return;
        const int type = GELF_ST_TYPE(symbol.st_info);
        if (symbol.st_shndx == SHN_UNDEF || (type != STT_FUNC && type != STT_GNU_IFUNC)) continue;
        if (const char* name = elf_strptr(elf_.get(), header.sh_link, symbol.st_name)) {
          done = visit(name, header.sh_type == SHT_DYNSYM);
        }
      }
    });
  }

  bool HasSection(std::string_view wanted) const {
    size_t names = 0;
    if (elf_getshdrstrndx(elf_.get(), &names) != 0) return false;
    bool found = false;
    ForEachSection([&](Elf_Scn*, const GElf_Shdr& header) {
      const char* name = elf_strptr(elf_.get(), names, header.sh_name);
      found = found || (name != nullptr && name == wanted);
    });
    return found;
  }

 private:
  struct EndElf {
    void operator()(Elf* elf) const { elf_end(elf); }
  };

  void ForEachSection(const std::function<void(Elf_Scn*, const GElf_Shdr&)>& visit) const {
    for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf_.get(), section)) != nullptr;) {
      GElf_Shdr header;
      if (gelf_getshdr(section, &header) != nullptr) visit(section, header);
    }
  }

  UniqueFd fd_;
  std::unique_ptr<Elf, EndElf> elf_;
};

// ---------------------------------------------------------------- what the file tells

// Names that jemalloc (also with a prefix of its host's, or of Rust), mimalloc, tcmalloc and rpmalloc give their
// malloc.
bool IsPrivateMalloc(std::string_view name) {
  constexpr std::string_view kEndings[] = {"je_malloc", "rjem_malloc", "mi_malloc", "tc_malloc", "rpmalloc"};
  return std::any_of(std::begin(kEndings), std::end(kEndings),
                     [&](std::string_view end) { return name.ends_with(end); });
}

struct Allocators {
  bool exports_malloc = false;
  std::string private_malloc;
};

Allocators FindAllocators(const ElfFile& file) {
  Allocators found;
  file.ForEachFunction([&](std::string_view name, bool dynamic) {
    if (!name.ends_with("malloc")) return false;
    if (name == "malloc" && dynamic) return found.exports_malloc = true;
    if (found.private_malloc.empty() && (name == "malloc" || IsPrivateMalloc(name))) found.private_malloc = name;
    return false;
  });
  return found;
}

// Whether executing the file gives it privileges we do not have. The kernel's rules: not on a nosuid mount, not with
// no_new_privs, and a capability is nothing new to root.
std::string FindPrivilege(const std::string& path) {
  struct stat status;
  struct statvfs mount;
  if (stat(path.c_str(), &status) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) return "";
  if (statvfs(path.c_str(), &mount) == 0 && (mount.f_flag & ST_NOSUID) != 0) return "";
  if ((status.st_mode & S_ISUID) != 0 && status.st_uid != geteuid()) return "set-user-ID";
  const mode_t set_gid = S_ISGID | S_IXGRP;
  if ((status.st_mode & set_gid) == set_gid && status.st_gid != getegid()) return "set-group-ID";
  if (geteuid() != 0 && getxattr(path.c_str(), "security.capability", nullptr, 0) > 0) return "given file capabilities";
  return "";
}

std::string FindSanitizer(const ElfFile& file) {
  constexpr std::string_view kRuntimes[] = {"libasan.so", "libtsan.so", "liblsan.so", "libhwasan.so", "libclang_rt."};
  std::string found;
  file.ForEachDynamicName([&](int64_t tag, std::string_view name) {
    for (std::string_view runtime : kRuntimes) {
      if (tag == DT_NEEDED && name.starts_with(runtime)) found = name;
    }
  });
  return found;
}

bool IsTheLoaderItself(const ElfFile& file) {
  bool is = false;
  file.ForEachDynamicName(
      [&](int64_t tag, std::string_view name) { is |= tag == DT_SONAME && name.starts_with("ld-linux"); });
  return is;
}

// The interpreter on a script's first line, empty if the file is no script.
std::string ScriptInterpreter(const std::string& path) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char line[256];
  const ssize_t length = fd.valid() ? read(fd.get(), line, sizeof line) : 0;
  if (length < 2 || line[0] != '#' || line[1] != '!') return "";
  std::string_view rest(line + 2, static_cast<size_t>(length) - 2);
  rest = rest.substr(0, rest.find('\n'));
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
  return std::string(rest.substr(0, rest.find_first_of(" \t")));
}

ProgramCheck CheckElf(const std::string& path, const ElfFile& file) {
  if (!file.IsForOurMachine()) {
    return {.preload = false,
            .remark = fmt::format("{} is built for another machine than this allocline; it runs untraced", path)};
  }
  const std::string loader = file.Interpreter();
  if (loader.empty()) {
    if (IsTheLoaderItself(file)) return {};
    return {.remark = fmt::format("{} is statically linked, so nothing of its own memory can be recorded; "
                                  "link it dynamically to trace it",
                                  path)};
  }
  if (!Basename(loader).starts_with("ld-linux")) {
    return {.preload = false,
            .remark = fmt::format("{} is loaded by {} and not by glibc's loader, so it runs untraced; "
                                  "trace a build made for glibc",
                                  path, loader)};
  }
  if (const std::string privilege = FindPrivilege(path); !privilege.empty()) {
    return {.remark =
                fmt::format("{} is {}, so the loader will not let a tracer in; "
                            "trace a copy of it (a copy has no such rights), or run allocline as its owner or root",
                            path, privilege)};
  }
  if (const std::string sanitizer = FindSanitizer(file); !sanitizer.empty()) {
    return {.preload = false,
            .remark = fmt::format("{} is built with a sanitizer ({}) that tolerates no other allocator; "
                                  "it runs untraced: trace a build without it",
                                  path, sanitizer)};
  }
  const Allocators allocators = FindAllocators(file);
  if (allocators.exports_malloc) {
    return {.remark = fmt::format("{} defines malloc itself, so its memory cannot be recorded (--mmap shows what it "
                                  "takes from the kernel); build it with the system's malloc to trace it",
                                  path)};
  }
  if (!allocators.private_malloc.empty()) {
    return {.remark = fmt::format("{} carries a private allocator ({}), and memory from that will be missing (--mmap "
                                  "shows what it takes from the kernel); build it with the system's malloc to see all",
                                  path, allocators.private_malloc)};
  }
  if (file.HasSection(".note.go.buildid")) {
    return {.remark = fmt::format("{} is a Go program: Go's own heap does not come from malloc; --mmap shows what it "
                                  "takes from the kernel",
                                  path)};
  }
  return {};
}

}  // namespace

absl::StatusOr<std::string> FindProgram(const std::string& name) {
  const auto not_found = [&](int error) {
    return WithExitCode(ExitCode::kProgramNotFound, absl::NotFoundError(fmt::format("{}: {}", name, strerror(error))));
  };
  const auto not_executable = [&](int error) {
    return WithExitCode(ExitCode::kCannotExecute,
                        absl::PermissionDeniedError(fmt::format("{}: {}", name, strerror(error))));
  };
  const auto problem_of = [](const std::string& path) {
    struct stat status;
    if (stat(path.c_str(), &status) != 0) return errno;
    if (S_ISDIR(status.st_mode)) return EISDIR;
    return access(path.c_str(), X_OK) == 0 ? 0 : errno;
  };

  if (name.empty()) return not_found(ENOENT);
  if (name.find('/') != name.npos) {
    const int problem = problem_of(name);
    if (problem == 0) return name;
    return problem == ENOENT || problem == ENOTDIR ? not_found(problem) : not_executable(problem);
  }
  const char* path = getenv("PATH");
  std::string_view rest = path != nullptr ? path : "/bin:/usr/bin";
  bool denied = false;
  for (bool more = true; more;) {
    const size_t colon = rest.find(':');
    const std::string_view directory = rest.substr(0, colon);
    more = colon != rest.npos;
    if (more) rest.remove_prefix(colon + 1);
    const std::string candidate = fmt::format("{}/{}", directory.empty() ? "." : directory, name);
    const int problem = problem_of(candidate);
    if (problem == 0) return candidate;
    denied |= problem == EACCES;
  }
  if (denied) return not_executable(EACCES);
  return WithExitCode(ExitCode::kProgramNotFound,
                      absl::NotFoundError(fmt::format("{}: there is no such program in PATH", name)));
}

ProgramCheck CheckProgram(const std::string& path) {
  std::string file = path;
  for (int depth = 0; depth < 4; ++depth) {  // the kernel follows a script's interpreter that often
    const std::string interpreter = ScriptInterpreter(file);
    if (interpreter.empty()) break;
    file = interpreter;
  }
  const ElfFile elf(file);
  return elf.valid() ? CheckElf(file, elf) : ProgramCheck{};
}

std::optional<std::string> FindPrivateAllocator(const std::string& path) {
  const ElfFile elf(path);
  if (!elf.valid()) return std::nullopt;
  const Allocators allocators = FindAllocators(elf);
  // A library that exports malloc is an allocator by profession: the tracer stands in front of it.
  if (allocators.exports_malloc || allocators.private_malloc.empty()) return std::nullopt;
  return allocators.private_malloc;
}

}  // namespace allocline
