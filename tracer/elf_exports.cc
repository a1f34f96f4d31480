#include "tracer/elf_exports.h"

#include <elf.h>
#include <string.h>

namespace allocline {
namespace {

// The loader has turned most of these into addresses; those of the vDSO, and of read-only tables, are still offsets.
uintptr_t AddressIn(const link_map* object, uintptr_t value) {
  return value != 0 && value < object->l_addr ? object->l_addr + value : value;
}

uint32_t GnuHash(const char* name) {
  uint32_t hash = 5381;
  for (; *name != '\0'; ++name) hash = hash * 33 + static_cast<unsigned char>(*name);
  return hash;
}

struct Tables {
  const ElfW(Sym) * symbols;
  const char* names;
  const uint32_t* gnu_hash;
  const uint32_t* hash;
};

bool IsWanted(const Tables& tables, uint32_t index, const char* name) {
  const ElfW(Sym)& symbol = tables.symbols[index];
  const int type = ELF64_ST_TYPE(symbol.st_info);
  if (symbol.st_shndx == SHN_UNDEF || type == STT_TLS || ELF64_ST_BIND(symbol.st_info) == STB_LOCAL) return false;
  return strcmp(tables.names + symbol.st_name, name) == 0;
}

// DT_GNU_HASH: { buckets, first symbol, words of the filter, shift }, filter, buckets, and for each symbol from the
// first on its hash, whose lowest bit is set in the last one of a bucket. 0 if it is not there, as symbol 0 never is.
uint32_t FindByGnuHash(const Tables& tables, const char* name) {
  const uint32_t* head = tables.gnu_hash;
  const uint32_t bucket_count = head[0], first = head[1], filter_words = head[2], shift = head[3];
  if (bucket_count == 0 || filter_words == 0) return 0;
  const auto* filter = reinterpret_cast<const uint64_t*>(head + 4);
  const uint32_t* buckets = reinterpret_cast<const uint32_t*>(filter + filter_words);
  const uint32_t* hashes = buckets + bucket_count;
  const uint32_t hash = GnuHash(name);
  const uint64_t word = filter[hash / 64 % filter_words];
  if ((word >> hash % 64 & word >> (hash >> shift) % 64 & 1) == 0) return 0;
  uint32_t index = buckets[hash % bucket_count];
  if (index < first) return 0;
  for (;; ++index) {
    const uint32_t its_hash = hashes[index - first];
    if ((its_hash | 1) == (hash | 1) && IsWanted(tables, index, name)) return index;
    if ((its_hash & 1) != 0) return 0;
  }
}

// DT_HASH: { buckets, symbols }, and no more of it is needed for a walk over all.
uint32_t FindByWalk(const Tables& tables, const char* name) {
  for (uint32_t i = 1; i < tables.hash[1]; ++i) {
    if (IsWanted(tables, i, name)) return i;
  }
  return 0;
}

}  // namespace

Export FindExport(const link_map* object, const char* name) {
  Tables tables{};
  if (object == nullptr || object->l_ld == nullptr) return {};
  for (const ElfW(Dyn)* entry = object->l_ld; entry->d_tag != DT_NULL; ++entry) {
    const uintptr_t address = AddressIn(object, entry->d_un.d_ptr);
    switch (entry->d_tag) {
      case DT_SYMTAB:
        tables.symbols = reinterpret_cast<const ElfW(Sym)*>(address);
        break;
      case DT_STRTAB:
        tables.names = reinterpret_cast<const char*>(address);
        break;
      case DT_GNU_HASH:
        tables.gnu_hash = reinterpret_cast<const uint32_t*>(address);
        break;
      case DT_HASH:
        tables.hash = reinterpret_cast<const uint32_t*>(address);
        break;
      default:
        break;
    }
  }
  if (tables.symbols == nullptr || tables.names == nullptr) return {};
  const uint32_t index = tables.gnu_hash != nullptr ? FindByGnuHash(tables, name)
                         : tables.hash != nullptr   ? FindByWalk(tables, name)
                                                    : 0;
  if (index == 0) return {};
  const ElfW(Sym)& symbol = tables.symbols[index];
  return {object->l_addr + symbol.st_value, symbol.st_size};
}

}  // namespace allocline
