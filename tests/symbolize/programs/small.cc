// Inlining, nesting and splitting of functions without a header, so that tests compile it in no time. Never run.
#define NEVER_INLINE __attribute__((noinline))
#define ALWAYS_INLINE inline __attribute__((always_inline))

volatile int sink;

namespace shapes {

ALWAYS_INLINE int Inner(int x) {
  sink = x;
  return x * 3 + sink;
}
ALWAYS_INLINE int Middle(int x) { return Inner(x + 1) + sink; }
NEVER_INLINE int Outer(int x) {
  int sum = Middle(x);
  sum += Inner(sum);
  return sum;
}

template <typename F>
ALWAYS_INLINE void ForEach(int* values, int count, F f) {
  for (int i = 0; i < count; ++i) f(values[i]);
}

// A lambda kept out of line, one inlined, and a member of a local class: subprograms inside other DIEs.
NEVER_INLINE int Lambdas(int x) {
  auto out_of_line = [](int y) __attribute__((noinline)) { return Inner(y) - 1; };
  struct Local {
    NEVER_INLINE static int Member(int z) { return z + sink; }
  };
  int values[] = {x, 2, 3};
  ForEach(values, 3, [&](int& value) { value = out_of_line(value) + Local::Member(value); });
  return values[0];
}

// The throw is moved to a cold part of the function, far from the rest.
NEVER_INLINE int Partitioned(int x) {
  if (__builtin_expect(x == 17, 0)) {
    sink = 18;
    throw Middle(x);
  }
  return x + 1;
}

}  // namespace shapes

static NEVER_INLINE int FileLocal(int x) { return shapes::Outer(x) / 2; }
extern "C" NEVER_INLINE int WithCLinkage(int x) { return FileLocal(x) + 5; }

namespace {
NEVER_INLINE int Anonymous(int x) { return WithCLinkage(x) - 3; }
}  // namespace

int Small(int x) { return Anonymous(x) + shapes::Lambdas(x) + shapes::Partitioned(x); }

__attribute__((weak)) int main(int argc, char**) { return Small(argc); }
