// ResultWriter: rows on their way to the output, as a table, JSON, CSV or a plain list.
//
// One result is begin(columns), row(cells) as often as there are rows, end(). JSON, CSV and list
// stream; a table keeps at most kTableRowsBuffered rows to find its column widths. Writers belong
// to one thread and borrow the sink.
//
//   auto writer = makeResultWriter(OutputMode::Json, out);
//   writer->begin({"id", "name"});
//   writer->row(std::array<Cell, 2>{7, "Ada"});
//   writer->end();                                  // [{"id":7,"name":"Ada"}]
//
// The formats, in full: docs/cli.md.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "skep/server/cell.h"
#include "skep/server/text_sink.h"

namespace skep::server {

enum class OutputMode : std::uint8_t { Table, Json, Csv, List };

/// "table", "json", "csv", "list".
std::string_view outputModeName(OutputMode mode);
std::optional<OutputMode> parseOutputMode(std::string_view name);

class ResultWriter {
 public:
  virtual ~ResultWriter() = default;
  virtual void begin(const std::vector<std::string>& columns) = 0;
  /// As many cells as there are columns.
  virtual void row(std::span<const Cell> cells) = 0;
  virtual void end() = 0;
};

inline constexpr std::size_t kTableRowsBuffered = 1000;
inline constexpr std::size_t kTableCellWidthMax = 80;

std::unique_ptr<ResultWriter> makeResultWriter(OutputMode mode, TextSink& out);

}  // namespace skep::server
