// All forms of operator new and delete.
#include <stdint.h>

#include <new>

#include "truth.h"

struct Plain {
  char bytes[40];
};
struct alignas(128) Aligned {
  char bytes[256];
};
struct WithDestructor {  // new[] puts a count in front
  ~WithDestructor() { Keep(this); }
  char bytes[24];
};
struct Polymorphic {
  virtual ~Polymorphic() { Keep(this); }
  char bytes[56];
};

int main() {
  Plain* plain = new Plain;  // LINE: plain 40/1
  Keep(plain);
  Plain* array = new Plain[10];  // LINE: array 400/1
  Keep(array);
  WithDestructor* counted = new WithDestructor[10];  // LINE: counted 248/1
  Keep(counted);
  Aligned* aligned = new Aligned;  // LINE: aligned 256/1
  Keep(aligned);
  REQUIRE(reinterpret_cast<uintptr_t>(aligned) % 128 == 0);
  Aligned* aligned_array = new Aligned[3];  // LINE: aligned_array 768/1
  Keep(aligned_array);
  REQUIRE(reinterpret_cast<uintptr_t>(aligned_array) % 128 == 0);
  Plain* nothrow = new (std::nothrow) Plain;  // LINE: nothrow 40/1
  Keep(nothrow);
  Plain* nothrow_array = new (std::nothrow) Plain[5];  // LINE: nothrow_array 200/1
  Keep(nothrow_array);
  Aligned* nothrow_aligned = new (std::nothrow) Aligned;  // LINE: nothrow_aligned 256/1
  Keep(nothrow_aligned);
  void* direct = ::operator new(Opaque(99));  // LINE: direct 99/1
  Keep(direct);

  Plain* gone = new Plain;  // LINE: gone 0/0 of 40/1
  Keep(gone);
  delete gone;
  WithDestructor* gone_array = new WithDestructor[4];  // LINE: gone_array 0/0 of 104/1
  Keep(gone_array);
  delete[] gone_array;
  Aligned* gone_aligned = new Aligned;  // LINE: gone_aligned 0/0 of 256/1
  Keep(gone_aligned);
  delete gone_aligned;
  Aligned* gone_aligned_array = new Aligned[2];  // LINE: gone_aligned_array 0/0 of 512/1
  Keep(gone_aligned_array);
  delete[] gone_aligned_array;
  Polymorphic* gone_polymorphic = new Polymorphic;  // LINE: gone_polymorphic 0/0 of 64/1
  Keep(gone_polymorphic);
  delete gone_polymorphic;
  void* sized = ::operator new(Opaque(123));  // LINE: sized 0/0 of 123/1
  Keep(sized);
  ::operator delete(sized, 123);
  void* sized_array = ::operator new[](Opaque(124));  // LINE: sized_array 0/0 of 124/1
  Keep(sized_array);
  ::operator delete[](sized_array, 124);
  void* sized_aligned = ::operator new(Opaque(256), std::align_val_t(64));  // LINE: sized_aligned 0/0 of 256/1
  Keep(sized_aligned);
  ::operator delete(sized_aligned, 256, std::align_val_t(64));
  void* by_nothrow = ::operator new(Opaque(77), std::nothrow);  // LINE: by_nothrow 0/0 of 77/1
  Keep(by_nothrow);
  ::operator delete(by_nothrow, std::nothrow);

  // What fails counts nothing but the exception (128 bytes in front of std::bad_alloc), and throws as it always did.
  bool thrown = false;
  try {
    Keep(::operator new(Opaque<size_t>(PTRDIFF_MAX)));  // LINE: refused 0/0 of 136/1
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  REQUIRE(thrown);
  void* refused = ::operator new(Opaque<size_t>(PTRDIFF_MAX), std::nothrow);  // LINE: refused_nothrow 0/0 of 136/1
  REQUIRE(refused == nullptr);
  delete Opaque<Plain*>(nullptr);
}
