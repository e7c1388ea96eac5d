#include "skep/fiber/fiber.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "skep/fiber/loop.h"
#include "skep/fiber/sync.h"
#include "skep/fiber/thread_pool.h"

namespace skep::fiber {
namespace {

using namespace std::chrono_literals;

class FiberTest : public testing::Test {
 protected:
  ManualClock clock;
  Loop loop{clock};
  std::vector<std::string> log;
};

TEST_F(FiberTest, runs_fibers_and_posted_functions_in_the_order_of_arrival) {
  loop.spawn("a", [&] {
    log.push_back("a1");
    yield();
    log.push_back("a2");
  });
  loop.post([&] { log.push_back("post"); });
  loop.spawn("b", [&] {
    log.push_back("b1");
    yield();
    log.push_back("b2");
  });
  loop.runUntilIdle();
  EXPECT_EQ(log, (std::vector<std::string>{"a1", "post", "b1", "a2", "b2"}));
  EXPECT_EQ(loop.fiberCount(), 0U);
}

TEST_F(FiberTest, knows_where_it_runs) {
  EXPECT_FALSE(onFiber());
  EXPECT_EQ(currentLoop(), nullptr);
  loop.spawn("fiber", [&] {
    EXPECT_TRUE(onFiber());
    EXPECT_EQ(currentLoop(), &loop);
    yield();
    EXPECT_TRUE(onFiber());
  });
  loop.post([&] {
    EXPECT_FALSE(onFiber());
    EXPECT_EQ(currentLoop(), &loop);
  });
  loop.runUntilIdle();
  EXPECT_EQ(currentLoop(), nullptr);
}

TEST_F(FiberTest, a_suspended_fiber_waits_until_it_is_woken) {
  Waker waker;
  loop.spawn("waiter", [&] {
    suspend([&](Waker w) { waker = w; });
    log.push_back("woken");
  });
  loop.runUntilIdle();
  EXPECT_TRUE(log.empty());
  EXPECT_EQ(loop.fiberCount(), 1U);
  waker.wake();
  EXPECT_FALSE(static_cast<bool>(waker));
  loop.runUntilIdle();
  EXPECT_EQ(log.size(), 1U);
  EXPECT_EQ(loop.fiberCount(), 0U);
}

TEST_F(FiberTest, a_wake_before_the_suspension_has_finished_is_kept) {
  loop.spawn("eager", [&] {
    for (int i = 0; i < 3; ++i) suspend([](Waker w) { w.wake(); });
    log.push_back("done");
  });
  loop.runUntilIdle();
  EXPECT_EQ(log.size(), 1U);
}

TEST_F(FiberTest, fibers_that_only_yield_do_not_hold_up_io) {
  bool ioRan = false;
  boost::asio::post(loop.context(), [&] { ioRan = true; });
  int yields = 0;
  loop.spawn("busy", [&] {
    while (!ioRan) {
      yield();
      ++yields;
    }
  });
  loop.runUntilIdle();
  EXPECT_LT(yields, 200);
}

TEST_F(FiberTest, a_finished_fibers_stack_is_used_again) {
  std::set<const void*> stacks;
  for (int i = 0; i < 100; ++i) {
    loop.spawn("short", [&] { stacks.insert(__builtin_frame_address(0)); });
    loop.runUntilIdle();
  }
  EXPECT_EQ(stacks.size(), 1U);
}

TEST_F(FiberTest, thousands_of_fibers_wait_at_once) {
#ifdef __SANITIZE_THREAD__
  constexpr int kFibers = 1000;  // each costs it milliseconds
#else
  constexpr int kFibers = 4000;
#endif
  Event go;
  int done = 0;
  for (int i = 0; i < kFibers; ++i) {
    loop.spawn("one of many", [&] {
      go.wait();
      yield();
      ++done;
    });
  }
  loop.runUntilIdle();
  EXPECT_EQ(loop.fiberCount(), static_cast<std::size_t>(kFibers));
  loop.spawn("starter", [&] { go.notifyAll(); });
  loop.runUntilIdle();
  EXPECT_EQ(done, kFibers);
}

/// Recurses until the stack is `bytes` deep below `top`, and yields there. Returns the number of
/// levels.
__attribute__((noinline)) int recurse(const char* top, std::ptrdiff_t bytes) {
  volatile char frame[1000];
  frame[0] = 1;
  const auto* here = static_cast<const char*>(__builtin_frame_address(0));
  if (top - here >= bytes) {
    yield();
    return frame[0];
  }
  return recurse(top, bytes) + frame[0];
}

TEST_F(FiberTest, recurses_400_KiB_deep) {
  std::vector<int> levels;
  for (int i = 0; i < 3; ++i) {
    loop.spawn("deep", [&] {
      const auto* top = static_cast<const char*>(__builtin_frame_address(0));
      levels.push_back(recurse(top, 400 * 1024));
    });
  }
  loop.runUntilIdle();
  ASSERT_EQ(levels.size(), 3U);
  EXPECT_GT(levels[0], 100);
  EXPECT_EQ(levels[1], levels[0]);
  EXPECT_EQ(levels[2], levels[0]);
}

TEST_F(FiberTest, an_exception_stays_within_its_fiber_while_others_throw_too) {
  constexpr int kFibers = 50;
  std::string caught;
  int rounds = 0;
  for (int i = 0; i < kFibers; ++i) {
    loop.spawn("thrower", [&, i] {
      for (int k = 0; k < 20; ++k) {
        const std::string text = std::to_string(i) + "." + std::to_string(k);
        std::string got;
        try {
          yield();
          throw std::runtime_error(text);
        } catch (const std::runtime_error& error) {
          got = error.what();
        }
        yield();
        if (got == text) ++rounds;
      }
    });
  }
  loop.runUntilIdle();
  EXPECT_EQ(rounds, kFibers * 20);
}

/// Suspends while an exception unwinds its frame. Forbidden by the style, but it must not mix up
/// fibers.
struct YieldsWhenDestroyed {
  std::vector<int>& counts;
  ~YieldsWhenDestroyed() {
    counts.push_back(std::uncaught_exceptions());
    yield();
    counts.push_back(std::uncaught_exceptions());
  }
};

TEST_F(FiberTest, each_fiber_has_its_own_count_of_uncaught_exceptions) {
  std::vector<int> counts;
  loop.spawn("unwinding", [&] {
    try {
      YieldsWhenDestroyed guard{counts};
      throw 1;
    } catch (int) {
    }
    counts.push_back(std::uncaught_exceptions());
  });
  loop.spawn("quiet", [&] { counts.push_back(10 + std::uncaught_exceptions()); });
  loop.runUntilIdle();
  EXPECT_EQ(counts, (std::vector<int>{1, 10, 1, 0}));
}

TEST_F(FiberTest, a_loop_may_run_inside_a_catch_block) {
  try {
    throw std::runtime_error("outer");
  } catch (const std::runtime_error& outer) {
    loop.spawn("inner", [&] {
      yield();
      try {
        throw 1;
      } catch (int) {
      }
      log.push_back("inner");
    });
    loop.runUntilIdle();
    EXPECT_STREQ(outer.what(), "outer");
    EXPECT_THROW(throw, std::runtime_error);
  }
  EXPECT_EQ(log.size(), 1U);
}

TEST_F(FiberTest, a_fiber_runs_another_loop_to_its_end) {
  loop.spawn("outer", [&] {
    runOnFreshLoop(clock, [&](Loop& inner) {
      EXPECT_EQ(currentLoop(), &inner);
      yield();
      log.push_back("inner");
    });
    EXPECT_EQ(currentLoop(), &loop);
    EXPECT_TRUE(onFiber());
    yield();
    log.push_back("outer");
  });
  loop.runUntilIdle();
  EXPECT_EQ(log, (std::vector<std::string>{"inner", "outer"}));
}

TEST(PlainThread, blocks_until_woken_by_another_thread) {
  std::thread other;
  int value = 0;
  suspend([&](Waker waker) {
    other = std::thread([&value, waker]() mutable {
      value = 7;
      waker.wake();
    });
  });
  EXPECT_EQ(value, 7);
  other.join();
}

TEST(PlainThread, sleeps_and_yields) {
  const auto start = std::chrono::steady_clock::now();
  yield();
  sleepFor(2ms);
  EXPECT_GE(std::chrono::steady_clock::now() - start, 2ms);
}

using FiberDeathTest = FiberTest;

TEST_F(FiberDeathTest, suspending_in_a_catch_block_aborts) {
  EXPECT_DEATH(
      {
        loop.spawn("catcher", [] {
          try {
            throw 1;
          } catch (int) {
            yield();
          }
        });
        loop.runUntilIdle();
      },
      "no suspension in a catch block");
}

TEST_F(FiberDeathTest, suspending_in_a_posted_function_aborts) {
  EXPECT_DEATH(
      {
        loop.post([] { yield(); });
        loop.runUntilIdle();
      },
      "outside a fiber");
}

TEST_F(FiberDeathTest, waking_twice_aborts) {
  EXPECT_DEATH(
      {
        loop.spawn("twice", [] {
          suspend([](Waker waker) {
            Waker copy = waker;
            waker.wake();
            copy.wake();
          });
        });
        loop.runUntilIdle();
      },
      "woken twice");
}

TEST_F(FiberDeathTest, a_late_second_wake_is_recognised) {
  EXPECT_DEATH(
      {
        loop.spawn("late", [] {
          Waker copy;
          suspend([&](Waker waker) {
            copy = waker;
            waker.wake();
          });
          suspend([&](Waker) { copy.wake(); });
        });
        loop.runUntilIdle();
      },
      "woken twice");
}

TEST_F(FiberDeathTest, an_exception_that_leaves_a_fiber_aborts_and_names_it) {
  EXPECT_DEATH(
      {
        loop.spawn("careless", [] { throw std::runtime_error("lost"); });
        loop.runUntilIdle();
      },
      "fiber 'careless' ended with an exception: lost");
}

TEST(LoopDeathTest, destroying_a_loop_with_waiting_fibers_aborts) {
  ManualClock clock;
  EXPECT_DEATH(
      {
        Loop loop(clock);
        loop.spawn("waiter", [] { suspend([](Waker) {}); });
        loop.runUntilIdle();
      },
      "destroyed while 1 of its fibers wait");
}

__attribute__((noinline)) int recurseForever(int depth) {
  volatile char frame[1000];
  frame[0] = static_cast<char>(depth);
  return depth < 0 ? 0 : recurseForever(depth + 1) + frame[0];
}

TEST_F(FiberDeathTest, a_stack_overflow_hits_the_guard_page) {
  EXPECT_DEATH(
      {
        loop.spawn("endless", [] { recurseForever(0); });
        loop.runUntilIdle();
      },
      "");
}

}  // namespace
}  // namespace skep::fiber
