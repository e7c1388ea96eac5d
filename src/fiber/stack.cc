#include "skep/fiber/stack.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "skep/base/check.h"
#include "skep/fiber/sanitizer.h"

namespace skep::fiber::detail {
namespace {

std::size_t pageBytes() {
  static const auto bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

Stack mapStack(std::size_t bytes) {
  const std::size_t guardBytes = pageBytes();
  void* mapping = ::mmap(nullptr, guardBytes + bytes, PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  SKEP_CHECK(mapping != MAP_FAILED,
             "no address space for another fiber stack: %s (see vm.max_map_count)",
             std::strerror(errno));
  std::byte* bottom = static_cast<std::byte*>(mapping) + guardBytes;
  SKEP_CHECK(::mprotect(bottom, bytes, PROT_READ | PROT_WRITE) == 0,
             "no mapping for another fiber stack: %s (see vm.max_map_count)", std::strerror(errno));
  return {bottom, bytes};
}

void unmapStack(Stack stack) {
  const std::size_t guardBytes = pageBytes();
  SKEP_CHECK(::munmap(stack.bottom - guardBytes, guardBytes + stack.bytes) == 0, "munmap: %s",
             std::strerror(errno));
}

}  // namespace

StackPool::StackPool(std::size_t stackBytes, std::size_t pooledMax)
    : stackBytes_((stackBytes + pageBytes() - 1) / pageBytes() * pageBytes()),
      pooledMax_(pooledMax) {}

StackPool::~StackPool() {
  for (Stack stack : free_) unmapStack(stack);
}

Stack StackPool::take() {
  if (free_.empty()) return mapStack(stackBytes_);
  const Stack stack = free_.back();
  free_.pop_back();
  return stack;
}

void StackPool::giveBack(Stack stack) {
  // The fiber's last frames never returned, so their red zones are still poisoned.
  unpoisonMemory(stack.bottom, stack.bytes);
  if (free_.size() < pooledMax_) {
    free_.push_back(stack);
  } else {
    unmapStack(stack);
  }
}

}  // namespace skep::fiber::detail
