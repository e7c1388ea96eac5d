// ThreadPool and offload(): blocking work (fsync, a disk read) off the loop's thread.
//
//   Result<Bytes> data = fiber::offload(pool, [&] { return readFile(path); });   // suspends

#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>
#include <type_traits>
#include <variant>

#include "skep/fiber/sync.h"

namespace skep::fiber {

class ThreadPool {
 public:
  /// Starts `threadCount` threads named after `name` (at most 15 characters are kept by the
  /// system).
  ThreadPool(std::string_view name, std::size_t threadCount);
  /// Runs everything that was queued, then joins the threads.
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// Queues `work`. Any thread. Callers bound their own number of outstanding calls (see
  /// Semaphore).
  void submit(std::function<void()> work);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Runs `work` on the pool and returns its value (or nothing). Suspends on a fiber; on a plain
/// thread it runs `work` right here. `work` must not throw and must not suspend.
template <class Work>
auto offload(ThreadPool& pool, Work&& work) -> std::invoke_result_t<Work> {
  using Value = std::invoke_result_t<Work>;
  if (!onFiber()) return work();
  if constexpr (std::is_void_v<Value>) {
    OneShot<std::monostate> done;
    pool.submit([&] {
      work();
      done.set({});
    });
    done.wait();
  } else {
    OneShot<Value> done;
    pool.submit([&] { done.set(work()); });
    return done.wait();
  }
}

}  // namespace skep::fiber
