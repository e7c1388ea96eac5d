#include "skep/sql/value.h"

#include "skep/base/check.h"

namespace skep::sql {

std::string_view valueTypeName(ValueType type) {
  switch (type) {
    case ValueType::Null:
      return "null";
    case ValueType::Integer:
      return "integer";
    case ValueType::Real:
      return "real";
    case ValueType::Text:
      return "text";
    case ValueType::Blob:
      return "blob";
  }
  SKEP_UNREACHABLE();
}

ValueView::ValueView(const Value& v) {
  switch (v.type()) {
    case ValueType::Null:
      break;
    case ValueType::Integer:
      value_ = v.integer();
      break;
    case ValueType::Real:
      value_ = v.real();
      break;
    case ValueType::Text:
      value_ = std::string_view(v.text());
      break;
    case ValueType::Blob:
      value_ = ByteView(v.blob());
      break;
  }
}

}  // namespace skep::sql
