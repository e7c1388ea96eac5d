// What crosses threads: wakes, posted functions, offloaded work, the embedding in a foreign loop.

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "skep/fiber/loop.h"
#include "skep/fiber/sync.h"
#include "skep/fiber/thread_pool.h"
#include "skep/fiber/timer.h"

namespace skep::fiber {
namespace {

using namespace std::chrono_literals;

/// A loop on a thread of its own.
class LoopThread {
 public:
  LoopThread() : thread_([this] { loop.run(); }) {}
  ~LoopThread() {
    loop.stop();
    thread_.join();
  }
  SystemClock clock;
  Loop loop{clock};

 private:
  std::thread thread_;
};

TEST(CrossThread, a_post_wakes_an_idle_loop) {
  LoopThread other;
  for (int i = 0; i < 1000; ++i) {
    OneShot<int> answer;
    other.loop.post([&, i] { answer.set(i); });
    ASSERT_EQ(answer.wait(), i);
  }
}

TEST(CrossThread, a_loop_that_is_stopped_before_it_runs_returns) {
  SystemClock clock;
  Loop loop(clock);
  bool posted = false;
  loop.post([&] { posted = true; });
  loop.stop();
  loop.run();
  EXPECT_TRUE(posted);
}

TEST(CrossThread, a_loop_drops_posted_functions_that_it_never_ran) {
  ManualClock clock;
  auto token = std::make_shared<int>(1);
  {
    Loop loop(clock);
    loop.post([token] { FAIL() << "the loop never runs"; });
    EXPECT_EQ(token.use_count(), 2);
  }
  EXPECT_EQ(token.use_count(), 1);
}

TEST(CrossThread, posts_of_one_thread_keep_their_order) {
  LoopThread other;
  constexpr int kPosts = 20'000;
  constexpr int kThreads = 3;
  std::vector<std::vector<int>> seen(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kPosts; ++i) other.loop.post([&, t, i] { seen[t].push_back(i); });
    });
  }
  for (std::thread& thread : threads) thread.join();
  OneShot<bool> done;
  other.loop.post([&] { done.set(true); });
  done.wait();
  for (const std::vector<int>& order : seen) {
    ASSERT_EQ(order.size(), static_cast<std::size_t>(kPosts));
    for (int i = 0; i < kPosts; ++i) ASSERT_EQ(order[i], i);
  }
}

TEST(CrossThread, no_wake_is_lost_between_loops_under_stress) {
  constexpr int kLoops = 3;
  constexpr int kFibers = 20;
  constexpr int kCalls = 300;
  std::vector<std::unique_ptr<LoopThread>> loops;
  for (int i = 0; i < kLoops; ++i) loops.push_back(std::make_unique<LoopThread>());
  std::atomic<int> finished = 0;
  OneShot<bool> allFinished;
  for (int l = 0; l < kLoops; ++l) {
    for (int f = 0; f < kFibers; ++f) {
      loops[l]->loop.spawn("caller", [&, l, f] {
        for (int i = 0; i < kCalls; ++i) {
          Loop& target = loops[(l + 1 + (i + f) % (kLoops - 1)) % kLoops]->loop;
          OneShot<int> answer;
          target.spawn("callee", [&answer, i] {
            if (i % 7 == 0) yield();
            answer.set(i);
          });
          ASSERT_EQ(answer.wait(), i);
        }
        if (++finished == kLoops * kFibers) allFinished.set(true);
      });
    }
  }
  allFinished.wait();
}

TEST(CrossThread, raw_wakes_from_many_threads_end_short_lived_loops_safely) {
  SystemClock clock;
  ThreadPool pool("waker", 3);
  for (int i = 0; i < 500; ++i) {
    // The loop may end while the waking thread is still inside wake().
    runOnFreshLoop(clock, [&](Loop&) {
      for (int k = 0; k < 3; ++k) {
        suspend([&](Waker waker) { pool.submit([waker]() mutable { waker.wake(); }); });
      }
    });
  }
}

TEST(CrossThread, plain_threads_call_a_loop_and_block_until_the_answer) {
  LoopThread server;
  std::atomic<int> sum = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        OneShot<int> answer;
        server.loop.spawn("server", [&] {
          yield();
          answer.set(1);
        });
        sum += answer.wait();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(sum, 8 * 500);
}

TEST(CrossThread, stopping_and_running_again_goes_on_where_it_stopped) {
  SystemClock clock;
  Loop loop(clock);
  int steps = 0;
  Waker next;
  loop.spawn("stepper", [&] {
    while (++steps < 3) {
      loop.stop();
      suspend([&](Waker waker) { next = waker; });
    }
    loop.stop();
  });
  for (int i = 1; i <= 3; ++i) {
    loop.run();
    EXPECT_EQ(steps, i);
    if (next) next.wake();
  }
  EXPECT_EQ(loop.fiberCount(), 0U);
}

