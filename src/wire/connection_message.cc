#include "skep/wire/connection_message.h"

#include <charconv>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "skep/base/base64.h"
#include "skep/base/raw_value.h"
#include "skep/base/utf8.h"
#include "skep/wire/failure_message.h"

namespace skep::wire {
namespace {

using call::Encoding;
using call::Failure;
using call::FailureCode;
using Json = nlohmann::json;

/// A field of a message, still encoded.
struct Field {
  std::string_view name;
  std::string_view value;
};
using Fields = std::vector<Field>;

// ---- Taking apart

/// The decoded value; discarded when it is none.
Json decode(std::string_view value, Encoding encoding) {
  if (encoding == Encoding::Cbor) {
    return Json::from_cbor(value.begin(), value.end(), true, false,
                           Json::cbor_tag_handler_t::ignore);
  }
  return Json::parse(value, nullptr, false);
}

bool take(std::string_view& text, char expected) {
  skipJsonSpace(text);
  if (text.empty() || text.front() != expected) return false;
  text.remove_prefix(1);
  return true;
}

bool splitJson(std::string_view text, Fields& fields) {
  if (!take(text, '{')) return false;
  if (!take(text, '}')) {
    do {
      const auto name = takeRawJson(text);
      if (!name || name->size() < 2 || name->front() != '"' || !take(text, ':')) return false;
      const auto value = takeRawJson(text);
      if (!value) return false;
      // A name with escapes is none that is known here.
      fields.push_back({name->substr(1, name->size() - 2), *value});
    } while (take(text, ','));
    if (!take(text, '}')) return false;
  }
  skipJsonSpace(text);
  return text.empty();
}

bool splitCbor(std::string_view bytes, Fields& fields) {
  // Nothing but one whole map: its head says how many entries there are, or that a break ends them.
  std::string_view rest = bytes;
  if (!takeRawCbor(rest) || !rest.empty()) return false;
  const auto first = static_cast<unsigned char>(bytes.front());
  if (first >> 5 != 5) return false;
  std::size_t headBytes = 1;
  if ((first & 31) >= 24 && (first & 31) <= 27) headBytes += std::size_t{1} << ((first & 31) - 24);
  bytes.remove_prefix(headBytes);
  if (first == 0xbf) bytes.remove_suffix(1);
  while (!bytes.empty()) {
    const auto name = takeRawCbor(bytes);
    const auto value = takeRawCbor(bytes);
    if (!name || !value) return false;
    // Names of fields are text of less than 24 bytes; a longer one is none that is known here.
    const auto head = static_cast<unsigned char>(name->front());
    const bool isShortText = head >= 0x60 && head < 0x78;
    fields.push_back({isShortText ? name->substr(1) : std::string_view(), *value});
  }
  return true;
}

const Field* find(const Fields& fields, std::string_view name) {
  for (const Field& field : fields) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

class Reader {
 public:
  Reader(const Fields& fields, Encoding encoding) : fields_(fields), encoding_(encoding) {}

  std::string_view raw(std::string_view name) const {
    const Field* field = find(fields_, name);
    return field == nullptr ? std::string_view() : field->value;
  }
  bool has(std::string_view name) const { return find(fields_, name) != nullptr; }

  std::optional<std::string> text(std::string_view name) const {
    const std::string_view value = raw(name);
    if (value.empty()) return std::nullopt;
    if (encoding_ == Encoding::Json && value.front() == '"' && value.find('\\') == value.npos) {
      return std::string(value.substr(1, value.size() - 2));
    }
    Json decoded = decode(value, encoding_);
    if (!decoded.is_string()) return std::nullopt;
    std::string text = decoded.get<std::string>();
    // JSON came in a text message, which was checked as a whole.
    if (encoding_ == Encoding::Cbor && !isValidUtf8(text)) return std::nullopt;
    return text;
  }
  std::optional<std::uint64_t> number(std::string_view name) const {
    const std::string_view value = raw(name);
    if (encoding_ == Encoding::Json) {
      std::uint64_t number = 0;
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
      if (value.empty() || error != std::errc() || end != value.data() + value.size()) {
        return std::nullopt;
      }
      return number;
    }
    const Json decoded = value.empty() ? Json() : decode(value, encoding_);
    if (!decoded.is_number_unsigned()) return std::nullopt;
    return decoded.get<std::uint64_t>();
  }
  std::optional<std::vector<std::string>> texts(std::string_view name) const {
    const Json decoded = decode(raw(name), encoding_);
    if (!decoded.is_array()) return std::nullopt;
    std::vector<std::string> all;
    for (const Json& each : decoded) {
      if (!each.is_string() || !isValidUtf8(each.get_ref<const std::string&>())) {
        return std::nullopt;
      }
      all.push_back(each.get<std::string>());
    }
    return all;
  }

 private:
  const Fields& fields_;
  const Encoding encoding_;
};

std::optional<std::string> readExistence(const Reader& reader, ClientMessage& message) {
  if (!reader.has("existence")) return std::nullopt;
  const auto text = reader.text("existence");
  if (text == "get") {
    message.existence = call::Existence::Get;
  } else if (text == "create") {
    message.existence = call::Existence::Create;
  } else if (text != "getOrCreate") {
    return "'existence' is getOrCreate, get or create";
  }
  return std::nullopt;
}

std::optional<std::string> readResume(const Reader& reader, Encoding encoding,
                                      ClientMessage& message) {
  if (!reader.has("resume")) return std::nullopt;
  const Json resume = decode(reader.raw("resume"), encoding);
  const bool isPosition = resume.is_object() && resume.contains("stream") &&
                          resume["stream"].is_string() && resume.contains("seq") &&
                          resume["seq"].is_number_unsigned();
  if (!isPosition) return "'resume' is an object with 'stream' and 'seq'";
  message.resume = call::EventPosition{.stream = resume["stream"].get<std::string>(),
                                       .sequence = resume["seq"].get<std::uint64_t>()};
  const auto connection = resume.find("connection");
  if (connection != resume.end() && connection->is_string()) {
    message.resumedConnection = connection->get<std::string>();
  }
  return std::nullopt;
}

std::optional<std::string> readConnect(const Reader& reader, Encoding encoding,
                                       ClientMessage& message) {
  message.parameters = reader.raw("params");
  message.input = reader.raw("input");
  if (reader.has("subscribe")) {
    auto events = reader.texts("subscribe");
    if (!events) return "'subscribe' is an array of names of events";
    message.events = std::move(*events);
  }
  if (reader.has("token")) {
    auto token = reader.text("token");
    if (!token) return "'token' is text";
    message.token = std::move(*token);
  }
  if (auto wrong = readExistence(reader, message)) return wrong;
  return readResume(reader, encoding, message);
}

/// What is wrong with it, if anything.
std::optional<std::string> readMessage(const Reader& reader, Encoding encoding,
                                       ClientMessage& message) {
  message.id = reader.number("id");
  if (reader.has("id") && !message.id) return "'id' is a whole number from 0";
  const auto type = reader.text("type");
  if (type == "call") {
    message.type = ClientMessage::Type::Call;
    auto action = reader.text("action");
    if (!message.id || !action) return "a call has an 'id' and an 'action'";
    message.action = std::move(*action);
    message.arguments = reader.raw("args");
    return std::nullopt;
  }
  if (type == "subscribe" || type == "unsubscribe") {
    message.type =
        type == "subscribe" ? ClientMessage::Type::Subscribe : ClientMessage::Type::Unsubscribe;
    auto events = reader.texts("events");
    if (!events) return "'events' is an array of names of events";
    message.events = std::move(*events);
    return std::nullopt;
  }
  if (type == "ping") {
    message.type = ClientMessage::Type::Ping;
    return std::nullopt;
  }
  if (type == "connect") {
    message.type = ClientMessage::Type::Connect;
    return readConnect(reader, encoding, message);
  }
  return "'type' is connect, call, subscribe, unsubscribe or ping";
}

// ---- Putting together

std::string format(const Json& message, Encoding encoding) {
  std::string bytes;
  if (encoding == Encoding::Cbor) {
    Json::to_cbor(message, bytes);
  } else {
    bytes = message.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  return bytes;
}

/// Writes the fields of one message, of which some are encoded already.
class Writer {
 public:
  Writer(Encoding encoding, unsigned fields) : encoding_(encoding) {
    // A map of less than 24 entries has them in its first byte.
    bytes_ += encoding == Encoding::Cbor ? static_cast<char>(0xa0 + fields) : '{';
  }
  Writer& raw(std::string_view name, std::string_view value) {
    if (encoding_ == Encoding::Cbor) {
      bytes_ += static_cast<char>(0x60 + name.size());
      bytes_.append(name).append(value);
    } else {
      if (bytes_.size() > 1) bytes_ += ',';
      bytes_.append("\"").append(name).append("\":").append(value);
    }
    return *this;
  }
  template <class T>
  Writer& field(std::string_view name, const T& value) {
    return raw(name, format(Json(value), encoding_));
  }
  Writer& number(std::string_view name, std::uint64_t value) {
    if (encoding_ == Encoding::Cbor) return field(name, value);
    return raw(name, std::to_string(value));
  }
  std::string take() {
    if (encoding_ == Encoding::Json) bytes_ += '}';
    return std::move(bytes_);
  }

 private:
  const Encoding encoding_;
  std::string bytes_;
};

/// JSON has no bytes: they become base64 text.
void replaceBytes(Json& value) {
  if (value.is_binary()) {
    value = encodeBase64(std::as_bytes(std::span(value.get_binary())));
  } else if (value.is_structured()) {
    for (Json& each : value) replaceBytes(each);
  }
}

}  // namespace

std::variant<ClientMessage, BadMessage> decodeClientMessage(std::string_view bytes,
                                                            Encoding encoding) {
  Fields fields;
  const bool isObject = encoding == Encoding::Cbor ? !bytes.empty() && splitCbor(bytes, fields)
                                                   : splitJson(bytes, fields);
  if (!isObject) {
    return BadMessage{.failure = {FailureCode::InvalidRequest,
                                  encoding == Encoding::Cbor ? "a message is one CBOR map"
                                                             : "a message is one JSON object"},
                      .id = std::nullopt};
  }
  ClientMessage message;
  if (auto wrong = readMessage(Reader(fields, encoding), encoding, message)) {
    return BadMessage{.failure = {FailureCode::InvalidRequest, *wrong}, .id = message.id};
  }
  return message;
}

std::string encodeConnected(const call::Connected& connected, Encoding encoding) {
  return Writer(encoding, 4)
      .field("type", "connected")
      .field("connection", connected.id)
      .field("stream", connected.position.stream)
      .number("seq", connected.position.sequence)
      .take();
}

std::string encodeResult(std::uint64_t id, std::string_view result, Encoding encoding) {
  return Writer(encoding, 3).field("type", "reply").number("id", id).raw("result", result).take();
}

std::string encodeError(std::optional<std::uint64_t> id, const Failure& failure, bool mayRetry,
                        Encoding encoding) {
  Writer writer(encoding, id ? 4 : 3);
  writer.field("type", "error");
  if (id) writer.number("id", *id);
  return writer.field("retry", mayRetry).raw("error", encodeFailure(failure, encoding)).take();
}

std::string encodeEvent(const call::Event& event, Encoding encoding) {
  Writer writer(encoding, event.isInStream() ? 5 : 3);
  writer.field("type", "event").field("name", event.name());
  if (event.isInStream()) {
    writer.field("stream", event.position().stream).number("seq", event.position().sequence);
  }
  if (encoding == Encoding::Cbor) return writer.raw("value", event.value()).take();
  Json value = decode(event.value(), Encoding::Cbor);
  replaceBytes(value);
  return writer.field("value", value).take();
}

std::string encodeMissed(const call::EventPosition& now, Encoding encoding) {
  return Writer(encoding, 3)
      .field("type", "missed")
      .field("stream", now.stream)
      .number("seq", now.sequence)
      .take();
}

std::string encodePong(std::optional<std::uint64_t> id, Encoding encoding) {
  Writer writer(encoding, id ? 2 : 1);
  writer.field("type", "pong");
  if (id) writer.number("id", *id);
  return writer.take();
}

}  // namespace skep::wire
