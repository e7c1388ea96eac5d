// StackBudget: how many fibers may have a stack at once, over all loops of a process.
//
// A stack takes two mappings, and the kernel gives a process no more than vm.max_map_count of them.
// Whoever would wait for a stack that is held by somebody who waits for him would wait for ever; so
// fibers have a Priority, and each may hold only its share. Rule: a fiber waits only for fibers of a
// higher one.
//
//   Outside   what clients ask for             up to 1/2, then they are refused (Loop::trySpawn)
//   Inside    a step of such a request, timers up to 3/4, then they are refused
//   Internal  loading, stopping, bookkeeping   up to 7/8, then they wait for a stack
//   Commit    one database's commits           up to 15/16
//   Last      what commits go through          all
//
// Threading: any thread. Lifetime: outlives the loops that use it.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace skep::fiber {

enum class Priority : std::uint8_t { Outside, Inside, Internal, Commit, Last };
inline constexpr std::size_t kPriorityCount = 5;

class StackBudget {
 public:
  explicit StackBudget(std::size_t countMax) : countMax_(countMax) {}
  StackBudget(const StackBudget&) = delete;
  StackBudget& operator=(const StackBudget&) = delete;

  /// That of this process: three quarters of vm.max_map_count, as it was at the first call.
  static StackBudget& ofProcess();

  std::size_t countMax() const { return countMax_; }
  /// So many stacks may be in use for a fiber of `priority` to begin.
  std::size_t shareOf(Priority priority) const;
  /// Stacks that are mapped, those kept for reuse among them.
  std::size_t count() const { return count_.load(std::memory_order_relaxed); }

  void noteMapped() { count_.fetch_add(1, std::memory_order_relaxed); }
  void noteUnmapped() { count_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  const std::size_t countMax_;
  std::atomic<std::size_t> count_ = 0;
};

}  // namespace skep::fiber
