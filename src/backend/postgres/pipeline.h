// Pipeline: a connection in libpq's pipeline mode, with several requests in flight.
//
// Each request is followed by a synchronisation point, which makes it a transaction of its own: it
// is committed when, and only when, the server has passed that point without an error. The pipeline
// knows of each request that it loses whether the server can have committed it.
//
// Threading: one loop's; nothing suspends. Lifetime: the owner destroys it after `onBreak`, not
// within.

#pragma once

#include <libpq-fe.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "skep/backend/postgres/request.h"
#include "skep/backend/postgres/session.h"
#include "skep/fiber/loop.h"

namespace skep::backend::postgres {

class Pipeline {
 public:
  struct Events {
    std::function<void(Request&, Answer)> onAnswer;  // may call send()
    std::function<void()> onBreak;                   // once
  };

  /// Takes a connection that Session has prepared.
  Pipeline(fiber::Loop& loop, PgConnection connection, std::string place, Events events);
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  /// Sends a request; it stays borrowed until onAnswer or takeLost() gives it back.
  void send(Request& request);
  std::size_t inFlight() const { return inFlight_.size(); }

  /// Whether the oldest request has waited for its answer for longer than its time limit.
  bool isOverdue() const;

  /// Gives the connection up; what is in flight is lost.
  void breakOff(Error why);
  bool isBroken() const { return broken_; }
  const Error& whyBroken() const { return whyBroken_; }

  /// What was in flight when it broke, oldest first, and what is known of each.
  std::vector<std::pair<Request*, Answer>> takeLost();

 private:
  struct InFlight {
    Request* request = nullptr;
    std::size_t callsDone = 0;
    std::vector<PgResult> results;
    bool failed = false;
    bool failedInCall = false;  // and not at the commit
    Answer failure;
  };

  void sendCall(const Call& call);
  void flush();
  void waitReadable();
  void waitWritable();
  void receive();
  void takeResult(PgResult result);
  void noteError(InFlight& oldest, const PgResult& result);
  void finishOldest();
  void letGoOfSocket();

  fiber::Loop& loop_;
  PgConnection connection_;
  std::string place_;
  Events events_;
  boost::asio::posix::stream_descriptor descriptor_;
  bool writing_ = false;
  bool broken_ = false;
  bool serverLeft_ = false;  // it announced the end of the session within the oldest request
  Error whyBroken_;
  std::deque<InFlight> inFlight_;
  MonotonicTime oldestSince_;
  // Handlers of the descriptor may still be called after we are gone; they look here first.
  std::shared_ptr<Pipeline*> self_;
};

}  // namespace skep::backend::postgres
