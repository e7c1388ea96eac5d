#include "skep/fiber/stack_budget.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <vector>

#include "skep/fiber/loop.h"
#include "skep/fiber/sync.h"

namespace skep::fiber {
namespace {

class StackBudgetTest : public testing::Test {
 protected:
  ManualClock clock;
  StackBudget budget{16};  // Outside 8, Inside 12, Internal 14, Commit 15, Last 16
  Loop loop{clock, {.budget = &budget}};
  Event end;
  std::vector<int> begun;

  void startWaiters(int count, Priority priority, int label = 0) {
    for (int i = 0; i < count; ++i) {
      loop.spawn(
          "waiter",
          [this, label] {
            begun.push_back(label);
            end.wait();
          },
          priority);
    }
    loop.runUntilIdle();
  }
  void TearDown() override {
    for (int i = 0; i < 10 && (end.hasWaiters() || loop.fiberCount() != 0); ++i) {
      end.notifyAll();
      loop.runUntilIdle();
    }
  }
};

TEST_F(StackBudgetTest, what_clients_ask_for_gets_half_of_the_stacks_and_is_refused_beyond) {
  int taken = 0;
  for (int i = 0; i < 20; ++i) {
    if (loop.trySpawn(
            "request", [this] { end.wait(); }, Priority::Outside))
      ++taken;
  }
  EXPECT_EQ(taken, 8) << "those that have not begun yet count";
  loop.runUntilIdle();
  EXPECT_FALSE(loop.hasRoom(Priority::Outside));
  EXPECT_TRUE(loop.hasRoom(Priority::Inside));
}

TEST_F(StackBudgetTest, a_fiber_that_finds_no_stack_free_begins_when_another_has_ended) {
  startWaiters(20, Priority::Internal);
  EXPECT_EQ(begun.size(), 14U);
  end.notifyOne();
  loop.runUntilIdle();
  EXPECT_EQ(begun.size(), 15U);
  end.notifyAll();
  loop.runUntilIdle();
  EXPECT_EQ(begun.size(), 20U);
}

TEST_F(StackBudgetTest, what_others_wait_for_always_finds_a_stack) {
  startWaiters(100, Priority::Internal, 0);
  startWaiters(100, Priority::Commit, 1);
  EXPECT_EQ(begun.size(), 15U);
  EXPECT_EQ(begun.back(), 1);
  startWaiters(1, Priority::Last, 2);
  EXPECT_EQ(begun.back(), 2);
  for (int i = 0; i < 100 && begun.size() < 201; ++i) {
    end.notifyAll();
    loop.runUntilIdle();
  }
  EXPECT_EQ(begun.size(), 201U);
}

TEST_F(StackBudgetTest, of_those_that_wait_the_highest_priority_comes_first) {
  startWaiters(16, Priority::Last, 0);
  startWaiters(1, Priority::Internal, 1);
  startWaiters(1, Priority::Last, 2);
  end.notifyOne();
  loop.runUntilIdle();
  EXPECT_EQ(begun.back(), 2);
}

TEST_F(StackBudgetTest, stacks_that_another_loop_gives_back_are_found) {
  Loop other(clock, {.budget = &budget});
  Event otherEnd;
  for (int i = 0; i < 14; ++i) other.spawn("waiter", [&] { otherEnd.wait(); });
  other.runUntilIdle();
  startWaiters(1, Priority::Internal);
  EXPECT_TRUE(begun.empty());
  otherEnd.notifyAll();
  other.runUntilIdle();
  clock.advance(std::chrono::milliseconds(20));
  loop.runUntilIdle();
  EXPECT_EQ(begun.size(), 1U);
}

/// As long as it lives, the system gives this process no mapping as large as a stack.
class NoMoreMemory {
 public:
  NoMoreMemory() {
    ::getrlimit(RLIMIT_AS, &before_);
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const rlim_t used = pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const rlimit none{.rlim_cur = used + 256 * 1024, .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_AS, &none);
  }
  ~NoMoreMemory() { ::setrlimit(RLIMIT_AS, &before_); }
  NoMoreMemory(const NoMoreMemory&) = delete;
  NoMoreMemory& operator=(const NoMoreMemory&) = delete;

 private:
  rlimit before_{};
};

TEST_F(StackBudgetTest, a_stack_that_the_system_refuses_is_waited_for) {
  {
    const NoMoreMemory none;
    startWaiters(1, Priority::Internal);
  }
  EXPECT_TRUE(begun.empty());
  EXPECT_EQ(budget.count(), 0U);
  clock.advance(std::chrono::milliseconds(20));
  loop.runUntilIdle();
  EXPECT_EQ(begun.size(), 1U);
}

TEST_F(StackBudgetTest, the_process_has_a_budget_of_its_own) {
  EXPECT_GE(StackBudget::ofProcess().countMax(), 1024U);
  EXPECT_LT(StackBudget::ofProcess().shareOf(Priority::Outside),
            StackBudget::ofProcess().shareOf(Priority::Inside));
}

}  // namespace
}  // namespace skep::fiber
