#include "skep/api/context.h"

#include "skep/api/turn.h"
#include "skep/fiber/timer.h"

namespace skep {

Rows Context::run(std::string_view sql, std::initializer_list<sql::Value> parameters) {
  api::checkInTurn(invocation_);
  Result<Rows> rows = invocation_.database().execute(sql, parameters);
  if (!rows) api::throwError(rows.error());
  return std::move(rows).value();
}

void Context::sleepFor(std::chrono::milliseconds duration) {
  Status paused =
      invocation_.pause([&] { (void)fiber::sleepFor(duration, invocation_.abortToken()); });
  if (!paused) api::throwError(paused.error());
}

void Context::idleFor(std::chrono::milliseconds duration) {
  Status paused =
      invocation_.pauseIdle([&] { (void)fiber::sleepFor(duration, invocation_.abortToken()); });
  if (!paused) api::throwError(paused.error());
}

bool Context::waitFor(const Signal& signal, std::chrono::milliseconds timeout) {
  fiber::AbortToken signalled = signal.next_.token();
  fiber::AbortToken stopped = invocation_.abortToken();
  Status paused = invocation_.pause([&] {
    fiber::AbortSource either;
    const std::uint64_t signalledId = signalled.onAbort([&] { either.requestAbort(); });
    const std::uint64_t stoppedId = stopped.onAbort([&] { either.requestAbort(); });
    (void)fiber::sleepFor(timeout, either.token());
    signalled.remove(signalledId);
    stopped.remove(stoppedId);
  });
  if (!paused) api::throwError(paused.error());
  return signalled.isAborted();
}

KeepAwake Context::keepAwake() {
  return invocation_.services().background().keepAwake();
}

void Context::flush() {
  Status flushed = invocation_.flush();
  if (!flushed) api::throwError(flushed.error());
}

Value Context::callValue(std::string type, std::vector<std::string> key, std::string action,
                         Value arguments) {
  Result<call::ActorAddress> address = call::ActorAddress::make(std::move(type), std::move(key));
  if (!address) api::throwError(address.error());
  const call::Reply reply =
      invocation_.call({.actor = std::move(*address),
                        .action = std::move(action),
                        .arguments = api::format(arguments, call::Encoding::Cbor),
                        .replyEncoding = call::Encoding::Cbor});
  if (const auto* failure = std::get_if<call::Failure>(&reply)) throw ActorError(*failure);
  return api::parse(std::get<call::Payload>(reply));
}

std::int64_t Context::sendValue(std::string type, std::vector<std::string> key, std::string queue,
                                const Value& body, const SendOptions& options) {
  Result<call::ActorAddress> address = call::ActorAddress::make(std::move(type), std::move(key));
  if (!address) api::throwError(address.error());
  return api::unwrap(invocation_.send({.actor = std::move(*address),
                                       .queue = std::move(queue),
                                       .body = api::format(body, call::Encoding::Cbor),
                                       .delay = options.delay}))
      .id;
}

}  // namespace skep
