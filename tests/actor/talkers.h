// Actors of the tests of raw WebSockets.

#pragma once

#include "skep/api/definition.h"

namespace skep::testing {

inline std::vector<std::string> talkTrail;

/// Does what its clients tell it.
struct Talker : Actor {
  static void define(Definition<Talker>& d) {
    d.migration(1, "CREATE TABLE line(text TEXT NOT NULL)");
    d.onWebSocket(&Talker::talk);
    d.onSleep(&Talker::onSleep);
    d.action("lines", &Talker::lines)
        .action("tell", &Talker::tell)
        .action("tellAndThrow", &Talker::tellAndThrow)
        .action("dismiss", &Talker::dismiss)
        .action("destroy", &Talker::destroy)
        .action("sleep", &Talker::sleep);
  }
  std::vector<std::string> lines(Context& c) {
    return c.query<std::string>("SELECT text FROM line ORDER BY rowid");
  }
  void write(Context& c, const std::string& text) {
    c.execute("INSERT INTO line VALUES (?)", text);
  }
  void tell(Context& c, std::string text) {
    write(c, text);
    for (const WebSocketSender& guest : guests_) guest.sendText(c, text);
  }
  void tellAndThrow(Context& c, std::string text) {
    tell(c, text);
    for (const WebSocketSender& guest : guests_) guest.close(c, 4000);
    throw UserError("undone", "as asked");
  }
  void dismiss(Context& c) {
    for (const WebSocketSender& guest : guests_) guest.close(c, 4007, "dismissed");
  }
  void destroy(Context& c) { c.destroy(); }
  void sleep(Context& c) { c.sleep(); }
  void onSleep(Context&) { talkTrail.push_back("sleep"); }

  void talk(Context& c, const HttpRequest& request, WebSocket& socket) {
    try {
      const std::string& path = request.path();
      write(c, "opened " + path);
      if (path == "/refused") throw UserError("refused", "not today");
      if (path == "/bug") throw std::runtime_error("secret");
      if (path == "/wait") c.sleepFor(std::chrono::seconds(100));
      if (path == "/nothing") return;
      if (path == "/undone") {
        socket.accept();
        throw UserError("undone", "in the turn that accepted");
      }
      socket.accept(request.parameter("protocol").value_or(""));
      guests_.push_back(socket.sender());
      if (path == "/silent") return;
      if (path == "/ever") return sendForEver(c, socket);
      while (const auto message = socket.receive()) obey(c, socket, *message);
      talkTrail.push_back("ended " + std::to_string(socket.closeCode()) + " " +
                          socket.closeReason());
      write(c, "closed");
      if (path == "/stays") c.sleepFor(std::chrono::hours(1));
    } catch (const ActorError& error) {
      talkTrail.push_back((c.isAborted() ? "aborted: " : "failed: ") + error.failure().message);
      throw;
    }
  }

  void sendForEver(Context& c, WebSocket& socket) {
    while (socket.isOpen()) {
      socket.sendBinary(std::string(1000, 'x'));
      socket.drain();
    }
    write(c, "not open");
  }

  void obey(Context& c, WebSocket& socket, const WebSocketMessage& message) {
    if (!message.isText()) return socket.sendBinary(message.data());
    const std::string& text = message.data();
    write(c, text);
    if (text == "close") return socket.close(4001, "as asked");
    if (text == "throw") throw UserError("wrong", "as asked");
    if (text == "bug") throw std::runtime_error("secret");
    if (text == "bad text") return socket.sendText("\xff");
    if (text == "bad close") return socket.close(1005);
    if (text == "wait") c.sleepFor(std::chrono::seconds(10));
    if (text == "much") {
      for (int i = 0; i < 6; ++i) socket.sendBinary(std::string(1024 * 1024, 'x'));
    }
    if (text == "numbers") return socket.sendJson(std::vector<int>{1, 2});
    if (text.starts_with("[")) return socket.sendJson(message.as<std::vector<int>>().size());
    if (text == "patience") {
      const bool came = socket.receive(std::chrono::seconds(5)).has_value();
      return socket.sendText(came ? "came" : socket.isOpen() ? "nothing came" : "closed");
    }
    socket.sendText("said " + text);
  }

  std::vector<WebSocketSender> guests_;
};

/// Lets only those in who know the word.
struct GuardedTalker : Talker {
  static void define(Definition<GuardedTalker>& d) {
    d.migration(1, "CREATE TABLE line(text TEXT NOT NULL)");
    d.onWebSocket(&GuardedTalker::talkTo);
    d.onBeforeConnect(&GuardedTalker::onBeforeConnect);
    d.action("lines", &GuardedTalker::lines);
  }
  void onBeforeConnect(Context&, const Visitor& visitor) {
    if (visitor.header("x-word") != "sesame") throw Forbidden("say the word");
  }
  void talkTo(Context& c, const HttpRequest& request, WebSocket& socket) {
    talk(c, request, socket);
  }
};

/// One at a time: each message is a call.
struct Turnwise : Talker {
  static void define(Definition<Turnwise>& d) {
    d.options().concurrency = Concurrency::OneAtATime;
    d.migration(1, "CREATE TABLE line(text TEXT NOT NULL)");
    d.onWebSocket(&Turnwise::talkTo);
    d.action("lines", &Turnwise::lines);
  }
  void talkTo(Context& c, const HttpRequest& request, WebSocket& socket) {
    talk(c, request, socket);
  }
};

}  // namespace skep::testing
