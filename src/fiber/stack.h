// Fiber stacks: mapped memory with a guard page below, and a pool of them.
//
// A stack reserves address space only; the kernel gives memory to the pages that are touched.
// Running over its end hits the guard page and kills the process instead of writing into a
// neighbour. One thread.

#pragma once

#include <cstddef>
#include <vector>

namespace skep::fiber::detail {

/// An empty Stack has bottom == nullptr. The lowest usable byte is `bottom`; the guard page lies
/// below it.
struct Stack {
  std::byte* bottom = nullptr;
  std::size_t bytes = 0;

  std::byte* top() const { return bottom + bytes; }
};

class StackPool {
 public:
  /// `stackBytes` is rounded up to whole pages.
  StackPool(std::size_t stackBytes, std::size_t pooledMax);
  ~StackPool();
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;

  /// The stack that was given back last (its pages are warm), or a new one. Aborts when the system
  /// has no more.
  Stack take();
  /// Keeps the stack for the next take(), or unmaps it when the pool is full.
  void giveBack(Stack stack);

 private:
  std::size_t stackBytes_;
  std::size_t pooledMax_;
  std::vector<Stack> free_;
};

}  // namespace skep::fiber::detail
