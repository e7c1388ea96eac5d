// BusyKeys: exclusive use of sets of 64-bit keys, for the time of one store operation.
//
// A set is taken whole or not at all, so that overlapping sets cannot deadlock, in whatever order
// their members stand. Any thread; the wait blocks the thread, so only threads of a pool wait here.
// Fairness is the condition variable's: enough, since a database has one owner, which writes in
// order.
//
//   BusyKeys::Hold hold(busy, keys);   // until the end of the scope

#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <unordered_set>
#include <vector>

namespace skep::backend::embedded {

class BusyKeys {
 public:
  bool isBusy(std::uint64_t key);
  /// Returns once the key was free for a moment. Blocks.
  void waitUntilFree(std::uint64_t key);

  /// Holds the keys, which may repeat, until it is destroyed.
  class Hold {
   public:
    Hold(BusyKeys& busy, std::span<const std::uint64_t> keys);
    ~Hold();
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    BusyKeys& busy_;
    std::vector<std::uint64_t> keys_;
  };

 private:
  bool anyBusy(std::span<const std::uint64_t> keys) const;

  std::mutex mutex_;
  std::condition_variable released_;
  std::size_t waiting_ = 0;
  std::unordered_set<std::uint64_t> busy_;
};

}  // namespace skep::backend::embedded
