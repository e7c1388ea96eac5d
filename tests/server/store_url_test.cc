#include "skep/server/store_url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace skep::server {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(StoreUrl, reads_the_three_kinds) {
  EXPECT_EQ(parseStoreUrl("memory:")->kind, StoreUrl::Kind::Memory);
  const auto embedded = parseStoreUrl("embedded:/var/lib/skep: data").value();
  EXPECT_EQ(embedded.kind, StoreUrl::Kind::Embedded);
  EXPECT_EQ(embedded.location, "/var/lib/skep: data");
  for (const char* text : {"postgres://h/d", "postgresql://u@h:5432/d?sslmode=require"}) {
    const auto postgres = parseStoreUrl(text).value();
    EXPECT_EQ(postgres.kind, StoreUrl::Kind::Postgres);
    EXPECT_EQ(postgres.location, text);
  }
}

TEST(StoreUrl, refuses_what_it_does_not_know_and_says_what_it_does) {
  for (const char* text : {"", "embedded:", "memory:x", "mysql://h/d", "./data", "postgres:h",
                           "Embedded:x", ":", "s3://b"}) {
    const auto url = parseStoreUrl(text);
    ASSERT_FALSE(url.ok()) << text;
    EXPECT_EQ(url.error().code, ErrorCode::InvalidArgument);
  }
  EXPECT_THAT(parseStoreUrl("mysql://h/d").error().message, HasSubstr("'mysql:'"));
  EXPECT_THAT(parseStoreUrl("./data").error().message, HasSubstr("embedded:./data"));
  EXPECT_FALSE(parseStoreUrl(std::string_view("embedded:a\0b", 12)).ok());
}

TEST(StoreUrl, repeats_no_secret) {
  EXPECT_THAT(parseStoreUrl("mysql://ann:s3cret@h/d").error().message, Not(HasSubstr("s3cret")));
  EXPECT_THAT(parseStoreUrl("postgres:ann:s3cret@h").error().message, Not(HasSubstr("s3cret")));
  EXPECT_THAT(parseStoreUrl("ann@s3cret").error().message, Not(HasSubstr("s3cret")));
}

TEST(StoreUrl, the_option_comes_before_the_environment_and_that_before_the_default) {
  EXPECT_EQ(chooseStoreUrl("memory:", "embedded:x"), "memory:");
  EXPECT_EQ(chooseStoreUrl("", "embedded:x"), "embedded:x");
  EXPECT_EQ(chooseStoreUrl("", ""), "embedded:./data");
  EXPECT_EQ(chooseStoreUrl("", nullptr), "embedded:./data");
}

}  // namespace
}  // namespace skep::server
