// Atomic access to plain integers that live in shared memory (the recording), where std::atomic members would turn
// layouts into code. Thin names over the compiler's builtins, so that every access says its order.
#ifndef ALLOCLINE_BASE_ATOMIC_H_
#define ALLOCLINE_BASE_ATOMIC_H_

#include <cstdint>

namespace allocline {

template <typename T>
inline T LoadRelaxed(const T& x) {
  T value;
  __atomic_load(&x, &value, __ATOMIC_RELAXED);
  return value;
}
template <typename T>
inline T LoadAcquire(const T& x) {
  T value;
  __atomic_load(&x, &value, __ATOMIC_ACQUIRE);
  return value;
}
template <typename T, typename V>
inline void StoreRelaxed(T& x, V value) {
  T stored = static_cast<T>(value);
  __atomic_store(&x, &stored, __ATOMIC_RELAXED);
}
template <typename T, typename V>
inline void StoreRelease(T& x, V value) {
  T stored = static_cast<T>(value);
  __atomic_store(&x, &stored, __ATOMIC_RELEASE);
}
template <typename T, typename V>
inline T AddRelaxed(T& x, V value) {
  return __atomic_fetch_add(&x, static_cast<T>(value), __ATOMIC_RELAXED);
}
template <typename T, typename V>
inline T OrRelaxed(T& x, V value) {
  return __atomic_fetch_or(&x, static_cast<T>(value), __ATOMIC_RELAXED);
}
template <typename T>
inline T ExchangeRelaxed(T& x, T value) {
  return __atomic_exchange_n(&x, value, __ATOMIC_RELAXED);
}
// On failure `expected` takes the value found. Release on success, acquire on failure.
template <typename T>
inline bool CompareExchange(T& x, T& expected, T desired) {
  return __atomic_compare_exchange_n(&x, &expected, desired, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}
template <typename T>
inline void RaiseToAtLeast(T& x, T value) {
  T seen = LoadRelaxed(x);
  while (seen < value && !__atomic_compare_exchange_n(&x, &seen, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
}

// Adds to a counter that only this thread writes, though others read it. One instruction where the machine has one, so
// that a signal handler on this thread that adds to the same counter cannot be lost between a load and a store; no bus
// lock, because no other thread writes.
inline void AddOwned(uint64_t& counter, uint64_t value) {
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
  asm volatile("addq %1, %0" : "+m"(counter) : "er"(value) : "cc");
#else
  __atomic_fetch_add(&counter, value, __ATOMIC_RELAXED);
#endif
}

}  // namespace allocline

#endif  // ALLOCLINE_BASE_ATOMIC_H_
