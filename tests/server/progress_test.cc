// Progress: a bar for people, nothing for programs.

#include "skep/server/progress.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include "skep/base/clock.h"

namespace skep::server {
namespace {

using namespace std::chrono_literals;
using ::testing::EndsWith;
using ::testing::HasSubstr;

/// Two connected descriptors: what is written to `inner` comes out of `outer`.
struct Ends {
  int outer = -1;
  int inner = -1;
  ~Ends() {
    ::close(inner);
    ::close(outer);
  }
  std::string text() const {
    std::string all;
    char block[1024];
    for (ssize_t n = 0; (n = ::read(outer, block, sizeof block)) > 0;)
      all.append(block, static_cast<std::size_t>(n));
    return all;
  }
};

class ProgressTest : public ::testing::Test {
 protected:
  static void openTerminal(Ends& ends) {
    ASSERT_EQ(::openpty(&ends.outer, &ends.inner, nullptr, nullptr, nullptr), 0);
    ASSERT_EQ(::fcntl(ends.outer, F_SETFL, O_NONBLOCK), 0);
  }
  static void openPipe(Ends& ends) {
    int both[2];
    ASSERT_EQ(::pipe2(both, O_NONBLOCK), 0);
    ends.outer = both[0];
    ends.inner = both[1];
  }
  ManualClock clock_;
};

TEST_F(ProgressTest, on_a_terminal_long_work_has_a_bar_that_goes_away) {
  Ends terminal;
  openTerminal(terminal);
  Progress progress(clock_, "importing x", terminal.inner);
  progress.update(1, 1870);
  EXPECT_EQ(terminal.text(), "") << "short work needs no bar";
  clock_.advance(101ms);
  progress.update(1234, 1870);
  EXPECT_THAT(terminal.text(),
              HasSubstr("importing x  ███████████████░░░░░░░░░  65%  1,234 of 1,870"));
  progress.update(1235, 1870);
  EXPECT_EQ(terminal.text(), "") << "ten times a second are enough";
  clock_.advance(101ms);
  progress.update(1870, 1870);
  EXPECT_THAT(terminal.text(), HasSubstr("100%"));
  progress.finish();
  EXPECT_THAT(terminal.text(), EndsWith("\r\x1b[K"));
}

TEST_F(ProgressTest, in_a_pipe_there_is_silence) {
  Ends pipe;
  openPipe(pipe);
  {
    Progress progress(clock_, "importing x", pipe.inner);
    for (int i = 0; i < 10; ++i) {
      clock_.advance(1s);
      progress.update(static_cast<std::uint64_t>(i), 10);
    }
  }
  EXPECT_EQ(pipe.text(), "");
}

}  // namespace
}  // namespace skep::server
