#include "skep/base/base64.h"

#include <gtest/gtest.h>

namespace skep {
namespace {

TEST(Base64, encodes_the_examples_of_the_rfc) {
  const std::pair<const char*, const char*> examples[] = {{"", ""},
                                                          {"f", "Zg=="},
                                                          {"fo", "Zm8="},
                                                          {"foo", "Zm9v"},
                                                          {"foob", "Zm9vYg=="},
                                                          {"fooba", "Zm9vYmE="},
                                                          {"foobar", "Zm9vYmFy"},
                                                          {"\xfb\xff\xfe", "+//+"}};
  for (const auto& [bytes, text] : examples) EXPECT_EQ(encodeBase64(asBytes(bytes)), text);
}

TEST(Base64Url, has_no_padding_and_is_read_back) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    const std::string text = encodeBase64Url(asBytes(bytes));
    EXPECT_EQ(text.find_first_of("+/="), text.npos);
    EXPECT_EQ(decodeBase64Url(text), bytes);
    bytes += static_cast<char>(i * 37);
  }
  EXPECT_EQ(encodeBase64Url(asBytes("\xfb\xff\xfe")), "-__-");
}

TEST(Base64Url, refuses_whatever_is_not_the_one_text_of_some_bytes) {
  for (const char* text :
       {"Zg==", "Z", "Zg\n", " Zg", "Zm9v+g", "Zm9v/g", "Zh", "Zm9=", "Zm\x80v"}) {
    EXPECT_EQ(decodeBase64Url(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace skep
