#include "skep/server/text_sink.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "captured_output.h"

namespace skep::server {
namespace {

TEST(TextSink, what_is_written_behind_the_gate_waits_for_it) {
  CapturedOutput output;
  output.sink.write("before ");
  output.sink.shut();
  output.sink.write(std::string(200'000, 'x'));
  EXPECT_EQ(output.text(), "");
  output.sink.open();
  EXPECT_EQ(output.text(), "before " + std::string(200'000, 'x'));
}

TEST(TextSink, discarding_keeps_what_came_before_the_gate) {
  CapturedOutput output;
  output.sink.write("before ");
  output.sink.shut();
  output.sink.write("never seen");
  output.sink.discard();
  output.sink.write("after");
  EXPECT_EQ(output.text(), "before after");
}

TEST(TextSink, a_gate_that_is_never_opened_lets_nothing_out_at_the_end) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  {
    TextSink sink(ends[1]);
    sink.shut();
    sink.write("never seen");
  }
  ::close(ends[1]);
  char byte;
  EXPECT_EQ(::read(ends[0], &byte, 1), 0);
  ::close(ends[0]);
}

TEST(TextSink, a_reader_that_went_away_is_an_error_to_see) {
  std::signal(SIGPIPE, SIG_IGN);
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ::close(ends[0]);
  TextSink sink(ends[1]);
  sink.write("x");
  EXPECT_EQ(sink.flush().error().code, ErrorCode::Aborted);
  EXPECT_TRUE(sink.error().has_value());
  ::close(ends[1]);
}

TEST(TextSink, a_full_disk_is_an_error_to_see) {
  const int full = ::open("/dev/full", O_WRONLY);
  ASSERT_GE(full, 0);
  TextSink sink(full);
  sink.write("x");
  EXPECT_EQ(sink.flush().error().code, ErrorCode::StoreFull);
  ::close(full);
}

}  // namespace
}  // namespace skep::server
