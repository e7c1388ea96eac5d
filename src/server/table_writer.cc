#include "skep/server/table_writer.h"

#include <algorithm>

namespace skep::server {
namespace {

constexpr std::size_t kBlobBytesShown = 32;

struct ToDisplay {
  DisplayText operator()(std::monostate) const { return {"NULL", 4}; }
  DisplayText operator()(std::int64_t v) const { return plain(std::to_string(v)); }
  DisplayText operator()(double v) const { return plain(formatReal(v)); }
  DisplayText operator()(std::string_view v) const { return displayText(v, kTableCellWidthMax); }
  DisplayText operator()(ByteView v) const {
    if (v.size() <= kBlobBytesShown) return plain("x'" + toHex(v) + "'");
    DisplayText shown = plain("x'" + toHex(v.first(kBlobBytesShown)));
    const std::string size = " (" + std::to_string(v.size()) + " bytes)";
    shown.text += "…'" + size;
    shown.width += 2 + size.size();
    return shown;
  }
  static DisplayText plain(std::string text) {
    const std::size_t width = text.size();
    return {std::move(text), width};
  }
};

}  // namespace

void TableWriter::begin(const std::vector<std::string>& columns) {
  header_.clear();
  for (const std::string& column : columns) {
    header_.push_back({displayText(column, kTableCellWidthMax)});
  }
  widths_.assign(columns.size(), 0);
  page_.clear();
  rowCount_ = 0;
  printedHeader_ = false;
}

void TableWriter::row(std::span<const Cell> cells) {
  std::vector<TableCell> line;
  line.reserve(cells.size());
  for (const Cell& cell : cells) line.push_back({cell.visit(ToDisplay{}), cell.isNumber()});
  page_.push_back(std::move(line));
  ++rowCount_;
  if (page_.size() == kTableRowsBuffered) printPage();
}

void TableWriter::end() {
  printPage();
  out_.write("(" + std::to_string(rowCount_) + (rowCount_ == 1 ? " row)\n" : " rows)\n"));
}

void TableWriter::printPage() {
  if (page_.empty() && printedHeader_) return;
  if (widen()) printHeader();
  for (const std::vector<TableCell>& row : page_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) appendPadded(line, row[i], i, i + 1 == row.size());
    out_.write(line += '\n');
  }
  page_.clear();
}

// Fits the widths to the page; true when a header is needed above it.
bool TableWriter::widen() {
  const std::vector<std::size_t> before = widths_;
  for (std::size_t i = 0; i < header_.size(); ++i) {
    widths_[i] = std::max(widths_[i], header_[i].content.width);
    for (const std::vector<TableCell>& row : page_)
      widths_[i] = std::max(widths_[i], row[i].content.width);
  }
  return widths_ != before || !printedHeader_;
}

void TableWriter::printHeader() {
  std::string names;
  std::string rule;
  for (std::size_t i = 0; i < header_.size(); ++i) {
    // A column of numbers has its name on the right, above them.
    const auto isRight = [i](const std::vector<TableCell>& row) { return row[i].alignRight; };
    TableCell name = header_[i];
    name.alignRight = !page_.empty() && isRight(page_.front());
    appendPadded(names, name, i, i + 1 == header_.size());
    if (i > 0) rule += "┼";
    for (std::size_t k = 0; k < widths_[i] + 2; ++k) rule += "─";
  }
  out_.write(names += '\n');
  out_.write(rule += '\n');
  printedHeader_ = true;
}

void TableWriter::appendPadded(std::string& line, const TableCell& cell, std::size_t column,
                               bool last) const {
  const std::size_t padding = widths_[column] - cell.content.width;
  line += column == 0 ? " " : "│ ";
  if (cell.alignRight) line.append(padding, ' ');
  line += cell.content.text;
  if (last) return;
  line.append((cell.alignRight ? 0 : padding) + 1, ' ');
}

}  // namespace skep::server
