#include "tracer/object_lookup.h"

#include <elf.h>
#include <link.h>
#include <string.h>

#include <atomic>

#include "base/pages.h"

namespace allocline {
namespace {

using Callback = int (*)(dl_phdr_info* info, size_t bytes, void* data);

std::atomic<bool> g_was_asked_about_us{false};

bool IsOurs(uintptr_t pc) {
  LoadedObject object, us;
  return FindObject(pc, &object) && FindObject(reinterpret_cast<uintptr_t>(&IsOurs), &us) && object.map == us.map;
}

// In place of dl_iterate_phdr. `data` begins with the address that is looked for.
int VisitObjectAround(Callback callback, void* data) {
  uintptr_t pc = 0;
  memcpy(&pc, data, sizeof pc);
  LoadedObject object;
  ElfImage image{};
  if (!FindObject(pc, &object) || !ReadImage(object, &image)) return 0;  // as if no object were around it
  dl_phdr_info info{};
  info.dlpi_addr = object.map->l_addr;
  info.dlpi_name = object.map->l_name;
  info.dlpi_phdr = image.segments;
  info.dlpi_phnum = image.header->e_phnum;
  return callback(&info, sizeof info, data);
}

int TryOut(Callback callback, void* data) {
  uintptr_t pc = 0;
  memcpy(&pc, data, sizeof pc);
  if (IsOurs(pc)) g_was_asked_about_us.store(true, std::memory_order_relaxed);
  return VisitObjectAround(callback, data);
}

#if defined(__x86_64__)
constexpr uint64_t kJumpSlot = R_X86_64_JUMP_SLOT, kData = R_X86_64_GLOB_DAT;
#elif defined(__aarch64__)
constexpr uint64_t kJumpSlot = R_AARCH64_JUMP_SLOT, kData = R_AARCH64_GLOB_DAT;
#endif

// Where an object keeps the address of a function it imports.
uintptr_t FindImport(const link_map* map, const char* name) {
  const ElfW(Sym)* symbols = nullptr;
  const char* names = nullptr;
  uintptr_t tables[2] = {};
  uintptr_t bytes[2] = {};
  for (const ElfW(Dyn)* entry = map->l_ld; entry->d_tag != DT_NULL; ++entry) {  // the loader has relocated it
    switch (entry->d_tag) {
      case DT_SYMTAB:
        symbols = reinterpret_cast<const ElfW(Sym)*>(entry->d_un.d_ptr);
        break;
      case DT_STRTAB:
        names = reinterpret_cast<const char*>(entry->d_un.d_ptr);
        break;
      case DT_JMPREL:
        tables[0] = entry->d_un.d_ptr;
        break;
      case DT_PLTRELSZ:
        bytes[0] = entry->d_un.d_val;
        break;
      case DT_RELA:
        tables[1] = entry->d_un.d_ptr;
        break;
      case DT_RELASZ:
        bytes[1] = entry->d_un.d_val;
        break;
      default:
        break;
    }
  }
  if (symbols == nullptr || names == nullptr) return 0;
  for (int table = 0; table < 2; ++table) {
    const auto* relocation = reinterpret_cast<const ElfW(Rela)*>(tables[table]);
    for (uintptr_t i = 0; i < bytes[table] / sizeof *relocation; ++i, ++relocation) {
      const uint64_t type = ELF64_R_TYPE(relocation->r_info);
      if (type != kJumpSlot && type != kData) continue;
      if (strcmp(names + symbols[ELF64_R_SYM(relocation->r_info)].st_name, name) != 0) continue;
      return map->l_addr + relocation->r_offset;
    }
  }
  return 0;
}

// The loader may have made the page read-only after relocation.
bool IsSealed(const LoadedObject& object, uintptr_t place) {
  ElfImage image{};
  if (!ReadImage(object, &image)) return true;
  for (int i = 0; i < image.header->e_phnum; ++i) {
    const ElfW(Phdr)& segment = image.segments[i];
    const uintptr_t start = object.map->l_addr + segment.p_vaddr;
    if (segment.p_type == PT_GNU_RELRO && place >= start && place < start + segment.p_memsz) return true;
  }
  return false;
}

bool Bind(const LoadedObject& object, uintptr_t place, uintptr_t function) {
  const auto protect = [page = place & ~(kPage - 1)](int protection) {
    return !sys::IsError(sys::Call(SYS_mprotect, static_cast<long>(page), static_cast<long>(kPage), protection));
  };
  const bool sealed = IsSealed(object, place);
  if (sealed && !protect(PROT_READ | PROT_WRITE)) return false;
  __atomic_store_n(reinterpret_cast<uintptr_t*>(place), function, __ATOMIC_RELEASE);
  if (sealed) protect(PROT_READ);
  return true;
}

}  // namespace

bool BindObjectLookup(const LoadedObject& libunwind, void (*try_out)()) {
  const uintptr_t place = FindImport(libunwind.map, "dl_iterate_phdr");
  if (place == 0) return false;
  const uintptr_t loaders = *reinterpret_cast<const uintptr_t*>(place);
  if (!Bind(libunwind, place, reinterpret_cast<uintptr_t>(&TryOut))) return false;
  try_out();
  const bool understood = g_was_asked_about_us.load(std::memory_order_relaxed);
  return Bind(libunwind, place, understood ? reinterpret_cast<uintptr_t>(&VisitObjectAround) : loaders) && understood;
}

}  // namespace allocline
