#include "commands.h"

#include <chrono>
#include <optional>
#include <utility>

#include "js_values.h"
#include "skep/actor/services.h"
#include "skep/call/address.h"
#include "skep/fiber/timer.h"

namespace skep::node {
namespace {

using call::Failure;
using call::FailureCode;
using nlohmann::json;

/// What is wrong with a command, on the way out of its function. Never leaves perform().
struct Failed {
  Failure failure;
};

template <class T>
T unwrap(call::Outcome<T> outcome) {
  if (auto* failure = std::get_if<Failure>(&outcome)) throw Failed{std::move(*failure)};
  return std::get<T>(std::move(outcome));
}
template <class T>
T unwrap(Result<T> result) {
  if (!result) throw Failed{call::failureOf(result.error(), "the actor's log")};
  if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

[[noreturn]] void invalid(const std::string& message) {
  throw Failed{Failure(FailureCode::InvalidArguments, message)};
}

// ---- Arguments

std::string bytes(const json& value) {
  if (!value.is_binary()) invalid("bytes were expected");
  const auto& binary = value.get_binary();
  return {reinterpret_cast<const char*>(binary.data()), binary.size()};
}
Bytes ownBytes(const json& value) {
  const std::string text = bytes(value);
  const ByteView view = asBytes(text);
  return {view.begin(), view.end()};
}
json binary(std::string_view text) {
  return json::binary({text.begin(), text.end()});
}
json binary(const Bytes& own) {
  return binary(asText(own));
}
std::string text(const json& value) {
  return value.is_null() ? std::string() : value.get<std::string>();
}
std::int64_t integer(const json& value) {
  if (value.is_number_float()) return static_cast<std::int64_t>(value.get<double>());
  return value.get<std::int64_t>();
}
Duration milliseconds(const json& value) {
  return std::chrono::milliseconds(integer(value));
}
call::ActorAddress address(const json& type, const json& key) {
  auto made =
      call::ActorAddress::make(type.get<std::string>(), key.get<std::vector<std::string>>());
  if (!made) throw Failed{Failure(FailureCode::InvalidAddress, made.error().message)};
  return std::move(*made);
}
call::Existence existence(const json& value) {
  const std::int64_t number = integer(value);
  if (number < 0 || number > 2) invalid("existence is 0, 1 or 2");
  return static_cast<call::Existence>(number);
}
std::optional<call::Payload> input(const json& value) {
  if (value.is_null()) return std::nullopt;
  return call::Payload{call::Encoding::Cbor, bytes(value)};
}

// ---- Key-value pairs, timers, jobs

json keyValue(actor::Services& services, std::int64_t command, const json& a) {
  actor::KeyValue& pairs = services.keyValue();
  switch (command) {
    case 1: {
      const auto found = unwrap(pairs.get(bytes(a.at(0))));
      return found ? binary(*found) : json();
    }
    case 2:
      unwrap(pairs.put(bytes(a.at(0)), ownBytes(a.at(1))));
      return {};
    case 3:
      return unwrap(pairs.remove(bytes(a.at(0))));
    default: {
      actor::KeyRange range{.prefix = bytes(a.at(0)),
                            .countMax = static_cast<std::size_t>(integer(a.at(2)))};
      // Behind that key: the first that is greater.
      if (!a.at(1).is_null()) range.start = bytes(a.at(1)) + '\0';
      json list = json::array();
      for (const actor::KeyValuePair& each : unwrap(pairs.list(range))) {
        list.push_back({binary(each.key), binary(each.value)});
      }
      return list;
    }
  }
}

json describe(const actor::Timer& timer) {
  return {{"id", timer.id},
          {"name", timer.name},
          {"action", timer.call.action},
          {"args", binary(timer.call.arguments)},
          {"atMs", timer.slotMs},
          {"nextTryMs", timer.dueMs ? json(*timer.dueMs) : json()},
          {"tries", timer.tries},
          {"error", timer.error}};
}

void checkAction(const actor::Invocation& invocation, const std::string& action) {
  if (invocation.hasAction(action)) return;
  throw Failed{Failure(FailureCode::UnknownAction, "actor type '" + invocation.actor().type +
                                                       "' has no action named '" + action + "'")};
}

json timers(actor::Invocation& invocation, std::int64_t command, const json& a) {
  actor::Schedule& schedule = invocation.services().schedule();
  switch (command) {
    case 10: {
      std::string action = a.at(2).get<std::string>();
      checkAction(invocation, action);
      // A time, or a delay behind the rest.
      const std::int64_t dueMs =
          a.size() > 4 ? invocation.clock().wallMsAfter(milliseconds(a.at(4))) : integer(a.at(1));
      return unwrap(schedule.set(
          text(a.at(0)), {.action = std::move(action), .arguments = ownBytes(a.at(3))}, dueMs));
    }
    case 11:
      if (a.at(0).is_string()) return unwrap(schedule.cancel(a.at(0).get<std::string>()));
      return unwrap(schedule.cancel(integer(a.at(0))));
    case 12: {
      const auto found = unwrap(a.at(0).is_string() ? schedule.timer(a.at(0).get<std::string>())
                                                    : schedule.timer(integer(a.at(0))));
      return found ? describe(*found) : json();
    }
    default: {
      json list = json::array();
      const auto count = static_cast<std::size_t>(integer(a.at(1)));
      for (const auto& each : unwrap(schedule.timers(integer(a.at(0)), count))) {
        list.push_back(describe(each));
      }
      return list;
    }
  }
}

json describe(const actor::Job& job) {
  return {{"name", job.spec.name},
          {"action", job.spec.call.action},
          {"args", binary(job.spec.call.arguments)},
          {"expression", job.spec.expression},
          {"timeZone", job.spec.timeZone},
          {"intervalMs", job.spec.intervalMs},
          {"nextMs", job.nextMs},
          {"tries", job.tries}};
}

json jobs(actor::Invocation& invocation, std::int64_t command, const json& a) {
  actor::Schedule& schedule = invocation.services().schedule();
  switch (command) {
    case 20: {
      actor::JobSpec spec{.name = a.at(0).get<std::string>(),
                          .call = {a.at(4).get<std::string>(), ownBytes(a.at(5))},
                          .expression = text(a.at(1)),
                          .timeZone = text(a.at(2)),
                          .intervalMs = a.at(3).is_null() ? 0 : integer(a.at(3))};
      checkAction(invocation, spec.call.action);
      unwrap(schedule.setJob(spec, invocation.clock().wallMsAfter({})));
      return {};
    }
    case 21:
      return unwrap(schedule.removeJob(a.at(0).get<std::string>()));
    case 22: {
      const auto found = unwrap(schedule.job(a.at(0).get<std::string>()));
      return found ? describe(*found) : json();
    }
    case 23: {
      json list = json::array();
      for (const auto& each : unwrap(schedule.jobs())) list.push_back(describe(each));
      return list;
    }
    default: {
      json list = json::array();
      const auto count = static_cast<std::size_t>(integer(a.at(1)));
      for (const auto& each : unwrap(schedule.history(a.at(0).get<std::string>(), count))) {
        list.push_back({{"scheduledMs", each.slotMs},
                        {"startedMs", each.startedMs},
                        {"endedMs", each.endedMs},
                        {"error", each.error ? json(*each.error) : json()}});
      }
      return list;
    }
  }
}

// ---- Queues

json queues(actor::Invocation& invocation, std::int64_t command, const json& a) {
  actor::Services& services = invocation.services();
  const std::string queue = a.at(0).get<std::string>();
  switch (command) {
    case 30:
      return unwrap(services.queues().send(queue, ownBytes(a.at(1)), milliseconds(a.at(2))));
    case 31: {
      (void)unwrap(services.queues().size(queue));  // unknown_queue
      std::optional<Duration> timeout;
      if (!a.at(1).is_null()) timeout = milliseconds(a.at(1));
      const auto message = unwrap(services.dispatcher().receive(invocation, queue, timeout));
      if (!message) return {};
      return {{"id", message->id}, {"body", binary(message->body)}, {"tries", message->tries}};
    }
    case 32: {
      const actor::QueuedMessage message{.id = integer(a.at(1))};
      const call::Encoding encoding = services.dispatcher().replyEncoding(message.id);
      call::Payload reply{encoding, "\xf6"};
      if (!a.at(2).is_null()) reply.bytes = bytes(a.at(2));
      if (encoding == call::Encoding::Json) reply.bytes = json::from_cbor(reply.bytes).dump();
      unwrap(services.dispatcher().complete(queue, message, std::move(reply)));
      return {};
    }
    default:
      unwrap(services.dispatcher().fail(queue, {.id = integer(a.at(1))}, text(a.at(2))));
      return {};
  }
}

// ---- Other actors

json others(actor::Invocation& invocation, std::int64_t command, const json& a) {
  if (command == 42) {
    return unwrap(
        invocation.resolve(address(a.at(0), a.at(1)), existence(a.at(2)), input(a.at(3))));
  }
  if (command == 40) {
    const call::Reply reply = invocation.call({.actor = address(a.at(0), a.at(1)),
                                               .existence = existence(a.at(4)),
                                               .input = input(a.at(5)),
                                               .action = a.at(2).get<std::string>(),
                                               .arguments = {call::Encoding::Cbor, bytes(a.at(3))},
                                               .replyEncoding = call::Encoding::Cbor});
    return binary(unwrap(reply).bytes);
  }
  return unwrap(invocation.send({.actor = address(a.at(0), a.at(1)),
                                 .queue = a.at(2).get<std::string>(),
                                 .body = {call::Encoding::Cbor, bytes(a.at(3))},
                                 .delay = milliseconds(a.at(4))}))
      .id;
}

// ---- The run itself

json waits(actor::Invocation& invocation, std::int64_t command, const json& a) {
  const auto sleep = [&] { (void)fiber::sleepFor(milliseconds(a.at(0)), invocation.abortToken()); };
  switch (command) {
    case 50:
      unwrap(invocation.pause(sleep));
      return {};
    case 51:
      unwrap(invocation.pauseIdle(sleep));
      return {};
    case 52:
      unwrap(invocation.flush());
      return {};
    case 53:
      invocation.sleepActor();
      return {};
    default:
      invocation.destroyActor();
      return {};
  }
}

// ---- Connections

json connections(actor::Invocation& invocation, std::int64_t command, const json& a) {
  const std::string id = a.at(0).get<std::string>();
  actor::ConnectionPtr connection = invocation.connection();
  if (connection == nullptr || connection->id() != id) {
    connection = nullptr;
    for (const actor::ConnectionPtr& each : invocation.connections()) {
      if (each->id() == id) connection = each;
    }
  }
  if (connection == nullptr) return {};  // it has gone: nobody gets what is sent
  switch (command) {
    case 60:
      unwrap(invocation.setState(connection, bytes(a.at(1))));
      return {};
    case 61: {
      const auto tags = a.at(1).get<std::vector<std::string>>();
      unwrap(invocation.setTags(connection, {tags.begin(), tags.end()}));
      return {};
    }
    case 62:
      unwrap(invocation.send(connection, a.at(1).get<std::string>(), bytes(a.at(2))));
      return {};
    default:
      unwrap(invocation.disconnect(connection, text(a.at(1))));
      return {};
  }
}

// ---- Raw requests

call::HttpHead head(const json& a) {
  call::HttpHead made{.status = static_cast<unsigned>(integer(a.at(0)))};
  for (const json& each : a.at(1)) {
    made.headers.emplace_back(each.at(0).get<std::string>(), each.at(1).get<std::string>());
  }
  return made;
}

json responses(actor::HttpResponder* responder, std::int64_t command, const json& a) {
  if (responder == nullptr) invalid("this call answers no request");
  switch (command) {
    case 70:
      unwrap(responder->respond({.head = head(a), .body = bytes(a.at(2))}));
      return {};
    case 71:
      unwrap(responder->begin(head(a)));
      return {};
    default:
      unwrap(responder->write(bytes(a.at(0))));
      return {};
  }
}

// ---- Raw WebSockets

json sockets(actor::Invocation& invocation, Run& run, std::int64_t command, const json& a) {
  // That of this run, or of another one of the same actor.
  Run* const owner = Run::find(static_cast<Run::Id>(integer(a.at(0))));
  if (owner == nullptr || owner->socket == nullptr || &owner->actor() != &run.actor()) return {};
  actor::SocketSession& session = *owner->socket;
  switch (command) {
    case 80:
      unwrap(session.accept(text(a.at(1))));
      return {};
    case 81: {
      const auto kind = a.at(1).get<bool>() ? call::WebSocketMessage::Kind::Text
                                            : call::WebSocketMessage::Kind::Binary;
      unwrap(actor::sendTo(session.exchange(), invocation, session.options(),
                           {.kind = kind, .bytes = bytes(a.at(2))}));
      return {};
    }
    case 82:
      unwrap(actor::closeTo(
          session.exchange(), invocation,
          {.code = static_cast<std::uint16_t>(integer(a.at(1))), .reason = text(a.at(2))}));
      return {};
    default:
      if (owner != &run) invalid("only the code of a WebSocket waits for its client");
      unwrap(session.drain());
      return {};
  }
}

/// Whether it waits for others, or for time, and with that ends the turn.
bool endsTurn(std::int64_t command) {
  return command == 31 || (command >= 40 && command <= 42) || (command >= 50 && command <= 52) ||
         command == 72 || command == 83;
}

json perform(actor::Invocation& invocation, Run& run, std::int64_t command, const json& a) {
  if (run.hasSavepoint() && endsTurn(command)) {
    invalid("not within a transaction: this waits for others, and its turn would end");
  }
  if (command >= 1 && command <= 4) return keyValue(invocation.services(), command, a);
  if (command >= 10 && command <= 13) return timers(invocation, command, a);
  if (command >= 20 && command <= 24) return jobs(invocation, command, a);
  if (command >= 30 && command <= 33) return queues(invocation, command, a);
  if (command >= 40 && command <= 42) return others(invocation, command, a);
  if (command >= 50 && command <= 54) return waits(invocation, command, a);
  if (command >= 60 && command <= 63) return connections(invocation, command, a);
  if (command >= 70 && command <= 72) return responses(run.responder, command, a);
  if (command >= 80 && command <= 83) return sockets(invocation, run, command, a);
  invalid("there is no command " + std::to_string(command));
}

}  // namespace

call::Outcome<std::monostate> CommandOperation::perform(actor::Invocation& invocation) {
  try {
    result_ = node::perform(invocation, run_, command_, arguments_);
    return std::monostate{};
  } catch (Failed& failed) {
    return std::move(failed.failure);
  } catch (const json::exception& wrong) {
    return Failure(FailureCode::InvalidArguments, wrong.what());
  }
}

napi_value CommandOperation::result(napi_env env) {
  std::string cbor;
  json::to_cbor(result_, cbor);
  return bytesToJs(env, cbor);
}

}  // namespace skep::node
