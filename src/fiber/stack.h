// Stack: mapped memory with a guard page below it.
//
// It reserves address space only; the kernel gives memory to the pages that are touched. Running
// over its end hits the guard page and kills the process instead of writing into a neighbour.

#pragma once

#include <cstddef>
#include <memory>

namespace skep::fiber::detail {

class Stack {
 public:
  /// `bytes` is rounded up to whole pages. Null when the system has no more address space or
  /// mappings (vm.max_map_count).
  static std::unique_ptr<Stack> map(std::size_t bytes);
  ~Stack();
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  /// The lowest usable byte; the guard page lies below it.
  std::byte* bottom() const { return bottom_; }
  std::byte* top() const { return bottom_ + bytes_; }
  std::size_t bytes() const { return bytes_; }

 private:
  Stack(std::byte* bottom, std::size_t bytes);

  const std::size_t bytes_;
  std::byte* const bottom_;
};

}  // namespace skep::fiber::detail
