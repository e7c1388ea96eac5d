// Waiting for something: OneShot, Event, Gate, Mutex, Semaphore.
//
// OneShot crosses threads. The others belong to one loop: only its fibers touch them.

#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <utility>

#include "skep/base/check.h"
#include "skep/fiber/fiber.h"
#include "skep/fiber/timer.h"

namespace skep::fiber {

/// A value that one side sets once, on any thread, and the other waits for. The waiter owns the
/// OneShot and must not go away before set() has returned; a setter that may outlive it holds a
/// shared_ptr.
template <class T>
class OneShot {
 public:
  /// Any thread, once.
  void set(T value) {
    std::unique_lock lock(mutex_);
    SKEP_CHECK(!value_.has_value(), "a OneShot is set once");
    value_.emplace(std::move(value));
    // Woken with the mutex held: the waiter cannot return and destroy this before we let go of it.
    if (waiter_) waiter_.wake();
  }

  /// Suspends until set(), then takes the value.
  T wait() {
    bool mustWait = false;
    {
      std::lock_guard lock(mutex_);
      mustWait = !value_.has_value();
    }
    if (mustWait) {
      suspend([this](Waker waker) {
        std::lock_guard lock(mutex_);
        if (value_.has_value()) {
          waker.wake();
        } else {
          waiter_ = waker;
        }
      });
    }
    std::lock_guard lock(mutex_);
    return std::move(*value_);
  }

 private:
  std::mutex mutex_;
  std::optional<T> value_;
  Waker waiter_;
};

/// Waiters in the order in which they came. Each is linked through a node on its own stack, so an
/// idle list is two pointers and waiting allocates nothing. A node: anything with a member `Node*
/// next`.
template <class Node>
class WaitList {
 public:
  WaitList() = default;
  WaitList(const WaitList&) = delete;
  WaitList& operator=(const WaitList&) = delete;

  bool isEmpty() const { return first_ == nullptr; }
  Node& first() { return *first_; }
  void append(Node& node) {
    node.next = nullptr;
    *end_ = &node;
    end_ = &node.next;
  }
  Node& takeFirst() {
    Node& node = *first_;
    first_ = node.next;
    if (first_ == nullptr) end_ = &first_;
    return node;
  }
  /// For who gives up, which is mostly the first. False: it is not in here any more.
  bool remove(Node& node) {
    for (Node** place = &first_; *place != nullptr; place = &(*place)->next) {
      if (*place != &node) continue;
      *place = node.next;
      if (node.next == nullptr) end_ = place;
      return true;
    }
    return false;
  }

 private:
  Node* first_ = nullptr;
  Node** end_ = &first_;
};

/// A condition that fibers of one loop wait for; like a condition variable without a mutex.
class Event {
 public:
  /// Suspends until the next notifyAll() (or, in its turn, notifyOne()).
  void wait();
  /// The same, for at most so long; false when the time ran out.
  bool waitFor(Duration duration);
  void notifyAll();
  void notifyOne();
  bool hasWaiters() const { return !waiters_.isEmpty(); }

 private:
  struct Waiter {
    Waker waker;
    Waiter* next = nullptr;
  };
  WaitList<Waiter> waiters_;
};

/// Suspends until `condition()` is true, checking it again after each notification of `event`.
template <class Condition>
void waitUntil(Event& event, Condition condition) {
  while (!condition()) event.wait();
}

/// Keeps an object alive while background fibers use it. tryEnter() fails after close() began;
/// close() suspends until everyone who entered has left. A fiber that is inside must not close: it
/// would wait for itself.
class Gate {
 public:
  bool tryEnter();
  void leave();
  void close();  // suspends; may be called again, and by several fibers
  /// Suspends until nobody is inside, or wakeWaiters(): look at count() again. It stays open.
  void waitForEmpty();
  void wakeWaiters() { emptied_.notifyAll(); }
  bool isClosed() const { return closed_; }
  std::size_t count() const { return count_; }

 private:
  std::size_t count_ = 0;
  bool closed_ = false;
  Event emptied_;
};

/// Holds a Gate open for a scope; false when the gate was closed.
class GateHolder {
 public:
  explicit GateHolder(Gate& gate) : gate_(gate.tryEnter() ? &gate : nullptr) {}
  ~GateHolder() { leave(); }
  GateHolder(GateHolder&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
  GateHolder(const GateHolder&) = delete;
  GateHolder& operator=(const GateHolder&) = delete;
  explicit operator bool() const { return gate_ != nullptr; }
  /// Earlier than the scope's end.
  void leave() {
    if (Gate* gate = std::exchange(gate_, nullptr)) gate->leave();
  }

 private:
  Gate* gate_;
};

/// First come, first served mutual exclusion between fibers of one loop. Use with std::lock_guard.
class Mutex {
 public:
  void lock();  // suspends
  /// The same, until the abort; false when that came first, and then the mutex is not the caller's.
  bool lock(AbortToken token);
  bool try_lock();
  /// Hands the mutex to the fiber that has waited longest: nobody else can get it in between.
  void unlock();

 private:
  struct Waiter {
    Waker waker;
    Waiter* next = nullptr;
  };
  bool locked_ = false;
  WaitList<Waiter> waiters_;
};

/// Counts permits: the bound of a queue or of a number of parallel operations. First come, first
/// served: a small request waits behind a large one.
class Semaphore {
 public:
  explicit Semaphore(std::size_t permits) : permits_(permits) {}
  /// Suspends. More permits than will ever exist are never granted.
  void acquire(std::size_t count = 1);
  bool tryAcquire(std::size_t count = 1);
  void release(std::size_t count = 1);
  std::size_t available() const { return permits_; }

 private:
  struct Request {
    std::size_t count;
    Waker waker;
    Request* next = nullptr;
  };
  std::size_t permits_;
  WaitList<Request> queue_;
};

}  // namespace skep::fiber
