// Request: statements that the server runs as one transaction and in one round trip, and their
// Answer.
//
// The caller owns the Request and waits for its answer on its own fiber or thread; the pool borrows
// it until it sets the answer.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "skep/backend/postgres/pg_binary.h"
#include "skep/backend/postgres/statements.h"
#include "skep/base/clock.h"
#include "skep/base/error.h"
#include "skep/fiber/sync.h"

namespace skep::backend::postgres {

struct Call {
  Statement statement = Statement::Load;
  std::vector<Parameter> parameters;
};

enum class Fate : std::uint8_t {
  Done,        // committed: `results` has one result for each call
  NotApplied,  // certainly without any effect
  Unknown,     // the connection broke before the server said what became of it
};

struct Answer {
  Fate fate = Fate::NotApplied;
  Error error;           // unless Done
  std::string sqlState;  // of the error, if the server gave one
  std::vector<PgResult> results;
};

/// Each has connections of its own. Nodes: what membership needs, which must not wait behind data; its
/// connection is made when it is first asked for.
enum class Lane : std::uint8_t { Write, Read, Nodes };
inline constexpr std::size_t kLaneCount = 3;

/// What to do when the connection breaks after the request was sent: send it again on another one,
/// which is for requests that may well run twice, or tell the caller.
enum class IfLost : std::uint8_t { Repeat, Report };

struct Request {
  std::vector<Call> calls;
  Lane lane = Lane::Read;
  IfLost ifLost = IfLost::Report;
  Duration timeLimit{};  // for the server's answer; 0: the pool's own

  fiber::OneShot<Answer> answer;

  // The pool's notes.
  MonotonicTime deadline;  // for handing it to a connection
  int attempts = 0;
};

}  // namespace skep::backend::postgres
