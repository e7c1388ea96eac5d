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

}  // namespace

std::unique_ptr<Stack> Stack::map(std::size_t bytes) {
  const std::size_t usable = (bytes + pageBytes() - 1) / pageBytes() * pageBytes();
  void* mapping = ::mmap(nullptr, pageBytes() + usable, PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (mapping == MAP_FAILED) return nullptr;
  std::byte* bottom = static_cast<std::byte*>(mapping) + pageBytes();
  if (::mprotect(bottom, usable, PROT_READ | PROT_WRITE) != 0) {
    ::munmap(mapping, pageBytes() + usable);
    return nullptr;
  }
  return std::unique_ptr<Stack>(new Stack(bottom, usable));
}

Stack::Stack(std::byte* bottom, std::size_t bytes) : bytes_(bytes), bottom_(bottom) {
  addStackAsRoot(bottom_, bytes_);
}

Stack::~Stack() {
  removeStackAsRoot(bottom_, bytes_);
  // The last frames never returned, so their red zones are still poisoned for whoever gets the
  // memory next.
  unpoisonMemory(bottom_, bytes_);
  SKEP_CHECK(::munmap(bottom_ - pageBytes(), pageBytes() + bytes_) == 0, "munmap: %s",
             std::strerror(errno));
}

}  // namespace skep::fiber::detail
