// TableWriter: results as a table with aligned columns, for people.
//
//    id │ name │ score
//   ────┼──────┼──────
//     1 │ Ada  │   9.5
//   (1 row)
//
// Numbers stand on the right. NULL is written so, a blob as x'…', control characters in text as \n,
// \x1b …, and a cell wider than kTableCellWidthMax is cut with "…". The first kTableRowsBuffered
// rows decide the widths; when later rows need wider columns, a new header stands above them.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "skep/server/display_text.h"
#include "skep/server/result_writer.h"

namespace skep::server {

class TableWriter final : public ResultWriter {
 public:
  explicit TableWriter(TextSink& out) : out_(out) {}

  void begin(const std::vector<std::string>& columns) override;
  void row(std::span<const Cell> cells) override;
  void end() override;

 private:
  struct TableCell {
    DisplayText content;
    bool alignRight = false;
  };

  void printPage();
  bool widen();
  void printHeader();
  void appendPadded(std::string& line, const TableCell& cell, std::size_t column, bool last) const;

  TextSink& out_;
  std::vector<TableCell> header_;
  std::vector<std::size_t> widths_;
  std::vector<std::vector<TableCell>> page_;
  std::uint64_t rowCount_ = 0;
  bool printedHeader_ = false;
};

}  // namespace skep::server
