#include "skep/server/result_writer.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "captured_output.h"

namespace skep::server {
namespace {

using Row = std::vector<Cell>;

std::string print(OutputMode mode, const std::vector<std::string>& columns,
                  const std::vector<Row>& rows) {
  CapturedOutput output;
  const auto writer = makeResultWriter(mode, output.sink);
  writer->begin(columns);
  for (const Row& row : rows) writer->row(row);
  writer->end();
  return output.text();
}

const Bytes kBlob = toBytes(asBytes(std::string_view("\x00\xff\x10", 3)));

TEST(TableWriter, aligns_columns_by_what_is_seen) {
  EXPECT_EQ(print(OutputMode::Table, {"id", "name", "score"},
                  {{1, "Ada", 9.5}, {20, "日本", Cell()}, {300, "é", 1.0}}),
            "  id │ name │ score\n"
            "─────┼──────┼───────\n"
            "   1 │ Ada  │   9.5\n"
            "  20 │ 日本 │ NULL\n"
            " 300 │ é    │   1.0\n"
            "(3 rows)\n");
}

TEST(TableWriter, keeps_control_characters_from_the_terminal) {
  EXPECT_EQ(print(OutputMode::Table, {"a"}, {{"x\n\x1b[31my\xff"}}),
            " a\n───────────────\n x\\n\\x1b[31my\xef\xbf\xbd\n(1 row)\n");
}

TEST(TableWriter, cuts_wide_cells_and_long_blobs) {
  const std::string text = print(OutputMode::Table, {"a"}, {{std::string(200, 'x')}});
  EXPECT_NE(text.find("\n " + std::string(79, 'x') + "…\n"), std::string::npos) << text;
  const Bytes bytes(100, std::byte{7});
  const std::string blob = print(OutputMode::Table, {"a"}, {{ByteView(bytes)}, {ByteView(kBlob)}});
  EXPECT_NE(blob.find("…' (100 bytes)\n"), std::string::npos) << blob;
  EXPECT_NE(blob.find("\n x'00ff10'\n"), std::string::npos) << blob;
}

TEST(TableWriter, prints_in_pages_and_repeats_the_header_when_columns_grow) {
  std::vector<Row> rows(2 * kTableRowsBuffered, Row{7});
  EXPECT_EQ(print(OutputMode::Table, {"n"}, rows).find("─┼"), std::string::npos);
  rows.push_back({123456});
  const std::string text = print(OutputMode::Table, {"n"}, rows);
  EXPECT_NE(text.find(" n\n───\n 7\n"), std::string::npos);
  EXPECT_NE(text.find(" 7\n      n\n────────\n 123456\n(2001 rows)\n"), std::string::npos);
}

TEST(TableWriter, an_empty_result_shows_its_columns) {
  EXPECT_EQ(print(OutputMode::Table, {"a", "b"}, {}), " a │ b\n───┼───\n(0 rows)\n");
}

TEST(JsonWriter, prints_one_array_of_objects) {
  const std::string text =
      print(OutputMode::Json, {"i", "r", "t", "b", "n"},
            {{std::numeric_limits<std::int64_t>::min(), 0.1, "a\"\n\x01", ByteView(kBlob), Cell()},
             {std::numeric_limits<std::int64_t>::max(), 1.0, "", ByteView(), Cell()}});
  EXPECT_EQ(
      text,
      "[{\"i\":-9223372036854775808,\"r\":0.1,\"t\":\"a\\\"\\n\\u0001\",\"b\":{\"$blob\":\"AP8Q\"},"
      "\"n\":null},\n"
      " {\"i\":9223372036854775807,\"r\":1.0,\"t\":\"\",\"b\":{\"$blob\":\"\"},\"n\":null}]\n");
  EXPECT_EQ(nlohmann::json::parse(text)[1]["i"], std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(print(OutputMode::Json, {"a"}, {}), "[]\n");
}

TEST(JsonWriter, stays_json_whatever_the_values) {
  const double infinity = std::numeric_limits<double>::infinity();
  const std::string text =
      print(OutputMode::Json, {"a", "a", "a", "a:2"}, {{infinity, -infinity, "\xff\xfe", 4}});
  EXPECT_EQ(text,
            "[{\"a\":{\"$real\":\"Infinity\"},\"a:2\":{\"$real\":\"-Infinity\"},\"a:3\":"
            "\"\xef\xbf\xbd\xef\xbf\xbd\",\"a:2:2\":4}]\n");
}

TEST(CsvWriter, follows_rfc_4180) {
  EXPECT_EQ(print(OutputMode::Csv, {"a", "b,c"},
                  {{"x\"y", "line\nbreak"}, {Cell(), ""}, {1, 2.5}, {ByteView(kBlob), " s"}}),
            "a,\"b,c\"\r\n"
            "\"x\"\"y\",\"line\nbreak\"\r\n"
            ",\"\"\r\n"
            "1,2.5\r\n"
            "00ff10,\" s\"\r\n");
}

TEST(ListWriter, prints_bare_values) {
  EXPECT_EQ(print(OutputMode::List, {"a", "b"}, {{1, "x"}, {Cell(), 0.5}}), "1|x\n|0.5\n");
}

TEST(FormatReal, is_short_and_reads_back_the_same) {
  EXPECT_EQ(formatReal(1), "1.0");
  EXPECT_EQ(formatReal(-0.0), "-0.0");
  EXPECT_EQ(formatReal(0.1), "0.1");
  EXPECT_EQ(formatReal(1e300), "1e+300");
  EXPECT_EQ(std::stod(formatReal(0.1 + 0.2)), 0.1 + 0.2);
}

}  // namespace
}  // namespace skep::server
