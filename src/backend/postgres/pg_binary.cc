#include "skep/backend/postgres/pg_binary.h"

#include <bit>
#include <cstring>

#include "skep/base/check.h"

namespace skep::backend::postgres {
namespace {

constexpr std::size_t kArrayHeaderBytes = 20;
constexpr std::size_t kArrayHeaderBytesEmpty = 12;  // without dimensions

template <class T>
T swapped(T value) {
  static_assert(std::endian::native == std::endian::little);
  if constexpr (sizeof(T) == 8) return static_cast<T>(__builtin_bswap64(value));
  return static_cast<T>(__builtin_bswap32(static_cast<std::uint32_t>(value)));
}

template <class T>
void putBig(char* at, T value) {
  value = swapped(value);
  std::memcpy(at, &value, sizeof value);
}

template <class T>
void appendBig(std::string& out, T value) {
  value = swapped(value);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <class T>
T takeBig(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return swapped(value);
}

}  // namespace

Parameter int8Parameter(std::int64_t value) {
  std::string bytes;
  appendBig(bytes, static_cast<std::uint64_t>(value));
  return bytes;
}

Parameter bytesParameter(std::string_view value) {
  return std::string(value);
}

ArrayParameter::ArrayParameter(PgType type, std::size_t expectedCount) : type_(type) {
  bytes_.reserve(kArrayHeaderBytes + expectedCount * 12);
  bytes_.resize(kArrayHeaderBytes);
}

void ArrayParameter::add(std::uint64_t value) {
  char element[12];
  putBig<std::uint32_t>(element, 8);
  putBig(element + 4, value);
  bytes_.append(element, sizeof element);
  ++count_;
}

void ArrayParameter::addInt4(std::uint32_t value) {
  char element[8];
  putBig<std::uint32_t>(element, 4);
  putBig(element + 4, value);
  bytes_.append(element, sizeof element);
  ++count_;
}

void ArrayParameter::add(ByteView value) {
  appendBig(bytes_, static_cast<std::uint32_t>(value.size()));
  bytes_.append(reinterpret_cast<const char*>(value.data()), value.size());
  ++count_;
}

void ArrayParameter::addNull() {
  appendBig(bytes_, ~std::uint32_t{0});
  ++count_;
  ++nullCount_;
}

void ArrayParameter::addOptional(const std::optional<std::uint64_t>& value) {
  value ? add(*value) : addNull();
}

Parameter ArrayParameter::take() {
  if (count_ > 0 && nullCount_ == count_) return std::nullopt;
  char* header = bytes_.data();
  putBig<std::uint32_t>(header, count_ > 0 ? 1 : 0);  // dimensions
  putBig<std::uint32_t>(header + 4, nullCount_ > 0 ? 1 : 0);
  putBig(header + 8, static_cast<std::uint32_t>(type_));
  if (count_ == 0) {
    bytes_.resize(kArrayHeaderBytesEmpty);
    return std::move(bytes_);
  }
  putBig(header + 12, static_cast<std::uint32_t>(count_));
  putBig<std::uint32_t>(header + 16, 1);  // the first index
  return std::move(bytes_);
}

std::int64_t Row::int8(int column) const {
  SKEP_CHECK(PQgetlength(result_, row_, column) == 8, "column %d is no int8", column);
  return static_cast<std::int64_t>(takeBig<std::uint64_t>(PQgetvalue(result_, row_, column)));
}

std::optional<std::int64_t> Row::optionalInt8(int column) const {
  if (isNull(column)) return std::nullopt;
  return int8(column);
}

std::string_view Row::bytes(int column) const {
  return {PQgetvalue(result_, row_, column),
          static_cast<std::size_t>(PQgetlength(result_, row_, column))};
}

std::vector<std::int64_t> Row::int8Array(int column) const {
  const std::string_view raw = bytes(column);
  std::vector<std::int64_t> values;
  if (raw.size() < kArrayHeaderBytes) return values;  // no dimensions: empty
  const auto count = takeBig<std::uint32_t>(raw.data() + 12);
  SKEP_CHECK(raw.size() == kArrayHeaderBytes + count * std::size_t{12}, "column %d is no int8[]",
             column);
  values.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const char* element = raw.data() + kArrayHeaderBytes + i * 12 + 4;
    values.push_back(static_cast<std::int64_t>(takeBig<std::uint64_t>(element)));
  }
  return values;
}

}  // namespace skep::backend::postgres
