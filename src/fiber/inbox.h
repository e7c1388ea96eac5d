// Task, TaskList, Inbox: what a loop runs, and how other threads hand it over.
//
// A Task is a woken fiber or a posted function, linked through itself: queueing allocates nothing.
// TaskList is a plain FIFO of one thread. Inbox is a lock-free stack that any thread pushes to and
// the loop's thread takes as a whole, reversed into FIFO order.
//
// No wake is lost when the loop goes to sleep. Invariant: a loop that blocks has stored its
// sleeping state before it last looked at the inbox; a pusher has pushed before it looks at the
// state. Both use sequentially consistent operations, so one of them sees the other.

#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <utility>

namespace skep::fiber::detail {

struct Task {
  enum class Kind : std::uint8_t { Call, Fiber };
  explicit Task(Kind taskKind) : kind(taskKind) {}

  Task* next = nullptr;
  const Kind kind;
};

/// A posted function; owned by whichever queue holds it.
struct Call : Task {
  explicit Call(std::function<void()> f) : Task(Kind::Call), function(std::move(f)) {}
  std::function<void()> function;
};

class TaskList {
 public:
  TaskList() = default;
  TaskList(const TaskList&) = delete;
  TaskList& operator=(const TaskList&) = delete;

  bool isEmpty() const { return first_ == nullptr; }
  void append(Task& task) {
    task.next = nullptr;
    *end_ = &task;
    end_ = &task.next;
  }
  Task& takeFirst() {
    Task& task = *first_;
    first_ = task.next;
    if (first_ == nullptr) end_ = &first_;
    return task;
  }
  /// Empties the list and returns its chain, oldest first.
  Task* takeAll() {
    end_ = &first_;
    return std::exchange(first_, nullptr);
  }

 private:
  Task* first_ = nullptr;
  Task** end_ = &first_;
};

/// What the loop's thread does while its inbox may fill.
enum class LoopState : std::uint8_t {
  Awake,     // it will look into the inbox before it blocks
  Blocked,   // it waits in Asio
  Elsewhere  // nobody runs the loop
};

class Inbox {
 public:
  Inbox() = default;
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  /// Any thread. `wake(state)` is called when the loop had left Awake; one pusher of many gets to
  /// call it.
  template <class Wake>
  void push(Task& task, Wake wake) {
    // The loop may run the task, end, and be destroyed while we are still here: the destructor
    // waits.
    pushers_.fetch_add(1, std::memory_order_relaxed);
    Task* first = newest_.load(std::memory_order_relaxed);
    do {
      task.next = first;
    } while (!newest_.compare_exchange_weak(first, &task, std::memory_order_seq_cst,
                                            std::memory_order_relaxed));
    if (state_.load(std::memory_order_seq_cst) != LoopState::Awake) {
      const LoopState before = state_.exchange(LoopState::Awake, std::memory_order_seq_cst);
      if (before != LoopState::Awake) wake(before);
    }
    pushers_.fetch_sub(1, std::memory_order_release);
  }

  // The loop's thread from here on.

  void moveTo(TaskList& list) {
    if (newest_.load(std::memory_order_relaxed) == nullptr) return;
    Task* oldest = nullptr;
    Task* task = newest_.exchange(nullptr, std::memory_order_seq_cst);
    while (task != nullptr) oldest = std::exchange(task, std::exchange(task->next, oldest));
    while (oldest != nullptr) list.append(*std::exchange(oldest, oldest->next));
  }
  void setAwake() { state_.store(LoopState::Awake, std::memory_order_seq_cst); }
  /// Enters `state` and returns true, or stays Awake and returns false because something has
  /// arrived.
  bool leaveAwake(LoopState state) {
    state_.store(state, std::memory_order_seq_cst);
    if (newest_.load(std::memory_order_seq_cst) == nullptr) return true;
    setAwake();
    return false;
  }
  /// Waits until no pusher is inside any more (a few instructions of theirs).
  void drainPushers() const {
    while (pushers_.load(std::memory_order_acquire) != 0) std::this_thread::yield();
  }

 private:
  std::atomic<Task*> newest_ = nullptr;
  std::atomic<LoopState> state_ = LoopState::Elsewhere;
  std::atomic<std::uint32_t> pushers_ = 0;
};

}  // namespace skep::fiber::detail
