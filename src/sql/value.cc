#include "skep/sql/value.h"

#include "skep/base/check.h"

namespace skep::sql {

std::string_view valueTypeName(ValueType type) {
  switch (type) {
    case ValueType::Null: return "null";
    case ValueType::Integer: return "integer";
    case ValueType::Real: return "real";
    case ValueType::Text: return "text";
    case ValueType::Blob: return "blob";
  }
  SKEP_UNREACHABLE();
}

}  // namespace skep::sql
