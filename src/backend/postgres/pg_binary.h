// PostgreSQL's binary values: parameters that we send, and cells of results that we get.
//
// Integers are big-endian; an array is a header (dimensions, has-nulls, element type, size, lower
// bound) and then length-prefixed elements (src/backend/utils/adt/arrayfuncs.c, array_recv,
// describes it).
//
//   ArrayParameter ids(PgType::Int8, writes.size());
//   for (const DatabaseWrite& write : writes) ids.add(write.id.value);
//   call.parameters.push_back(ids.take());

#pragma once

#include <libpq-fe.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "skep/base/bytes.h"

namespace skep::backend::postgres {

/// One parameter of a statement in binary form; nullopt is SQL's NULL.
using Parameter = std::optional<std::string>;

Parameter int8Parameter(std::int64_t value);
Parameter bytesParameter(std::string_view value);

enum class PgType : std::uint32_t { Bytea = 17, Int8 = 20, Int4 = 23 };

/// Builds a one-dimensional array, element by element.
class ArrayParameter {
 public:
  ArrayParameter(PgType type, std::size_t expectedCount);
  void add(std::uint64_t value);  // of an Int8 array
  void addInt4(std::uint32_t value);
  void add(ByteView value);  // of a Bytea array
  void addNull();
  /// Adds a value, or null for nullopt.
  void addOptional(const std::optional<std::uint64_t>& value);

  std::size_t count() const { return count_; }
  /// Bytes built so far.
  std::size_t sizeBytes() const { return bytes_.size(); }
  /// The finished parameter. An array of nothing but nulls becomes NULL: unnest() pads it with
  /// nulls beside others, and the server is spared reading it.
  Parameter take();

 private:
  PgType type_;
  std::size_t count_ = 0;
  std::size_t nullCount_ = 0;
  std::string bytes_;
};

struct PgResultDeleter {
  void operator()(PGresult* result) const { PQclear(result); }
};
using PgResult = std::unique_ptr<PGresult, PgResultDeleter>;

/// Borrows one row of a binary result. The columns' types are the caller's knowledge: they are
/// ours.
class Row {
 public:
  Row(const PGresult* result, int row) : result_(result), row_(row) {}

  bool isNull(int column) const { return PQgetisnull(result_, row_, column) != 0; }
  std::int64_t int8(int column) const;
  std::optional<std::int64_t> optionalInt8(int column) const;
  std::uint64_t uint8(int column) const { return static_cast<std::uint64_t>(int8(column)); }
  std::string_view bytes(int column) const;
  /// An int8[] without nulls.
  std::vector<std::int64_t> int8Array(int column) const;

 private:
  const PGresult* result_;
  int row_;
};

inline int rowCount(const PgResult& result) {
  return PQntuples(result.get());
}
inline Row rowAt(const PgResult& result, int row) {
  return {result.get(), row};
}

}  // namespace skep::backend::postgres
