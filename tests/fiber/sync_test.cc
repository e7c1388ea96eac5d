#include "skep/fiber/sync.h"

#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "skep/fiber/channel.h"
#include "skep/fiber/loop.h"

namespace skep::fiber {
namespace {

class SyncTest : public testing::Test {
 protected:
  ManualClock clock;
  Loop loop{clock};
  std::vector<int> log;
};

using EventTest = SyncTest;
using GateTest = SyncTest;
using MutexTest = SyncTest;
using SemaphoreTest = SyncTest;
using ChannelTest = SyncTest;
using OneShotTest = SyncTest;

TEST_F(EventTest, notify_one_wakes_in_the_order_of_waiting) {
  Event event;
  for (int i = 0; i < 3; ++i) {
    loop.spawn("waiter", [&, i] {
      event.wait();
      log.push_back(i);
    });
  }
  loop.runUntilIdle();
  EXPECT_TRUE(event.hasWaiters());
  for (int i = 0; i < 3; ++i) {
    event.notifyOne();
    loop.runUntilIdle();
    EXPECT_EQ(log.size(), static_cast<std::size_t>(i + 1));
  }
  EXPECT_FALSE(event.hasWaiters());
  event.notifyOne();
  EXPECT_EQ(log, (std::vector<int>{0, 1, 2}));
}

TEST_F(EventTest, who_waits_for_so_long_goes_on_when_the_time_is_over) {
  Event event;
  loop.spawn("waiter", [&] {
    log.push_back(event.waitFor(std::chrono::seconds(5)) ? 1 : 0);
    log.push_back(event.waitFor(std::chrono::seconds(5)) ? 1 : 0);
  });
  loop.runUntilIdle();
  event.notifyAll();
  loop.runUntilIdle();
  EXPECT_EQ(log, (std::vector<int>{1}));
  clock.advance(std::chrono::seconds(5));
  loop.runUntilIdle();
  EXPECT_EQ(log, (std::vector<int>{1, 0}));
  EXPECT_FALSE(event.hasWaiters());
}

TEST_F(MutexTest, who_gives_up_leaves_the_line_and_the_next_gets_it) {
  Mutex mutex;
  AbortSource abort;
  loop.spawn("holder", [&] {
    mutex.lock();
    sleepFor(std::chrono::seconds(1));
    mutex.unlock();
  });
  loop.spawn("gives up", [&] { log.push_back(mutex.lock(abort.token()) ? 1 : 0); });
  loop.spawn("waits", [&] {
    mutex.lock();
    log.push_back(2);
    mutex.unlock();
  });
  loop.runUntilIdle();
  abort.requestAbort();
  loop.runUntilIdle();
  EXPECT_EQ(log, (std::vector<int>{0}));
  clock.advance(std::chrono::seconds(1));
  loop.runUntilIdle();
  EXPECT_EQ(log, (std::vector<int>{0, 2}));
}

TEST_F(EventTest, notify_all_wakes_who_waits_now_but_not_who_waits_again) {
  Event event;
  for (int i = 0; i < 3; ++i) {
    loop.spawn("waiter", [&, i] {
      event.wait();
      log.push_back(i);
      event.wait();
      log.push_back(10 + i);
    });
  }
  loop.runUntilIdle();
  event.notifyAll();
  loop.runUntilIdle();
  EXPECT_EQ(log, (std::vector<int>{0, 1, 2}));
  event.notifyAll();
  loop.runUntilIdle();
  EXPECT_EQ(log, (std::vector<int>{0, 1, 2, 10, 11, 12}));
}

TEST_F(EventTest, wait_until_checks_its_condition_after_each_notification) {
  Event event;
  int value = 0;
  loop.spawn("waiter", [&] {
    waitUntil(event, [&] { return value == 3; });
    log.push_back(value);
  });
  loop.runUntilIdle();
  for (value = 1; value <= 3; ++value) {
    EXPECT_TRUE(log.empty());
    event.notifyAll();
    loop.runUntilIdle();
  }
  EXPECT_EQ(log, std::vector<int>{3});
}

TEST_F(GateTest, close_waits_for_those_who_entered_and_refuses_new_ones) {
  Gate gate;
  Event leave;
  for (int i = 0; i < 2; ++i) {
    loop.spawn("inside", [&, i] {
      GateHolder holder(gate);
      ASSERT_TRUE(holder);
      leave.wait();
      log.push_back(i);
    });
  }
  loop.runUntilIdle();
  EXPECT_EQ(gate.count(), 2U);
  for (int i = 0; i < 2; ++i) {
    loop.spawn("closer", [&] {
      gate.close();
      log.push_back(100);
    });
  }
  loop.runUntilIdle();
  EXPECT_TRUE(gate.isClosed());
  EXPECT_FALSE(GateHolder(gate));
  EXPECT_TRUE(log.empty());
  leave.notifyOne();
  loop.runUntilIdle();
  EXPECT_EQ(log, std::vector<int>{0});
  leave.notifyOne();
  loop.runUntilIdle();
  EXPECT_EQ(log, (std::vector<int>{0, 1, 100, 100}));
}

TEST_F(GateTest, an_empty_gate_closes_at_once_and_again) {
  Gate gate;
  loop.spawn("closer", [&] {
    gate.close();
    gate.close();
    log.push_back(1);
  });
  loop.runUntilIdle();
  EXPECT_EQ(log, std::vector<int>{1});
}

TEST_F(GateTest, a_moved_holder_leaves_once) {
  Gate gate;
  {
    GateHolder first(gate);
    GateHolder second(std::move(first));
    EXPECT_EQ(gate.count(), 1U);
  }
  EXPECT_EQ(gate.count(), 0U);
}

TEST_F(MutexTest, is_handed_over_in_the_order_of_waiting) {
  Mutex mutex;
  for (int i = 0; i < 4; ++i) {
    loop.spawn("locker", [&, i] {
      for (int k = 0; k < 2; ++k) {
        std::lock_guard lock(mutex);
        log.push_back(i);
        yield();
      }
    });
  }
  loop.runUntilIdle();
  EXPECT_EQ(log, (std::vector<int>{0, 1, 2, 3, 0, 1, 2, 3}));
  EXPECT_TRUE(mutex.try_lock());
  EXPECT_FALSE(mutex.try_lock());
  mutex.unlock();
}

TEST_F(SemaphoreTest, a_small_request_waits_behind_a_large_one) {
  Semaphore semaphore(3);
  ASSERT_TRUE(semaphore.tryAcquire(2));
  loop.spawn("large", [&] {
    semaphore.acquire(3);
    log.push_back(3);
  });
  loop.spawn("small", [&] {
    semaphore.acquire();
    log.push_back(1);
  });
  loop.runUntilIdle();
  EXPECT_FALSE(semaphore.tryAcquire());
  EXPECT_TRUE(log.empty());
  semaphore.release(2);
  loop.runUntilIdle();
  EXPECT_EQ(log, std::vector<int>{3});
  semaphore.release(3);
  loop.runUntilIdle();
  EXPECT_EQ(log, (std::vector<int>{3, 1}));
  EXPECT_EQ(semaphore.available(), 2U);
}

TEST_F(ChannelTest, send_waits_while_full_and_order_is_kept) {
  Channel<int> channel(2);
  loop.spawn("sender", [&] {
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(channel.send(i));
    log.push_back(100);
    channel.close();
  });
  loop.runUntilIdle();
  EXPECT_EQ(channel.size(), 2U);
  EXPECT_FALSE(channel.trySend(9));
  EXPECT_TRUE(log.empty());
  loop.spawn("receiver", [&] {
    while (std::optional<int> item = channel.receive()) log.push_back(*item);
  });
  loop.runUntilIdle();
  EXPECT_EQ(log, (std::vector<int>{0, 1, 2, 100, 3, 4}));
}

TEST_F(ChannelTest, receive_waits_while_empty) {
  Channel<std::unique_ptr<int>> channel(1);
  for (int i = 0; i < 2; ++i) {
    loop.spawn("receiver", [&, i] {
      auto item = channel.receive();
      ASSERT_TRUE(item);
      log.push_back(i * 10 + **item);
    });
  }
  loop.runUntilIdle();
  EXPECT_TRUE(channel.trySend(std::make_unique<int>(1)));
  EXPECT_TRUE(channel.trySend(std::make_unique<int>(2)));
  // Both went to the waiting receivers: nothing is left for a newcomer.
  EXPECT_FALSE(channel.tryReceive());
  loop.runUntilIdle();
  EXPECT_EQ(log, (std::vector<int>{1, 12}));
}

TEST_F(ChannelTest, a_newcomer_does_not_overtake_a_waiting_sender) {
  Channel<int> channel(1);
  ASSERT_TRUE(channel.trySend(0));
  loop.spawn("waiting", [&] { channel.send(1); });
  loop.runUntilIdle();
  EXPECT_EQ(channel.tryReceive(), 0);
  EXPECT_FALSE(channel.trySend(2));
  EXPECT_EQ(channel.tryReceive(), 1);
  loop.runUntilIdle();
}

TEST_F(ChannelTest, close_refuses_waiting_senders_and_lets_the_rest_be_received) {
  Channel<int> channel(1);
  ASSERT_TRUE(channel.trySend(1));
  loop.spawn("sender", [&] { log.push_back(channel.send(2) ? 1 : 0); });
  loop.runUntilIdle();
  channel.close();
  loop.runUntilIdle();
  EXPECT_EQ(log, std::vector<int>{0});
  EXPECT_FALSE(channel.trySend(3));
  EXPECT_TRUE(channel.isClosed());
  loop.spawn("receiver", [&] {
    EXPECT_EQ(channel.receive(), 1);
    EXPECT_EQ(channel.receive(), std::nullopt);
    EXPECT_FALSE(channel.send(4));
    log.push_back(9);
  });
  loop.runUntilIdle();
  EXPECT_EQ(log, (std::vector<int>{0, 9}));
}

TEST_F(ChannelTest, close_wakes_waiting_receivers) {
  Channel<int> channel(1);
  loop.spawn("receiver", [&] { log.push_back(channel.receive() ? 1 : 0); });
  loop.runUntilIdle();
  channel.close();
  loop.runUntilIdle();
  EXPECT_EQ(log, std::vector<int>{0});
}

TEST_F(OneShotTest, hands_over_its_value_whoever_comes_first) {
  OneShot<std::string> early;
  OneShot<std::string> late;
  early.set("early");
  std::string got;
  loop.spawn("waiter", [&] { got = early.wait() + late.wait(); });
  loop.runUntilIdle();
  EXPECT_TRUE(got.empty());
  late.set("late");
  loop.runUntilIdle();
  EXPECT_EQ(got, "earlylate");
}

TEST(OneShotDeathTest, is_set_once) {
  OneShot<int> oneShot;
  oneShot.set(1);
  EXPECT_DEATH(oneShot.set(2), "set once");
}

}  // namespace
}  // namespace skep::fiber
