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

}  // namespace
}  // namespace skep
