#include "skep/api/http.h"

#include <boost/url/decode_view.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/parse_query.hpp>
#include <stdexcept>

namespace skep {
namespace {

/// Takes the first line off `text`; lines end with CR LF, LF or CR.
std::string_view takeLine(std::string_view& text) {
  const std::size_t end = text.find_first_of("\r\n");
  const std::string_view line = text.substr(0, end);
  if (end == text.npos) {
    text = {};
  } else {
    text.remove_prefix(end + (text.substr(end, 2) == "\r\n" ? 2 : 1));
  }
  return line;
}

void addLines(std::string& out, std::string_view field, std::string_view text) {
  do {
    const bool endsHere = text.find_first_of("\r\n") == text.npos;
    out.append(field).append(takeLine(text)).append("\n");
    if (endsHere) return;
  } while (true);
}

void addLine(std::string& out, std::string_view field, const std::string& value) {
  if (value.empty()) return;
  if (value.find_first_of(std::string_view("\r\n\0", 3)) != value.npos) {
    throw std::logic_error("the name and the id of an event are one line");
  }
  out.append(field).append(value).append("\n");
}

HttpResponse response(const char* type, std::string body, unsigned status) {
  return {.status = status, .headers = {{"Content-Type", type}}, .body = std::move(body)};
}

/// What is wrong with a response is the actor's own error.
void check(const Status& done) {
  if (done) return;
  if (done.error().code == ErrorCode::InvalidArgument) throw std::logic_error(done.error().message);
  api::throwError(done.error());
}

}  // namespace

namespace api {

std::string formatEvent(const ServerSentEvent& event) {
  std::string lines;
  addLine(lines, "event: ", event.event);
  addLine(lines, "id: ", event.id);
  if (event.retry) lines += "retry: " + std::to_string(event.retry->count()) + "\n";
  addLines(lines, "data: ", event.data);
  return lines + "\n";
}

std::string formatComment(std::string_view text) {
  std::string lines;
  addLines(lines, ": ", text);
  return lines + "\n";
}

void respond(actor::HttpResponder& responder, HttpResponse response) {
  check(responder.respond(
      {.head = {response.status, std::move(response.headers)}, .body = std::move(response.body)}));
}

}  // namespace api

// ---- HttpRequest

std::vector<std::string> HttpRequest::segments() const {
  std::vector<std::string> all;
  const auto url = boost::urls::parse_origin_form(path());
  if (!url) return all;
  for (const auto& segment : url->segments()) all.push_back(segment);
  return all;
}

std::optional<std::string> HttpRequest::parameter(std::string_view name) const {
  const auto parameters = boost::urls::parse_query(query());
  if (!parameters) return std::nullopt;
  for (const auto& each : *parameters) {
    boost::urls::encoding_opts options;
    options.space_as_plus = true;
    if (each.key.decode(options) == name) return each.value.decode(options);
  }
  return std::nullopt;
}

std::optional<std::string> HttpRequest::header(std::string_view name) const {
  for (const auto& [key, value] : request_.headers) {
    if (key == name) return value;
  }
  return std::nullopt;
}

Value HttpRequest::bodyValue() const {
  const bool isCbor = header("content-type").value_or("").starts_with("application/cbor");
  return api::parse(
      {.encoding = isCbor ? call::Encoding::Cbor : call::Encoding::Json, .bytes = request_.body});
}

// ---- HttpResponse

HttpResponse HttpResponse::text(std::string body, unsigned status) {
  return response("text/plain; charset=utf-8", std::move(body), status);
}
HttpResponse HttpResponse::html(std::string body, unsigned status) {
  return response("text/html; charset=utf-8", std::move(body), status);
}

// ---- Streams

void HttpStream::begin(unsigned status, HttpHeaders headers) {
  check(responder_.begin({.status = status, .headers = std::move(headers)}));
}

void HttpStream::write(std::string_view bytes) {
  check(responder_.write(std::string(bytes)));
}

EventStream::EventStream(HttpStream& stream, HttpHeaders headers) : stream_(stream) {
  headers.emplace_back("Content-Type", "text/event-stream");
  // Also for proxies that gather what they pass on.
  headers.emplace_back("Cache-Control", "no-cache, no-transform");
  headers.emplace_back("X-Accel-Buffering", "no");
  stream_.begin(200, std::move(headers));
}

void EventStream::send(const ServerSentEvent& event) {
  stream_.write(api::formatEvent(event));
}

void EventStream::comment(std::string_view text) {
  stream_.write(api::formatComment(text));
}

}  // namespace skep
