// What the address and thread sanitizers must be told about fibers; nothing without a sanitizer.
//
// AddressSanitizer keeps the bounds of the running stack and a "fake stack" of returned frames for
// each stack; ThreadSanitizer keeps a shadow call stack and a clock for each fiber. Both are
// switched by hand.

#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define SKEP_FIBER_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define SKEP_FIBER_TSAN 1
#endif
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SKEP_FIBER_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define SKEP_FIBER_TSAN 1
#endif
#endif

#ifdef SKEP_FIBER_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#ifdef SKEP_FIBER_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace skep::fiber::detail {

/// One stack as the sanitizers see it. leaveFor() is called on the old stack right before the jump,
/// arriveFrom() on the new one right after it.
class SanitizerStack {
 public:
#ifdef SKEP_FIBER_ASAN
  void setBounds(const void* bottom, std::size_t bytes) {
    bottom_ = bottom;
    bytes_ = bytes;
  }
  void leaveFor(SanitizerStack& to) {
    __sanitizer_start_switch_fiber(&fakeStack_, to.bottom_, to.bytes_);
    to.switchThreadState();
  }
  /// As leaveFor(), from a stack that nobody will come back to.
  void leaveForever(SanitizerStack& to) {
    __sanitizer_start_switch_fiber(nullptr, to.bottom_, to.bytes_);
    to.switchThreadState();
  }
  /// Learns the bounds of the stack that we come from: those of a thread are not known otherwise.
  void arriveFrom(SanitizerStack& from) {
    __sanitizer_finish_switch_fiber(fakeStack_, &from.bottom_, &from.bytes_);
  }
#else
  void setBounds(const void*, std::size_t) {}
  void leaveFor(SanitizerStack& to) {
    to.switchThreadState();
  }
  void leaveForever(SanitizerStack& to) {
    to.switchThreadState();
  }
  void arriveFrom(SanitizerStack&) {}
#endif

#ifdef SKEP_FIBER_TSAN
  void createThreadState() {
    threadState_ = __tsan_create_fiber(0);
  }
  void destroyThreadState() {
    __tsan_destroy_fiber(threadState_);
  }
  void adoptThreadState() {
    threadState_ = __tsan_get_current_fiber();
  }
#else
  void createThreadState() {}
  void destroyThreadState() {}
  void adoptThreadState() {}
#endif

 private:
#ifdef SKEP_FIBER_TSAN
  void switchThreadState() {
    __tsan_switch_to_fiber(threadState_, 0);
  }
  void* threadState_ = nullptr;
#else
  void switchThreadState() {}
#endif
#ifdef SKEP_FIBER_ASAN
  const void* bottom_ = nullptr;
  std::size_t bytes_ = 0;
  void* fakeStack_ = nullptr;
#endif
};

inline void unpoisonMemory([[maybe_unused]] const void* start, [[maybe_unused]] std::size_t bytes) {
#ifdef SKEP_FIBER_ASAN
  __asan_unpoison_memory_region(start, bytes);
#endif
}

/// What the frames of a suspended fiber point at is no leak.
inline void addStackAsRoot([[maybe_unused]] const void* start, [[maybe_unused]] std::size_t bytes) {
#ifdef SKEP_FIBER_ASAN
  __lsan_register_root_region(start, bytes);
#endif
}
inline void removeStackAsRoot([[maybe_unused]] const void* start,
                              [[maybe_unused]] std::size_t bytes) {
#ifdef SKEP_FIBER_ASAN
  __lsan_unregister_root_region(start, bytes);
#endif
}

}  // namespace skep::fiber::detail
