// Channel<T>: a bounded queue between fibers of one loop, closed from the sending side.
//
//   channel.send(item)     suspends while full; false once closed
//   channel.receive()      suspends while empty; nullopt once closed and drained

#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include "skep/fiber/sync.h"

namespace skep::fiber {

template <class T>
class Channel {
 public:
  explicit Channel(std::size_t itemsMax) : itemsMax_(itemsMax) {}

  bool send(T item) {
    while (!closed_ && items_.size() >= itemsMax_) writable_.wait();
    return push(std::move(item));
  }
  /// Does not suspend: false when full or closed.
  bool trySend(T item) {
    if (items_.size() >= itemsMax_) return false;
    return push(std::move(item));
  }
  std::optional<T> receive() {
    while (items_.empty() && !closed_) readable_.wait();
    return tryReceive();
  }
  std::optional<T> tryReceive() {
    if (items_.empty()) return std::nullopt;
    T item = std::move(items_.front());
    items_.pop_front();
    writable_.notifyOne();
    return item;
  }
  /// No more items are accepted; what is queued can still be received.
  void close() {
    closed_ = true;
    readable_.notifyAll();
    writable_.notifyAll();
  }
  bool isClosed() const { return closed_; }
  std::size_t size() const { return items_.size(); }

 private:
  bool push(T item) {
    if (closed_) return false;
    items_.push_back(std::move(item));
    readable_.notifyOne();
    return true;
  }
  std::size_t itemsMax_;
  bool closed_ = false;
  std::deque<T> items_;
  Event readable_;
  Event writable_;
};

}  // namespace skep::fiber
