#include "skep/fiber/timer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <limits>
#include <random>
#include <vector>

#include "skep/fiber/loop.h"

namespace skep::fiber {
namespace {

using namespace std::chrono_literals;

class TimerTest : public testing::Test {
 protected:
  void advance(Duration d) {
    clock.advance(d);
    loop.runUntilIdle();
  }

  ManualClock clock;
  Loop loop{clock};
  std::vector<int> log;
};

using AbortTest = TimerTest;

TEST_F(TimerTest, fires_when_its_time_has_come_and_not_before) {
  Timer timer(loop);
  timer.callAfter(10ms, [&] { log.push_back(1); });
  EXPECT_TRUE(timer.isPending());
  EXPECT_EQ(loop.untilNextTimer(), 10ms);
  advance(10ms - 1ns);
  EXPECT_TRUE(log.empty());
  EXPECT_EQ(loop.untilNextTimer(), 1ns);
  advance(1ns);
  EXPECT_EQ(log, std::vector<int>{1});
  EXPECT_FALSE(timer.isPending());
  EXPECT_EQ(loop.untilNextTimer(), std::nullopt);
  advance(1h);
  EXPECT_EQ(log.size(), 1U);
}

TEST_F(TimerTest, timers_fire_by_time_and_then_by_the_order_of_arming) {
  std::deque<Timer> timers;
  const std::vector<int> delaysMs = {3, 1, 2, 1, 3, 2};
  for (std::size_t i = 0; i < delaysMs.size(); ++i) {
    timers.emplace_back(loop).callAfter(std::chrono::milliseconds(delaysMs[i]),
                                        [&, i] { log.push_back(static_cast<int>(i)); });
  }
  advance(5ms);
  EXPECT_EQ(log, (std::vector<int>{1, 3, 2, 5, 0, 4}));
}

TEST_F(TimerTest, a_cancelled_or_destroyed_timer_stays_silent) {
  Timer timer(loop);
  timer.callAfter(1ms, [&] { log.push_back(1); });
  timer.cancel();
  EXPECT_FALSE(timer.isPending());
  {
    Timer gone(loop);
    gone.callAfter(1ms, [&] { log.push_back(2); });
  }
  advance(1s);
  EXPECT_TRUE(log.empty());
}

TEST_F(TimerTest, calling_again_replaces_what_was_pending) {
  Timer timer(loop);
  timer.callAfter(1ms, [&] { log.push_back(1); });
  timer.callAfter(2ms, [&] { log.push_back(2); });
  advance(1ms);
  EXPECT_TRUE(log.empty());
  advance(1ms);
  EXPECT_EQ(log, std::vector<int>{2});
}

TEST_F(TimerTest, a_timer_may_arm_itself_again_or_destroy_itself) {
  Timer timer(loop);
  std::function<void()> again = [&] {
    log.push_back(1);
    if (log.size() < 3) timer.callAfter(0ms, again);
  };
  timer.callAfter(1ms, again);
  auto owned = std::make_unique<Timer>(loop);
  owned->callAfter(1ms, [&] { owned.reset(); });
  advance(1ms);
  EXPECT_EQ(log.size(), 3U);
  EXPECT_EQ(owned, nullptr);
}

TEST_F(TimerTest, a_timer_without_delay_does_not_starve_fibers) {
  Timer timer(loop);
  bool stop = false;
  std::function<void()> again = [&] {
    if (!stop) timer.callAfter(0ms, again);
  };
  timer.callAfter(0ms, again);
  loop.spawn("stopper", [&] {
    for (int i = 0; i < 1000; ++i) yield();
    stop = true;
  });
  loop.runUntilIdle();
  EXPECT_TRUE(stop);
}

TEST_F(TimerTest, an_endless_delay_does_not_overflow) {
  Timer timer(loop);
  timer.callAfter(Duration::max(), [&] { log.push_back(1); });
  advance(24h * 365);
  EXPECT_TRUE(log.empty());
}

TEST_F(TimerTest, sleeping_fibers_wake_in_order_and_not_early) {
  for (int ms : {30, 10, 20, 10}) {
    loop.spawn("sleeper", [&, ms] {
      const MonotonicTime start = clock.monotonic();
      sleepFor(std::chrono::milliseconds(ms));
      EXPECT_GE(clock.monotonic() - start, std::chrono::milliseconds(ms));
      log.push_back(ms);
    });
  }
  loop.runUntilIdle();
  for (int i = 0; i < 40; ++i) advance(1ms);
  EXPECT_EQ(log, (std::vector<int>{10, 10, 20, 30}));
}

TEST_F(TimerTest, agrees_with_a_sorted_list_over_random_arming_and_cancelling) {
  const char* given = std::getenv("SKEP_TEST_SEED");
  const auto seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  SCOPED_TRACE("SKEP_TEST_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);

  constexpr std::size_t kTimers = 200;
  std::deque<Timer> timers;
  for (std::size_t i = 0; i < kTimers; ++i) timers.emplace_back(loop);
  struct Expected {
    std::int64_t dueNs;
    std::uint64_t order;
    int id;
  };
  std::vector<Expected> expected;
  std::uint64_t order = 0;
  for (int step = 0; step < 3000; ++step) {
    const auto id = static_cast<int>(random() % kTimers);
    std::erase_if(expected, [&](const Expected& e) { return e.id == id; });
    if (random() % 3 == 0) {
      timers[id].cancel();
    } else {
      const Duration delay(random() % 1000);
      timers[id].callAfter(delay, [&, id] { log.push_back(id); });
      expected.push_back({clock.monotonic().ns + delay.count(), order++, id});
    }
    if (random() % 10 != 0) continue;
    advance(Duration(random() % 200));
    std::sort(expected.begin(), expected.end(), [](const Expected& a, const Expected& b) {
      return std::tie(a.dueNs, a.order) < std::tie(b.dueNs, b.order);
    });
    std::vector<int> due;
    while (!expected.empty() && expected.front().dueNs <= clock.monotonic().ns) {
      due.push_back(expected.front().id);
      expected.erase(expected.begin());
    }
    ASSERT_EQ(log, due);
    log.clear();
  }
}

TEST(SystemTimer, never_fires_early_and_wakes_a_blocked_loop) {
  SystemClock clock;
  runOnFreshLoop(clock, [&](Loop& loop) {
    for (int i = 0; i < 20; ++i) {
      const MonotonicTime start = clock.monotonic();
      sleepFor(std::chrono::microseconds(100 * i));
      EXPECT_GE(clock.monotonic() - start, std::chrono::microseconds(100 * i));
    }
    // An earlier timer after a later one: the alarm is set back.
    Timer late(loop);
    late.callAfter(1h, [] {});
    sleepFor(1ms);
    sleepFor(1ms);
  });
}

TEST_F(AbortTest, runs_its_callbacks_once_in_order) {
  AbortSource source;
  AbortToken token = source.token();
  EXPECT_FALSE(token.isAborted());
  token.onAbort([&] { log.push_back(1); });
  const auto removed = token.onAbort([&] { log.push_back(2); });
  std::uint64_t later = 0;
  token.onAbort([&] {
    log.push_back(3);
    token.remove(later);
  });
  later = token.onAbort([&] { log.push_back(4); });
  token.remove(removed);
  source.requestAbort();
  source.requestAbort();
  EXPECT_TRUE(token.isAborted());
  EXPECT_TRUE(source.isAborted());
  EXPECT_EQ(log, (std::vector<int>{1, 3}));
  token.onAbort([&] { log.push_back(5); });
  EXPECT_EQ(log.back(), 5);
}

TEST_F(AbortTest, a_token_outlives_its_source_and_a_default_token_never_aborts) {
  AbortToken token;
  EXPECT_FALSE(token.isAborted());
  EXPECT_EQ(token.onAbort([&] { log.push_back(1); }), 0U);
  {
    AbortSource source;
    token = source.token();
  }
  EXPECT_FALSE(token.isAborted());
  token.remove(token.onAbort([&] { log.push_back(1); }));
  EXPECT_TRUE(log.empty());
}

TEST_F(AbortTest, ends_a_sleep_early) {
  AbortSource source;
  loop.spawn("sleeper", [&] { log.push_back(sleepFor(10ms, source.token()) ? 1 : 0); });
  loop.spawn("sound sleeper", [&] { log.push_back(sleepFor(1ms, source.token()) ? 1 : 0); });
  loop.runUntilIdle();
  advance(1ms);
  EXPECT_EQ(log, std::vector<int>{1});
  source.requestAbort();
  loop.runUntilIdle();
  EXPECT_EQ(log, (std::vector<int>{1, 0}));
  EXPECT_EQ(loop.untilNextTimer(), std::nullopt);
  loop.spawn("too late", [&] { log.push_back(sleepFor(10ms, source.token()) ? 1 : 0); });
  loop.runUntilIdle();
  EXPECT_EQ(log, (std::vector<int>{1, 0, 0}));
}

TEST_F(AbortTest, an_abort_after_the_sleeps_time_has_come_wakes_once) {
  AbortSource source;
  loop.spawn("sleeper", [&] { log.push_back(sleepFor(1ms, source.token()) ? 1 : 0); });
  loop.runUntilIdle();
  Timer timer(loop);
  // Due at the same time as the sleep, after it: the sleeper is awake but has not run.
  timer.callAfter(1ms, [&] { source.requestAbort(); });
  advance(1ms);
  EXPECT_EQ(log, std::vector<int>{1});
}

}  // namespace
}  // namespace skep::fiber
