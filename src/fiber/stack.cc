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

Stack::Stack(std::size_t bytes) : bytes_((bytes + pageBytes() - 1) / pageBytes() * pageBytes()) {
  void* mapping = ::mmap(nullptr, pageBytes() + bytes_, PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  SKEP_CHECK(mapping != MAP_FAILED,
             "no address space for another fiber stack: %s (see vm.max_map_count)",
             std::strerror(errno));
  bottom_ = static_cast<std::byte*>(mapping) + pageBytes();
  SKEP_CHECK(::mprotect(bottom_, bytes_, PROT_READ | PROT_WRITE) == 0,
             "no mapping for another fiber stack: %s (see vm.max_map_count)", std::strerror(errno));
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
