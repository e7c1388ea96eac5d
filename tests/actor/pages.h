// Actors of the tests of raw requests.

#pragma once

#include "skep/api/definition.h"
#include "skep/api/http.h"

namespace skep::testing {

inline std::vector<std::string> pageTrail;

/// Answers at once.
struct Page : Actor {
  static void define(Definition<Page>& d) {
    d.migration(1, "CREATE TABLE visit(path TEXT NOT NULL)");
    d.onRequest(&Page::request);
    d.action("visits", &Page::visits);
    d.action("destroy", &Page::destroy);
  }
  std::vector<std::string> visits(Context& c) {
    return c.query<std::string>("SELECT path FROM visit");
  }
  void destroy(Context& c) { c.destroy(); }

  HttpResponse request(Context& c, const HttpRequest& request) {
    const std::string& path = request.path();
    if (path == "/echo") {
      std::string text = request.method() + " " + request.query() + " " + request.body();
      for (const auto& [name, value] : request.headers()) text += "\n" + name + ": " + value;
      return HttpResponse::text(std::move(text));
    }
    c.execute("INSERT INTO visit VALUES (?)", path);
    if (path == "/throw") throw UserError("wrong", "as asked");
    if (path == "/bug") throw std::runtime_error("secret");
    if (path == "/wait") c.sleepFor(std::chrono::seconds(100));
    if (path == "/split") return {.headers = {{"X-Name", "a\r\nSet-Cookie: b"}}};
    if (path == "/cookies") {
      return {
          .status = 201, .headers = {{"Set-Cookie", "a=1"}, {"Set-Cookie", "b=2"}}, .body = "x"};
    }
    if (path == "/missing") return {.status = 404, .body = "nothing here"};
    if (path == "/json") return HttpResponse::json(request.bodyAs<std::vector<int>>());
    return HttpResponse::html("<p>" + std::to_string(visits(c).size()) + "</p>");
  }
};

/// Lets only those in who know the word.
struct Guarded : Page {
  static void define(Definition<Guarded>& d) {
    d.migration(1, "CREATE TABLE visit(path TEXT NOT NULL)");
    d.onRequest(&Guarded::request);
    d.onBeforeConnect(&Guarded::onBeforeConnect);
    d.action("visits", &Guarded::visits);
  }
  void onBeforeConnect(Context&, const Visitor& visitor) {
    if (visitor.header("x-word") != "sesame") throw Forbidden("say the word");
  }
};

/// Answers bit by bit.
struct Feed : Actor {
  static void define(Definition<Feed>& d) {
    d.migration(1, "CREATE TABLE entry(text TEXT NOT NULL)");
    d.onRequest(&Feed::request);
    d.onSleep(&Feed::onSleep);
    d.action("publish", &Feed::publish)
        .action("count", &Feed::count)
        .action("destroy", &Feed::destroy);
  }
  void onSleep(Context&) { pageTrail.push_back("sleep"); }
  std::int64_t count(Context& c) { return c.queryOne<std::int64_t>("SELECT count(*) FROM entry"); }
  void publish(Context& c, std::string text) {
    c.execute("INSERT INTO entry VALUES (?)", text);
    news_.notify();
  }
  void destroy(Context& c) { c.destroy(); }

  void request(Context& c, const HttpRequest& request, HttpStream& stream) {
    const std::string& path = request.path();
    try {
      if (path == "/events") return events(c, request, stream);
      if (path == "/silent") return;
      if (path == "/early") throw UserError("early", "before the head");
      stream.begin(200, {{"Content-Type", "text/plain"}});
      if (path == "/undone") throw UserError("undone", "the head was not committed");
      stream.write("one");
      if (path == "/late") throw UserError("late", "behind the first chunk");
      if (path == "/write") c.execute("INSERT INTO entry VALUES ('written')");
      if (path == "/long") c.sleepFor(std::chrono::minutes(10));
      if (path == "/ever") {
        for (int i = 0;; ++i) {
          stream.write(std::string(1000, 'x'));
          c.execute("INSERT INTO entry VALUES ('ever')");
        }
      }
      stream.write("two");
    } catch (const ActorError& error) {
      pageTrail.push_back((c.isAborted() ? "aborted: " : "failed: ") + error.failure().message);
      throw;
    }
  }
  /// Entries behind the one that the client has seen, then each as it comes.
  void events(Context& c, const HttpRequest& request, HttpStream& stream) {
    EventStream out(stream);
    std::int64_t seen = std::stoll(request.lastEventId().value_or("0"));
    while (true) {
      for (const std::string& text :
           c.query<std::string>("SELECT text FROM entry WHERE rowid > ? ORDER BY rowid", seen)) {
        out.send({.data = text, .event = "entry", .id = std::to_string(++seen)});
      }
      if (!c.waitFor(news_, std::chrono::seconds(15))) out.comment("still here");
    }
  }

  Signal news_;
};

}  // namespace skep::testing
