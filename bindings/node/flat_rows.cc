#include "flat_rows.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "js_values.h"

namespace skep::node {
namespace {

constexpr std::int64_t kSafeInteger = (std::int64_t{1} << 53) - 1;
/// What is left to the next one: more than most results need.
constexpr std::size_t kCellsKept = 4096;
constexpr std::size_t kBytesKept = 64 * 1024;

bool isAscii(std::string_view text) {
  std::uint64_t all = 0;
  std::size_t i = 0;
  for (; i + sizeof all <= text.size(); i += sizeof all) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, text.data() + i, sizeof eight);
    all |= eight;
  }
  for (; i < text.size(); ++i) all |= static_cast<unsigned char>(text[i]);
  return (all & 0x8080808080808080) == 0;
}

/// Most texts are ASCII, which needs no decoding.
napi_value textToJs(napi_env env, std::string_view text) {
  if (!isAscii(text)) return toJs(env, text);
  napi_value value = nullptr;
  napi_create_string_latin1(env, text.data(), text.size(), &value);
  return value;
}

}  // namespace

FlatRows::FlatRows(Space& space)
    : space_(space), cells_(std::move(space.cells)), bytes_(std::move(space.bytes)) {
  cells_.clear();
  bytes_.clear();
}

FlatRows::~FlatRows() {
  if (cells_.capacity() <= kCellsKept) space_.cells = std::move(cells_);
  if (bytes_.capacity() <= kBytesKept) space_.bytes = std::move(bytes_);
}

std::size_t FlatRows::add(const sql::Statement& statement, int columns) {
  const std::size_t bytesBefore = bytes_.size();
  for (int i = 0; i < columns; ++i) {
    Cell cell;
    cell.type = statement.type(i);
    switch (cell.type) {
      case sql::ValueType::Null:
        break;
      case sql::ValueType::Integer:
        cell.integer = statement.integer(i);
        break;
      case sql::ValueType::Real:
        cell.real = statement.real(i);
        break;
      case sql::ValueType::Text: {
        const std::string_view text = statement.text(i);
        cell.bytes = text.size();
        bytes_.append(text);
        break;
      }
      case sql::ValueType::Blob: {
        const ByteView blob = statement.blob(i);
        cell.bytes = blob.size();
        bytes_.append(asText(blob));
        break;
      }
    }
    cells_.push_back(cell);
  }
  return static_cast<std::size_t>(columns) * sizeof(Cell) + bytes_.size() - bytesBefore;
}

bool FlatRows::isNumber(const Cell& cell) {
  if (cell.type == sql::ValueType::Real) return true;  // SQLite has no NaN
  return cell.type == sql::ValueType::Integer && cell.integer <= kSafeInteger &&
         cell.integer >= -kSafeInteger;
}

napi_value FlatRows::toJs(napi_env env, const Cell& cell, const char*& bytes) const {
  napi_value value = nullptr;
  switch (cell.type) {
    case sql::ValueType::Null:
      napi_get_null(env, &value);
      break;
    case sql::ValueType::Integer:
      if (isNumber(cell)) return node::toJs(env, cell.integer);
      napi_create_bigint_int64(env, cell.integer, &value);
      break;
    case sql::ValueType::Real:
      napi_create_double(env, cell.real, &value);
      break;
    case sql::ValueType::Text:
      return textToJs(env, {std::exchange(bytes, bytes + cell.bytes), cell.bytes});
    case sql::ValueType::Blob:
      return bytesToJs(env, {std::exchange(bytes, bytes + cell.bytes), cell.bytes});
  }
  return value;
}

napi_value FlatRows::toArray(napi_env env) const {
  napi_value array = nullptr;
  napi_create_array_with_length(env, cells_.size(), &array);
  const char* bytes = bytes_.data();
  for (std::uint32_t i = 0; i < cells_.size(); ++i) {
    napi_set_element(env, array, i, toJs(env, cells_[i], bytes));
  }
  return array;
}

napi_value FlatRows::toFrame(napi_env env, std::uint32_t columns) const {
  const std::span<double> frame = space_.frame;
  frame[0] = static_cast<double>(cells_.size());
  frame[1] = columns;
  const Cell* onlyOther = nullptr;
  std::uint32_t others = 0;
  for (std::size_t i = 0; i < cells_.size(); ++i) {
    const Cell& cell = cells_[i];
    if (isNumber(cell)) {
      frame[i + 2] =
          cell.type == sql::ValueType::Real ? cell.real : static_cast<double>(cell.integer);
    } else {
      frame[i + 2] = std::numeric_limits<double>::quiet_NaN();
      onlyOther = ++others == 1 ? &cell : nullptr;
    }
  }
  if (others == 0) return nullptr;
  const char* bytes = bytes_.data();
  if (onlyOther != nullptr && onlyOther->type == sql::ValueType::Text) {
    return toJs(env, *onlyOther, bytes);
  }
  napi_value array = nullptr;
  napi_create_array_with_length(env, others, &array);
  std::uint32_t next = 0;
  for (const Cell& cell : cells_) {
    if (!isNumber(cell)) napi_set_element(env, array, next++, toJs(env, cell, bytes));
  }
  return array;
}

}  // namespace skep::node
