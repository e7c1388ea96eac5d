#include "skep/cluster/peer_message.h"

#include <utility>

namespace skep::cluster {

using call::ActorAddress;
using call::Failure;
using call::Payload;

namespace {

constexpr std::uint64_t kCountMax = 100'000;  // of anything that there are many of

class Writer {
 public:
  void number(std::uint64_t value) { out_.varint(value); }
  void signedNumber(std::int64_t value) { out_.varint(zigzag(value)); }
  void flag(bool value) { out_.u8(value ? 1 : 0); }
  void text(std::string_view value) {
    out_.varint(value.size());
    out_.bytes(asBytes(value));
  }
  void payload(const Payload& value) {
    out_.u8(static_cast<std::uint8_t>(value.encoding));
    text(value.bytes);
  }
  template <class T, class Write>
  void optional(const std::optional<T>& value, Write write) {
    flag(value.has_value());
    if (value) write(*value);
  }
  void duration(Duration value) { signedNumber(value.count()); }
  void texts(const std::vector<std::string>& values) {
    number(values.size());
    for (const std::string& value : values) text(value);
  }
  void actor(const ActorAddress& value) {
    text(value.type);
    texts(value.key);
  }
  void input(const std::optional<Payload>& value) {
    optional(value, [this](const Payload& each) { payload(each); });
  }
  void visit(const std::optional<call::Visit>& value) {
    optional(value, [this](const call::Visit& each) {
      payload(each.claims);
      const call::Headers fields = each.head != nullptr ? each.head->fields() : call::Headers();
      number(fields.size());
      for (const auto& [name, field] : fields) {
        text(name);
        text(field);
      }
    });
  }
  void waiting(const call::Waiting& value) {
    texts(value.callers);
    optional(value.timeout, [this](Duration each) { duration(each); });
  }
  Bytes take() { return std::move(bytes_); }

 private:
  Bytes bytes_;
  ByteWriter out_{bytes_};
};

/// Turns bad at the first thing that cannot be; then all else is empty.
class Reader {
 public:
  explicit Reader(ByteView bytes) : in_(bytes) {}

  std::uint64_t number() { return in_.varint(); }
  std::int64_t signedNumber() { return unzigzag(in_.varint()); }
  bool flag() { return oneOf(1) == 1; }
  /// A byte of at most `last`.
  std::uint8_t oneOf(std::uint8_t last) {
    const std::uint8_t value = in_.u8();
    if (value > last) isBad_ = true;
    return value > last ? 0 : value;
  }
  template <class Enum>
  Enum choice(Enum last) {
    return static_cast<Enum>(oneOf(static_cast<std::uint8_t>(last)));
  }
  std::string text() { return std::string(asText(in_.bytes(in_.varint()))); }
  Payload payload() {
    const auto encoding = choice(call::Encoding::Cbor);
    return {encoding, text()};
  }
  template <class Read>
  auto optional(Read read) -> std::optional<decltype(read())> {
    if (!flag()) return std::nullopt;
    return read();
  }
  Duration duration() { return Duration(signedNumber()); }
  std::uint64_t count() {
    const std::uint64_t value = number();
    if (value > kCountMax) isBad_ = true;
    return isBad_ ? 0 : value;
  }
  std::vector<std::string> texts() {
    std::vector<std::string> values;
    for (std::uint64_t left = count(); left > 0 && ok(); --left) values.push_back(text());
    return values;
  }
  ActorAddress actor() {
    std::string type = text();
    auto made = ActorAddress::make(std::move(type), texts());
    if (made) return *std::move(made);
    isBad_ = true;
    return {};
  }
  std::optional<Payload> input() {
    return optional([this] { return payload(); });
  }
  std::optional<call::Visit> visit(std::unique_ptr<ReceivedRequest::Head>& head) {
    return optional([&] {
      call::Visit visit{.claims = payload()};
      head = std::make_unique<ReceivedRequest::Head>();
      for (std::uint64_t left = count(); left > 0 && ok(); --left) {
        std::string name = text();
        head->headers.emplace_back(std::move(name), text());
      }
      visit.head = head.get();
      return visit;
    });
  }
  call::Waiting waiting() {
    call::Waiting value;
    value.callers = texts();
    value.timeout = optional([this] { return duration(); });
    return value;
  }
  bool ok() const { return in_.ok() && !isBad_; }
  bool isWhole() const { return ok() && in_.remaining() == 0; }

