// Raw HTTP: HttpRequest, HttpResponse, HttpStream, EventStream: an actor's own answers to requests at
// /actors/{type}/{key…}/request/{path…}.
//
//   d.onRequest(&Page::request);
//
//   skep::HttpResponse request(skep::Context& c, const skep::HttpRequest& request) {
//     if (request.path() == "/") return skep::HttpResponse::text("hello");
//     return {.status = 404};
//   }
//
// or, bit by bit:
//
//   void request(skep::Context& c, const skep::HttpRequest& request, skep::HttpStream& stream) {
//     skep::EventStream events(stream);
//     for (int i = 0; i < 10; ++i) {
//       events.send({.data = std::to_string(i)});
//       c.sleepFor(1s);
//     }
//   }
//
// What is sent leaves when all that it could have seen is durable. All are valid while the handler runs.

#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "skep/actor/http_responder.h"
#include "skep/api/codec.h"
#include "skep/api/stored.h"
#include "skep/call/http.h"

namespace skep {

using HttpHeaders = call::Headers;

class HttpRequest {
 public:
  explicit HttpRequest(const call::HttpRequest& request) : request_(request) {}

  /// In capitals.
  const std::string& method() const { return request_.method; }
  /// What stands behind the actor's own, from the "/" on, as it came: percent-encoded.
  const std::string& path() const { return request_.path; }
  /// Its segments, decoded: of "/a/b%2Fc" these are "a" and "b/c".
  std::vector<std::string> segments() const;
  /// A parameter of the query, decoded; the first of that name.
  std::optional<std::string> parameter(std::string_view name) const;
  /// The query as it came.
  const std::string& query() const { return request_.query; }
  /// `name` in lower case.
  std::optional<std::string> header(std::string_view name) const;
  const HttpHeaders& headers() const { return request_.headers; }
  const std::string& body() const { return request_.body; }
  /// The body as a value: CBOR if its Content-Type says so, else JSON. `request.invalid_arguments` when it
  /// is none.
  template <class T>
  T bodyAs() const {
    try {
      return api::Codec<T>::decode(bodyValue(), api::Place("body"));
    } catch (const InvalidValue& wrong) {
      throw ActorError(call::Failure(call::FailureCode::InvalidArguments, wrong.what()));
    }
  }
  /// The id of the last event that a client of an EventStream has seen, when it comes back.
  std::optional<std::string> lastEventId() const { return header("last-event-id"); }

 private:
  Value bodyValue() const;

  const call::HttpRequest& request_;
};

struct HttpResponse {
  unsigned status = 200;
  HttpHeaders headers = {};
  std::string body = {};

  /// UTF-8.
  static HttpResponse text(std::string body, unsigned status = 200);
  static HttpResponse html(std::string body, unsigned status = 200);
  template <class T>
  static HttpResponse json(const T& value, unsigned status = 200) {
    return {.status = status,
            .headers = {{"Content-Type", "application/json"}},
            .body = api::format(api::toValue(value), call::Encoding::Json).bytes};
  }
};

/// A response that is sent while the handler runs.
class HttpStream {
 public:
  explicit HttpStream(actor::HttpResponder& responder) : responder_(responder) {}
  HttpStream(const HttpStream&) = delete;
  HttpStream& operator=(const HttpStream&) = delete;

  /// Once, first: leaves with this turn. From now on the handler has no time limit. Without it, what the
  /// handler answers is 204, or its failure.
  void begin(unsigned status = 200, HttpHeaders headers = {});
  bool hasBegun() const { return responder_.hasBegun(); }
  /// A wait (see Context): commits what was written before. It goes on at once, unless more than
  /// ActorOptions::http.sendBytesMax is on its way to the client. ActorError when the client has gone or
  /// does not take what it is sent, and when the actor is on its way out.
  void write(std::string_view bytes);

 private:
  actor::HttpResponder& responder_;
};

/// One event of a stream of server-sent events. Without a name it is a "message".
struct ServerSentEvent {
  std::string data = {};  // UTF-8
  std::string event = {};
  std::string id = {};  // what the client repeats when it comes back
  std::optional<std::chrono::milliseconds> retry = {};  // how long it waits before that
};

/// Server-sent events (the HTML standard, section 9.2) over an HttpStream.
class EventStream {
 public:
  /// Begins the stream.
  explicit EventStream(HttpStream& stream, HttpHeaders headers = {});
  /// As HttpStream::write(). std::logic_error: a name or id with a line break in it.
  void send(const ServerSentEvent& event);
  /// Something that clients do not show; says that the stream is alive.
  void comment(std::string_view text);

 private:
  HttpStream& stream_;
};

namespace api {

void respond(actor::HttpResponder& responder, HttpResponse response);

/// The lines of an event.
std::string formatEvent(const ServerSentEvent& event);
std::string formatComment(std::string_view text);

}  // namespace api

}  // namespace skep