TEST(Offload, runs_on_the_pool_and_returns_the_value) {
  SystemClock clock;
  ThreadPool pool("a name that is longer than the system keeps", 2);
  runOnFreshLoop(clock, [&](Loop& loop) {
    const std::thread::id here = std::this_thread::get_id();
    std::thread::id there;
    EXPECT_EQ(offload(pool,
                      [&] {
                        there = std::this_thread::get_id();
                        return 42;
                      }),
              42);
    EXPECT_NE(there, here);
    EXPECT_EQ(std::this_thread::get_id(), here);
    int written = 0;
    offload(pool, [&] { written = 1; });
    EXPECT_EQ(written, 1);

    Gate gate;
    int sum = 0;
    for (int i = 0; i < 100; ++i) {
      loop.spawn("offloader", [&, i, holder = std::make_shared<GateHolder>(gate)] {
        sum += offload(pool, [i] { return i; });
      });
    }
    gate.close();
    EXPECT_EQ(sum, 4950);
  });
}

TEST(Offload, runs_right_here_on_a_plain_thread) {
  ThreadPool pool("pool", 1);
  EXPECT_EQ(offload(pool, [] { return std::this_thread::get_id(); }), std::this_thread::get_id());
}

TEST(ThreadPool, runs_everything_that_was_queued_before_it_ends) {
  std::atomic<int> ran = 0;
  {
    ThreadPool pool("pool", 2);
    for (int i = 0; i < 1000; ++i) pool.submit([&] { ++ran; });
  }
  EXPECT_EQ(ran, 1000);
}

/// Stands for libuv: a thread that sleeps until it is told to poll.
class ForeignLoop {
 public:
  void tell() {
    std::lock_guard lock(mutex_);
    told_ = true;
    ++tellings_;
    changed_.notify_one();
  }
  void pollUntil(Loop& loop, const std::function<bool()>& done) {
    while (!done()) {
      {
        std::unique_lock lock(mutex_);
        const auto told = [this] { return told_; };
        if (const auto delay = loop.untilNextTimer()) {
          changed_.wait_for(lock, *delay, told);
        } else {
          changed_.wait(lock, told);
        }
        told_ = false;
      }
      loop.poll();
    }
  }
  int tellings() {
    std::lock_guard lock(mutex_);
    return tellings_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool told_ = false;
  int tellings_ = 0;
};

TEST(Embedded, a_foreign_loop_polls_when_it_is_notified) {
  SystemClock clock;
  Loop loop(clock);
  ForeignLoop foreign;
  loop.setNotifier([&] { foreign.tell(); });
  LoopThread other;
  int finished = 0;
  for (int f = 0; f < 10; ++f) {
    loop.spawn("caller", [&] {
      for (int i = 0; i < 200; ++i) {
        OneShot<int> answer;
        other.loop.post([&] { answer.set(1); });
        answer.wait();
        yield();
      }
      sleepFor(1ms);
      ++finished;
    });
  }
  foreign.pollUntil(loop, [&] { return finished == 10; });
}

TEST(Embedded, is_notified_once_until_it_polls_and_again_for_what_it_left) {
  ManualClock clock;
  Loop loop(clock);
  ForeignLoop foreign;
  int ran = 0;
  loop.post([&] { ++ran; });
  loop.setNotifier([&] { foreign.tell(); });
  EXPECT_EQ(foreign.tellings(), 1);
  loop.poll();
  EXPECT_EQ(ran, 1);
  for (int i = 0; i < 3; ++i) loop.post([&] { ++ran; });
  EXPECT_EQ(foreign.tellings(), 2);
  loop.poll();
  EXPECT_EQ(ran, 4);
  EXPECT_EQ(foreign.tellings(), 2);

  bool stop = false;
  loop.spawn("busy", [&] {
    while (!stop) yield();
  });
  EXPECT_EQ(foreign.tellings(), 3);
  loop.poll();
  EXPECT_EQ(foreign.tellings(), 4);
  stop = true;
  loop.poll();
  EXPECT_EQ(foreign.tellings(), 4);
  EXPECT_EQ(loop.fiberCount(), 0U);
}

TEST(Embedded, a_fiber_runs_at_once_when_it_is_told_so_and_leaves_its_work_to_the_next_poll) {
  ManualClock clock;
  Loop loop(clock);
  ForeignLoop foreign;
  loop.setNotifier([&] { foreign.tell(); });
  std::vector<std::string> log;
  Waker waiting;
  loop.spawn("server", [&] {
    for (int i = 0; i < 3; ++i) {
      suspend([&](Waker waker) { waiting = waker; });
      log.push_back("ran");
      if (i == 1) yield();  // what others wait for goes on with the next poll
      log.push_back("again");
    }
  });
  loop.poll();
  log.push_back("first");
  std::exchange(waiting, {}).wakeAndRun();
  EXPECT_EQ(log, (std::vector<std::string>{"first", "ran", "again"}));
  const int before = foreign.tellings();
  std::exchange(waiting, {}).wakeAndRun();
  EXPECT_EQ(log.back(), "ran");
  EXPECT_EQ(foreign.tellings(), before + 1);
  loop.poll();
  EXPECT_EQ(log.back(), "again");
  // From a posted function, which the loop itself runs.
  loop.post([&] { std::exchange(waiting, {}).wakeAndRun(); });
  loop.poll();
  EXPECT_EQ(log.size(), 7U);
  EXPECT_EQ(loop.fiberCount(), 0U);
}

}  // namespace
}  // namespace skep::fiber
