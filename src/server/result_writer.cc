#include "skep/server/result_writer.h"

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "skep/base/base64.h"
#include "skep/base/check.h"
#include "skep/server/table_writer.h"

namespace skep::server {
namespace {

constexpr std::array<std::string_view, 4> kModeNames = {"table", "json", "csv", "list"};

std::string jsonString(std::string_view text) {
  // SQL text need not be UTF-8, JSON must be: what is not becomes U+FFFD.
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// One array of objects, a row a line.
class JsonWriter final : public ResultWriter {
 public:
  explicit JsonWriter(TextSink& out) : out_(out) {}

  void begin(const std::vector<std::string>& columns) override {
    keys_.clear();
    rowCount_ = 0;
    std::unordered_set<std::string> seen;
    for (const std::string& column : columns) {
      std::string key = column;
      for (int n = 2; !seen.insert(key).second; ++n) key = column + ":" + std::to_string(n);
      keys_.push_back(jsonString(key) + ":");
    }
  }

  void row(std::span<const Cell> cells) override {
    SKEP_CHECK(cells.size() == keys_.size());
    std::string line = rowCount_++ == 0 ? "[{" : ",\n {";
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (i > 0) line += ',';
      line += keys_[i];
      line += cells[i].visit(ToJson{});
    }
    line += '}';
    out_.write(line);
  }

  void end() override { out_.write(rowCount_ == 0 ? "[]\n" : "]\n"); }

 private:
  struct ToJson {
    std::string operator()(std::monostate) const { return "null"; }
    std::string operator()(std::int64_t v) const { return std::to_string(v); }
    std::string operator()(double v) const {
      // JSON has no infinity, and many readers refuse a number beyond the range of doubles.
      if (std::isinf(v)) return v > 0 ? R"({"$real":"Infinity"})" : R"({"$real":"-Infinity"})";
      return std::isnan(v) ? "null" : formatReal(v);
    }
    std::string operator()(std::string_view v) const { return jsonString(v); }
    std::string operator()(ByteView v) const { return "{\"$blob\":\"" + encodeBase64(v) + "\"}"; }
  };

  TextSink& out_;
  std::vector<std::string> keys_;
  std::uint64_t rowCount_ = 0;
};

// RFC 4180: a header line, lines end with CR LF. NULL is an empty field and the empty text is "".
class CsvWriter final : public ResultWriter {
 public:
  explicit CsvWriter(TextSink& out) : out_(out) {}

  void begin(const std::vector<std::string>& columns) override {
    std::string line;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (i > 0) line += ',';
      append(line, columns[i]);
    }
    out_.write(line += "\r\n");
  }

  void row(std::span<const Cell> cells) override {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (i > 0) line += ',';
      if (!cells[i].isNull()) append(line, plainText(cells[i]));
    }
    out_.write(line += "\r\n");
  }

  void end() override {}

 private:
  static void append(std::string& line, std::string_view field) {
    const bool mustQuote = field.empty() ||
                           field.find_first_of(",\"\r\n") != std::string_view::npos ||
                           field.front() == ' ' || field.back() == ' ';
    if (!mustQuote) {
      line += field;
      return;
    }
    line += '"';
    for (char c : field) {
      if (c == '"') line += '"';
      line += c;
    }
    line += '"';
  }

  TextSink& out_;
};

// Bare values, '|' between them, one row a line: for shell scripts. No header, nothing is escaped.
class ListWriter final : public ResultWriter {
 public:
  explicit ListWriter(TextSink& out) : out_(out) {}

  void begin(const std::vector<std::string>&) override {}

  void row(std::span<const Cell> cells) override {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (i > 0) line += '|';
      line += plainText(cells[i]);
    }
    out_.write(line += '\n');
  }

  void end() override {}

 private:
  TextSink& out_;
};

}  // namespace

std::string_view outputModeName(OutputMode mode) {
  return kModeNames[static_cast<std::size_t>(mode)];
}

std::optional<OutputMode> parseOutputMode(std::string_view name) {
  for (std::size_t i = 0; i < kModeNames.size(); ++i) {
    if (kModeNames[i] == name) return static_cast<OutputMode>(i);
  }
  return std::nullopt;
}

std::unique_ptr<ResultWriter> makeResultWriter(OutputMode mode, TextSink& out) {
  switch (mode) {
    case OutputMode::Table:
      return std::make_unique<TableWriter>(out);
    case OutputMode::Json:
      return std::make_unique<JsonWriter>(out);
    case OutputMode::Csv:
      return std::make_unique<CsvWriter>(out);
    case OutputMode::List:
      return std::make_unique<ListWriter>(out);
  }
  SKEP_UNREACHABLE();
}

}  // namespace skep::server
