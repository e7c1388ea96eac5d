#include "skep/fiber/thread_pool.h"

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "skep/base/check.h"

namespace skep::fiber {

struct ThreadPool::Impl {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> queue;
  bool closing = false;
  std::vector<std::thread> threads;

  void work() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [this] { return closing || !queue.empty(); });
      if (queue.empty()) return;
      std::function<void()> next = std::move(queue.front());
      queue.pop_front();
      lock.unlock();
      next();
      next = nullptr;
      lock.lock();
    }
  }
};

ThreadPool::ThreadPool(std::string_view name, std::size_t threadCount)
    : impl_(std::make_unique<Impl>()) {
  SKEP_CHECK(threadCount > 0, "a thread pool has at least one thread");
  constexpr std::size_t kThreadNameBytesMax = 15;
  const std::string shortName(name.substr(0, kThreadNameBytesMax));
  for (std::size_t i = 0; i < threadCount; ++i) {
    std::thread& thread = impl_->threads.emplace_back([impl = impl_.get()] { impl->work(); });
    pthread_setname_np(thread.native_handle(), shortName.c_str());
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->closing = true;
  }
  impl_->changed.notify_all();
  for (std::thread& thread : impl_->threads) thread.join();
}

void ThreadPool::submit(std::function<void()> work) {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->queue.push_back(std::move(work));
  }
  impl_->changed.notify_one();
}

}  // namespace skep::fiber
