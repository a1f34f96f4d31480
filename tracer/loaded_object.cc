#include "tracer/loaded_object.h"

#include <dlfcn.h>
#include <elf.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/pages.h"

namespace allocline {

bool FindObject(uintptr_t pc, LoadedObject* out) {
  dl_find_object found;
  if (_dl_find_object(reinterpret_cast<void*>(pc), &found) != 0) return false;
  out->start = reinterpret_cast<uintptr_t>(found.dlfo_map_start);
  out->end = reinterpret_cast<uintptr_t>(found.dlfo_map_end);
  out->map = found.dlfo_link_map;
  return out->map != nullptr;
}

namespace {

bool IsHeader(uintptr_t address) {
  const auto* header = reinterpret_cast<const ElfW(Ehdr)*>(address);
  return memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 && header->e_phentsize == sizeof(ElfW(Phdr));
}

// Where an object with unmapped pages between its segments begins: of such the loader gives the executable segment.
uintptr_t FindHeaderElsewhere(const LoadedObject& object) {
  const bool is_program = *object.map->l_name == '\0';
  const uintptr_t places[] = {object.map->l_addr, is_program ? getauxval(AT_PHDR) & ~(kPage - 1) : 0};
  for (const uintptr_t place : places) {
    if (place != 0 && place % kPage == 0 && place < object.start && IsReadable(place) && IsHeader(place)) return place;
  }
  return 0;
}

}  // namespace

bool ReadImage(const LoadedObject& object, ElfImage* image) {
  if (object.end - object.start < sizeof(ElfW(Ehdr))) return false;
  const uintptr_t start = IsHeader(object.start) ? object.start : FindHeaderElsewhere(object);
  if (start == 0) return false;
  const auto* header = reinterpret_cast<const ElfW(Ehdr)*>(start);
  const uint64_t table_end = header->e_phoff + uint64_t{header->e_phnum} * sizeof(ElfW(Phdr));
  if (table_end > kPage && (start != object.start || table_end > object.end - object.start)) return false;
  *image = {header, reinterpret_cast<const ElfW(Phdr)*>(start + header->e_phoff)};
  return true;
}

size_t FindBuildId(const LoadedObject& object, const ElfImage& image, const uint8_t** id) {
  for (int i = 0; i < image.header->e_phnum; ++i) {
    const ElfW(Phdr)& segment = image.segments[i];
    if (segment.p_type != PT_NOTE) continue;
    const uintptr_t begin = object.map->l_addr + segment.p_vaddr;
    const uintptr_t end = begin + segment.p_memsz;
    if (begin < reinterpret_cast<uintptr_t>(image.header) || end > object.end) continue;
    const uintptr_t align = segment.p_align == 8 ? 8 : 4;
    for (uintptr_t p = begin; p + sizeof(ElfW(Nhdr)) <= end;) {
      const auto* note = reinterpret_cast<const ElfW(Nhdr)*>(p);
      const uintptr_t name = p + sizeof(*note);
      const uintptr_t description = name + ((note->n_namesz + align - 1) & ~(align - 1));
      if (description > end || note->n_descsz > end - description) break;
      if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 &&
          memcmp(reinterpret_cast<const void*>(name), "GNU", 4) == 0 && note->n_descsz <= 64) {
        *id = reinterpret_cast<const uint8_t*>(description);
        return note->n_descsz;
      }
      p = description + ((note->n_descsz + align - 1) & ~(align - 1));
    }
  }
  return 0;
}

uint64_t HashOfHeaders(const LoadedObject& object) {
  ElfImage image{};
  if (!ReadImage(object, &image)) return 0;
  uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
  const auto add = [&hash](const void* data, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) hash = (hash ^ static_cast<const uint8_t*>(data)[i]) * 0x100000001b3u;
  };
  add(image.header, sizeof *image.header);
  add(image.segments, sizeof *image.segments * image.header->e_phnum);
  return hash;
}

}  // namespace allocline
