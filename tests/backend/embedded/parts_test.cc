// BusyKeys and HeadCache.

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "skep/backend/embedded/busy_keys.h"
#include "skep/backend/embedded/head_cache.h"

namespace skep::backend::embedded {
namespace {

TEST(BusyKeys, overlapping_sets_are_never_held_at_once_and_never_deadlock) {
  constexpr std::size_t kKeys = 10;
  BusyKeys busy;
  std::array<std::atomic<int>, kKeys> holders{};
  std::vector<std::thread> threads;
  for (unsigned thread = 0; thread < 6; ++thread) {
    threads.emplace_back([&, thread] {
      std::mt19937 random(thread);
      for (int round = 0; round < 2000; ++round) {
        std::vector<std::uint64_t> keys;  // in any order, some twice
        for (unsigned left = 1 + random() % 4; left > 0; --left) keys.push_back(random() % kKeys);
        const BusyKeys::Hold hold(busy, keys);
        const std::set<std::uint64_t> distinct(keys.begin(), keys.end());
        for (const std::uint64_t key : distinct) EXPECT_EQ(++holders[key], 1);
        if (round % 16 == 0) std::this_thread::yield();
        for (const std::uint64_t key : distinct) --holders[key];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(BusyKeys, sets_without_a_common_key_are_held_together) {
  BusyKeys busy;
  const std::uint64_t first[] = {1, 2};
  const std::uint64_t second[] = {3};
  const BusyKeys::Hold a(busy, first);
  const BusyKeys::Hold b(busy, second);  // would hang otherwise
}

HeadRow headAt(store::Txid txid) {
  return {.head = {.txid = txid}, .expiredTxid = 0};
}

TEST(HeadCache, it_gives_what_was_put_last) {
  HeadCache heads(100);
  EXPECT_EQ(heads.find({1}), std::nullopt);
  heads.put({1}, headAt(5));
  heads.put({1}, headAt(6));
  EXPECT_EQ(heads.find({1}), headAt(6));
  heads.erase({1});
  EXPECT_EQ(heads.find({1}), std::nullopt);
}

TEST(HeadCache, it_forgets_what_was_not_used_for_long_and_is_never_stale) {
  HeadCache heads(100);
  std::mt19937 random(3);
  std::map<std::uint64_t, store::Txid> put;
  std::size_t found = 0;
  for (int step = 0; step < 20'000; ++step) {
    const store::DatabaseId id{random() % 500};
    const auto head = heads.find(id);
    if (head) {
      ++found;
      ASSERT_EQ(head->head.txid, put.at(id.value));
    }
    if (random() % 8 == 0) {
      heads.erase(id);
    } else if (random() % 2 == 0) {
      heads.put(id, headAt(put[id.value] = random()));
    }
    // Used all the time, so it stays.
    heads.put({1000}, headAt(1));
    ASSERT_TRUE(heads.find({1000}).has_value());
  }
  EXPECT_GT(found, 100u);
  EXPECT_LT(found, 10'000u) << "more of 500 than a cache of 100 can know";
}

}  // namespace
}  // namespace skep::backend::embedded
