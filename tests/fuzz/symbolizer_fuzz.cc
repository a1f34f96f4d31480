// Any bytes as a binary, as a .dwo and as a .dwp: addresses in it are resolved, or it is refused, without a crash, a
// leak or a long wait. The seeds in corpus/symbolizer are tests/symbolize/programs/small.cc, compiled
//   -O2 -shared -fPIC -nostdlib -Wl,-z,noseparate-code
// by g++ with -gdwarf-5 and -gdwarf-4, by clang++ with -gdwarf-5, and the .dwo and .dwp of -gsplit-dwarf.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tests/symbolize/exercise.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  allocline::testing::MemoryFile file(std::string_view(reinterpret_cast<const char*>(data), size));
  allocline::testing::ExerciseSymbolizer(file.path());
  return 0;
}
