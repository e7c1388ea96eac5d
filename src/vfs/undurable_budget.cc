#include "skep/vfs/undurable_budget.h"

#include <vector>

#include "skep/base/check.h"
#include "skep/fiber/timer.h"

namespace skep::vfs {

UndurableBudget::~UndurableBudget() {
  SKEP_CHECK(bytes_ == 0 && waiters_.empty(), "databases are closed before their budget goes");
}

bool UndurableBudget::acquire(fiber::Loop& loop, Request request, Duration patience) {
  if (request.bytes == 0) return true;
  {
    std::lock_guard lock(mutex_);
    if (waiters_.empty() && hasRoomFor(request)) {
      bytes_ += request.bytes;
      return true;
    }
  }
  Waiter waiter{.request = request};
  fiber::Timer timer(loop);
  fiber::suspend([&](fiber::Waker waker) {
    waiter.waker = waker;
    std::unique_lock lock(mutex_);
    waiter.place = waiters_.insert(waiters_.end(), &waiter);
    timer.callAfter(patience, [this, &waiter] { giveUp(waiter); });
    grant(std::move(lock));  // there may be room by now
  });
  return waiter.isGranted;
}

void UndurableBudget::release(std::size_t bytes) {
  if (bytes == 0) return;
  std::unique_lock lock(mutex_);
  SKEP_CHECK(bytes <= bytes_, "more is given back than was taken");
  bytes_ -= bytes;
  grant(std::move(lock));
}

/// Its patience is over: those behind it may fit. Nothing happens when it was granted meanwhile.
void UndurableBudget::giveUp(Waiter& waiter) {
  std::unique_lock lock(mutex_);
  if (waiter.isGranted) return;
  waiters_.erase(waiter.place);
  fiber::Waker waker = waiter.waker;
  grant(std::move(lock));
  waker.wake();
}

/// Lets in who fits, from the front. A waiter that was woken may be gone at once.
void UndurableBudget::grant(std::unique_lock<std::mutex> lock) {
  std::vector<fiber::Waker> granted;
  while (!waiters_.empty() && hasRoomFor(waiters_.front()->request)) {
    Waiter& waiter = *waiters_.front();
    waiters_.pop_front();
    bytes_ += waiter.request.bytes;
    waiter.isGranted = true;
    granted.push_back(waiter.waker);
  }
  lock.unlock();
  for (fiber::Waker& waker : granted) waker.wake();
}

std::size_t UndurableBudget::bytes() const {
  std::lock_guard lock(mutex_);
  return bytes_;
}

std::size_t UndurableBudget::waiting() const {
  std::lock_guard lock(mutex_);
  return waiters_.size();
}

}  // namespace skep::vfs
