#include "skep/server/store_probe.h"

#include <gtest/gtest.h>

#include <optional>

namespace skep::server {
namespace {

using namespace std::chrono_literals;

class StoreProbeTest : public ::testing::Test {
 protected:
  ~StoreProbeTest() override {
    isHeld_ = false;
    mayAnswer_.notifyAll();
    loop_.spawn("close", [this] { probe_.close(); });
    loop_.runUntilIdle();
  }
  Status look() {
    ++looks_;
    while (isHeld_) mayAnswer_.wait();
    return outcome_;
  }
  /// What comes of asking, once it has come.
  std::shared_ptr<std::optional<Status>> ask() {
    auto answer = std::make_shared<std::optional<Status>>();
    loop_.spawn("asks", [this, answer] { *answer = probe_.ask(); });
    loop_.runUntilIdle();
    return answer;
  }
  void advance(Duration duration) {
    clock_.advance(duration);
    loop_.runUntilIdle();
  }

  ManualClock clock_;
  fiber::Loop loop_{clock_};
  fiber::Event mayAnswer_;
  bool isHeld_ = false;
  int looks_ = 0;
  Status outcome_;
  StoreProbe probe_{loop_, [this] { return look(); }};
};

TEST_F(StoreProbeTest, gives_what_the_store_says_now) {
  EXPECT_TRUE(ask()->value().ok());
  outcome_ = Error{ErrorCode::Unavailable, "away"};
  EXPECT_EQ(ask()->value().error().message, "away");
  outcome_ = {};
  EXPECT_TRUE(ask()->value().ok());
  EXPECT_EQ(looks_, 3);
}

TEST_F(StoreProbeTest, a_store_that_says_nothing_is_away_after_a_second) {
  isHeld_ = true;
  const auto first = ask();
  advance(600ms);
  const auto second = ask();
  EXPECT_FALSE(*first);
  advance(400ms);
  ASSERT_TRUE(*first);
  EXPECT_EQ((**first).error().message, "the store has not answered for a second");
  EXPECT_FALSE(*second);
  advance(600ms);
  EXPECT_EQ((**second).error().code, ErrorCode::Unavailable);
}

TEST_F(StoreProbeTest, however_many_ask_the_store_is_asked_once_at_a_time) {
  isHeld_ = true;
  std::vector<std::shared_ptr<std::optional<Status>>> answers;
  for (int i = 0; i < 100; ++i) answers.push_back(ask());
  advance(900ms);
  EXPECT_EQ(looks_, 1);
  isHeld_ = false;
  mayAnswer_.notifyAll();
  loop_.runUntilIdle();
  for (const auto& answer : answers) EXPECT_TRUE(answer->value().ok());
  EXPECT_TRUE(ask()->value().ok());
  EXPECT_EQ(looks_, 2);
}

}  // namespace
}  // namespace skep::server
