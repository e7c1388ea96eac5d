#include "skep/api/context.h"

#include "skep/fiber/timer.h"

namespace skep {

namespace api {

void throwError(const Error& error) {
  throw ActorError(call::failureOf(error, "the actor's log"));
}

}  // namespace api

Rows Context::run(std::string_view sql, std::initializer_list<sql::Value> parameters) {
  Result<Rows> rows = invocation_.database().execute(sql, parameters);
  if (!rows) api::throwError(rows.error());
  return std::move(rows).value();
}

void Context::sleepFor(std::chrono::milliseconds duration) {
  Status paused =
      invocation_.pause([&] { (void)fiber::sleepFor(duration, invocation_.abortToken()); });
  if (!paused) api::throwError(paused.error());
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

}  // namespace skep
