// Channel<T>: a bounded queue between fibers of one loop, closed from the sending side.
//
//   channel.send(item)     suspends while full; false once closed
//   channel.receive()      suspends while empty; nullopt once closed and drained
//
// First come, first served on both sides: an item goes to the receiver that has waited longest, a
// free place to the sender that has waited longest. It is handed over at once, so that a newcomer
// cannot overtake a fiber that is woken but has not run yet.

#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include "skep/base/check.h"
#include "skep/fiber/sync.h"

namespace skep::fiber {

template <class T>
class Channel {
 public:
  explicit Channel(std::size_t itemsMax) : itemsMax_(itemsMax) {
    SKEP_CHECK(itemsMax > 0, "a channel holds at least one item");
  }

  bool send(T item) {
    if (closed_ || items_.size() < itemsMax_) return trySend(std::move(item));
    Sender sender{.item = std::move(item), .waker = {}};
    suspend([&](Waker waker) {
      sender.waker = waker;
      senders_.append(sender);
    });
    return sender.accepted;
  }
  /// Does not suspend: false when full or closed.
  bool trySend(T item) {
    if (closed_ || items_.size() >= itemsMax_) return false;
    if (receivers_.isEmpty()) {
      items_.push_back(std::move(item));
    } else {
      Receiver& receiver = receivers_.takeFirst();
      receiver.item.emplace(std::move(item));
      receiver.waker.wake();
    }
    return true;
  }
  std::optional<T> receive() {
    if (!items_.empty() || closed_) return tryReceive();
    Receiver receiver;
    suspend([&](Waker waker) {
      receiver.waker = waker;
      receivers_.append(receiver);
    });
    return std::move(receiver.item);
  }
  std::optional<T> tryReceive() {
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    if (!senders_.isEmpty()) {
      Sender& sender = senders_.takeFirst();
      items_.push_back(std::move(sender.item));
      sender.accepted = true;
      sender.waker.wake();
    }
    return item;
  }
  /// No more items are accepted, not even those of senders that wait; what is queued can still be
  /// received.
  void close() {
    closed_ = true;
    while (!senders_.isEmpty()) senders_.takeFirst().waker.wake();
    while (!receivers_.isEmpty()) receivers_.takeFirst().waker.wake();
  }
  bool isClosed() const { return closed_; }
  std::size_t size() const { return items_.size(); }

 private:
  struct Sender {
    T item;
    Waker waker;
    bool accepted = false;
    Sender* next = nullptr;
  };
  struct Receiver {
    std::optional<T> item;
    Waker waker;
    Receiver* next = nullptr;
  };

  const std::size_t itemsMax_;
  bool closed_ = false;
  // Senders wait only while items_ is full, receivers only while it is empty.
  std::deque<T> items_;
  WaitList<Sender> senders_;
  WaitList<Receiver> receivers_;
};

}  // namespace skep::fiber
