#include "skep/fiber/loop_watch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "skep/fiber/loop.h"

namespace skep::fiber {
namespace {

class LoopWatchTest : public testing::Test {
 protected:
  SystemClock clock;
  Loop loop{clock};
  std::atomic<int> toldCount = 0;
  std::mutex mutex;
  std::vector<HeldLoop> told;
  LoopWatch watch{{&loop}, {.limit = std::chrono::milliseconds(20)}, [this](const HeldLoop& held) {
                    const std::lock_guard lock(mutex);
                    told.push_back(held);
                    ++toldCount;
                  }};

  void computeUntilTold(int count) {
    while (toldCount < count) std::this_thread::yield();
  }
  void run(const std::function<void()>& body) {
    loop.spawn("test", body);
    loop.runUntilIdle();
  }
};

TEST_F(LoopWatchTest, code_that_does_not_give_its_loop_back_is_told_of_by_name) {
  run([this] {
    const Activity activity{.actor = "room/a", .what = "compute"};
    const ActivityScope scope(activity);
    computeUntilTold(1);
  });
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].actor, "room/a");
  EXPECT_EQ(told[0].what, "compute");
  EXPECT_GE(told[0].time, std::chrono::milliseconds(20));
}

TEST_F(LoopWatchTest, it_is_the_running_fibers_name_that_is_told) {
  const Activity inner{.actor = "room/inner", .what = "b"};
  const Activity outer{.actor = "room/outer", .what = "a"};
  loop.spawn("other", [&] {
    const ActivityScope scope(inner);
    yield();
    yield();
  });
  run([&] {
    const ActivityScope scope(outer);
    yield();
    {
      const ActivityScope nested(inner);
      yield();
    }
    computeUntilTold(1);
  });
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].actor, "room/outer");
}

TEST_F(LoopWatchTest, what_is_nobodys_has_no_name) {
  run([this] { computeUntilTold(1); });
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].actor, "");
}

}  // namespace
}  // namespace skep::fiber
