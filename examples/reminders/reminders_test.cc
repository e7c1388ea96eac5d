// A test of actors as users write it: docs/guide/testing.md shows it.

#include "reminders.h"

#include <gtest/gtest.h>
#include <skep/testing.h>

namespace {

using namespace std::chrono_literals;
using Mails = std::vector<std::string>;

TEST(RemindersTest, a_reminder_comes_when_it_is_time) {
  skep::TestHost host(skep::registry<Reminders>("reminders"));
  host.call("reminders", {"ada"}, "remindMe", "milk", 60);
  host.advance(59min);
  EXPECT_EQ(host.call<Mails>("reminders", {"ada"}, "mails"), Mails{});
  host.advance(1min);
  EXPECT_EQ(host.call<Mails>("reminders", {"ada"}, "mails"), Mails{"Remember: milk"});
}

TEST(RemindersTest, a_forgotten_reminder_does_not_come) {
  skep::TestHost host(skep::registry<Reminders>("reminders"));
  const auto id = host.call<std::int64_t>("reminders", {"ada"}, "remindMe", "milk", 60);
  EXPECT_TRUE(host.call<bool>("reminders", {"ada"}, "forget", id));
  host.advance(12h);
  EXPECT_EQ(host.call<Mails>("reminders", {"ada"}, "mails"), Mails{"0 reminders are to come"});
}

TEST(RemindersTest, the_digest_comes_on_weekday_mornings_where_the_person_lives) {
  skep::TestHost host(skep::registry<Reminders>("reminders"));  // Tuesday, 22:13 UTC
  host.call("reminders", {"ada"}, "setZone", "Asia/Tokyo");     // Wednesday, 07:13
  host.advance(47min);
  EXPECT_EQ(host.call<Mails>("reminders", {"ada"}, "mails").size(), 1u);
  host.advance(24h * 7);
  EXPECT_EQ(host.call<Mails>("reminders", {"ada"}, "mails").size(), 6u);
}

}  // namespace
