// Checks of this process's own invariants. On in release builds: a process that is wrong about its
// own state must not write to the store.
//
//   SKEP_CHECK(txid == head.txid + 1, "txid %llu after %llu", txid, head.txid);
//   SKEP_DCHECK(isSorted(pages));   // debug builds only: too slow for a hot path

#pragma once

namespace skep {

/// Prints the condition, the place and the message to standard error, then aborts.
[[noreturn]] void checkFailed(const char* condition, const char* file, int line, const char* format,
                              ...) __attribute__((format(printf, 4, 5), cold));

}  // namespace skep

#define SKEP_CHECK(condition, ...)                                          \
  do {                                                                      \
    if (__builtin_expect(!(condition), 0)) {                                \
      ::skep::checkFailed(#condition, __FILE__, __LINE__, " " __VA_ARGS__); \
    }                                                                       \
  } while (false)

#define SKEP_UNREACHABLE() ::skep::checkFailed("unreachable", __FILE__, __LINE__, " ")

#ifdef NDEBUG
#define SKEP_DCHECK(condition, ...) \
  do {                              \
    if (false) (void)(condition);   \
  } while (false)
#else
#define SKEP_DCHECK(condition, ...) SKEP_CHECK(condition, ##__VA_ARGS__)
#endif