 private:
  ByteReader in_;
  bool isBad_ = false;
};

void write(Writer& out, const call::ActionRequest& request) {
  out.actor(request.actor);
  out.number(static_cast<std::uint64_t>(request.existence));
  out.input(request.input);
  out.text(request.action);
  out.payload(request.arguments);
  out.number(static_cast<std::uint64_t>(request.replyEncoding));
  out.waiting({request.callers, request.timeout});
  out.visit(request.visit);
}

void write(Writer& out, const call::QueueSend& message) {
  out.actor(message.actor);
  out.number(static_cast<std::uint64_t>(message.existence));
  out.input(message.input);
  out.text(message.queue);
  out.payload(message.body);
  out.duration(message.delay);
  out.optional(message.replyTimeout, [&](Duration each) { out.duration(each); });
  out.number(static_cast<std::uint64_t>(message.replyEncoding));
  out.visit(message.visit);
  out.waiting(message.waiting);
}

void write(Writer& out, const ResolveRequest& request) {
  out.actor(request.actor);
  out.number(static_cast<std::uint64_t>(request.existence));
  out.input(request.input);
  out.visit(request.visit);
  out.waiting(request.waiting);
}

void write(Writer& out, const DestroyRequest& request) {
  out.actor(request.actor);
}
void write(Writer& out, const SleepRequest& request) {
  out.actor(request.actor);
}
void write(Writer& out, const InfoRequest& request) {
  out.actor(request.actor);
}

call::ActionRequest readAction(Reader& in, ReceivedRequest& received) {
  call::ActionRequest request;
  request.actor = in.actor();
  request.existence = in.choice(call::Existence::Create);
  request.input = in.input();
  request.action = in.text();
  request.arguments = in.payload();
  request.replyEncoding = in.choice(call::Encoding::Cbor);
  call::Waiting waiting = in.waiting();
  request.callers = std::move(waiting.callers);
  request.timeout = waiting.timeout;
  request.visit = in.visit(received.head);
  return request;
}

call::QueueSend readSend(Reader& in, ReceivedRequest& received) {
  call::QueueSend message;
  message.actor = in.actor();
  message.existence = in.choice(call::Existence::Create);
  message.input = in.input();
  message.queue = in.text();
  message.body = in.payload();
  message.delay = in.duration();
  message.replyTimeout = in.optional([&] { return in.duration(); });
  message.replyEncoding = in.choice(call::Encoding::Cbor);
  message.visit = in.visit(received.head);
  message.waiting = in.waiting();
  return message;
}

ResolveRequest readResolve(Reader& in, ReceivedRequest& received) {
  ResolveRequest request;
  request.actor = in.actor();
  request.existence = in.choice(call::Existence::Create);
  request.input = in.input();
  request.visit = in.visit(received.head);
  request.waiting = in.waiting();
  return request;
}

void write(Writer& out, const Failure& failure) {
  out.text(failure.group);
  out.text(failure.code);
  out.text(failure.message);
  out.text(failure.metadata);
  out.number(static_cast<std::uint64_t>(failure.httpStatus));
  out.flag(failure.isRetryable);
}

Failure readFailure(Reader& in) {
  Failure failure;
  failure.group = in.text();
  failure.code = in.text();
  failure.message = in.text();
  failure.metadata = in.text();
  failure.httpStatus = static_cast<int>(in.number() % 1000);
  failure.isRetryable = in.flag();
  return failure;
}

void write(Writer& out, const Payload& payload) {
  out.payload(payload);
}

void write(Writer& out, const call::QueueSent& sent) {
  out.signedNumber(sent.id);
  out.input(sent.reply);
}

void write(Writer& out, bool value) {
  out.flag(value);
}
void write(Writer&, std::monostate) {}

void write(Writer& out, const call::ActorDetails& details) {
  out.actor(details.info.actor);
  out.signedNumber(details.info.createdMs);
  out.number(details.info.bytes);
  out.flag(details.info.isAwake);
  out.number(details.storedBytes);
  out.number(details.txid);
  out.optional(details.alarmMs, [&](std::int64_t each) { out.signedNumber(each); });
  out.number(details.connections);
  out.number(details.callsUnderWay);
  out.number(details.memoryBytes);
  out.optional(details.lastError, [&](const call::LastError& each) {
    out.text(each.message);
    out.signedNumber(each.timeMs);
  });
}

call::ActorDetails readDetails(Reader& in) {
  call::ActorDetails details;
  details.info.actor = in.actor();
  details.info.createdMs = in.signedNumber();
  details.info.bytes = in.number();
  details.info.isAwake = in.flag();
  details.storedBytes = in.number();
  details.txid = in.number();
  details.alarmMs = in.optional([&] { return in.signedNumber(); });
  details.connections = in.number();
  details.callsUnderWay = in.number();
  details.memoryBytes = in.number();
  details.lastError = in.optional([&] {
    call::LastError error;
    error.message = in.text();
    error.timeMs = in.signedNumber();
    return error;
  });
  return details;
}

template <class Variant>
Bytes encodeVariant(const Variant& variant) {
  Writer out;
  out.number(variant.index());
  std::visit([&](const auto& each) { write(out, each); }, variant);
  return out.take();
}

Error notUnderstood(const char* what) {
  return Error{ErrorCode::Corrupt, std::string("another node sent ") + what + " that is none"};
}

}  // namespace

Bytes encodeRequest(const PeerRequest& request) {
  return encodeVariant(request);
}

Result<ReceivedRequest> decodeRequest(ByteView bytes) {
  Reader in(bytes);
  ReceivedRequest received;
  switch (in.number()) {
    case 0:
      received.request = readAction(in, received);
      break;
    case 1:
      received.request = readSend(in, received);
      break;
    case 2:
      received.request = readResolve(in, received);
      break;
    case 3:
      received.request = DestroyRequest{in.actor()};
      break;
    case 4:
      received.request = SleepRequest{in.actor()};
      break;
    case 5:
      received.request = InfoRequest{in.actor()};
      break;
    default:
      return notUnderstood("a request");
  }
  if (!in.isWhole()) return notUnderstood("a request");
  return received;
}

Bytes encodeOutcome(const PeerOutcome& outcome) {
  return encodeVariant(outcome);
}

Result<PeerOutcome> decodeOutcome(ByteView bytes) {
  Reader in(bytes);
  PeerOutcome outcome;
  switch (in.number()) {
    case 0:
      outcome = readFailure(in);
      break;
    case 1:
      outcome = in.payload();
      break;
    case 2: {
      call::QueueSent sent;
      sent.id = in.signedNumber();
      sent.reply = in.input();
      outcome = std::move(sent);
      break;
    }
    case 3:
      outcome = in.flag();
      break;
    case 4:
      outcome = std::monostate{};
      break;
    case 5:
      outcome = readDetails(in);
      break;
    default:
      return notUnderstood("an outcome");
  }
  if (!in.isWhole()) return notUnderstood("an outcome");
  return outcome;
}

}  // namespace skep::cluster
