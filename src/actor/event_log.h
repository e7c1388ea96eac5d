// EventLog: the sequence of an actor's events: its numbers, and the newest of them, for clients that come
// back.
//
// Events are numbered within a stream. The newest stay in memory while the actor is awake, bounded by
// number and bytes. A stream goes on after sleep, as its end is saved then; it ends with the process
// that dies, because nobody knows then what was still sent: the next one has another name.
//
// Invariant: the database names a stream's end only while no event behind it can have been sent. So
// what is saved is removed in the transaction of the turn that sends the first event after a wake, and
// saved again before sleep.
//
// Belongs to its instance.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "skep/actor/connection_options.h"
#include "skep/base/result.h"
#include "skep/call/connection.h"
#include "skep/sql/database.h"

namespace skep::actor {

class EventLog {
 public:
  using EventPtr = std::shared_ptr<const call::Event>;

  /// Keeps: a stream may go on after sleep. Forgets: each wake begins a new one, for an actor whose events
  /// leave before the database knows of them.
  enum class Memory : std::uint8_t { Keeps, Forgets };
  EventLog(const ConnectionOptions& options, Memory memory) : options_(options), memory_(memory) {}

  /// Finds out where the stream stands; at once when that is known. Within a turn.
  Status load(sql::Database& database);
  /// Within a turn that is about to send an event, after load().
  Status beginSending(sql::Database& database);
  /// The position that next() will give after `count` more.
  call::EventPosition coming(std::size_t count) const { return {stream_, sequence_ + count + 1}; }
  /// The position of the next event; never given twice.
  call::EventPosition next();

  /// The event has left. `except`: the connection that did not get it, or empty.
  void append(const EventPtr& event, const std::string& except);
  /// The newest event that has left.
  call::EventPosition position() const { return {stream_, sentSequence_}; }
  /// What a client that has seen the events of `names` up to `seen`, through the connection
  /// `connection`, has yet to get; nullopt when some of it is not there any more.
  std::optional<std::vector<EventPtr>> after(const call::EventPosition& seen,
                                             const std::string& connection,
                                             const std::set<std::string>& names) const;

  /// Whether the database names the stream's end.
  bool isSaved() const { return isSaved_; }
  /// Whether save() has something to do before the actor sleeps.
  bool mustSave() const { return memory_ == Memory::Keeps && !stream_.empty() && !isSaved_; }
  /// Within a turn, when all events have left.
  Status save(sql::Database& database);

 private:
  struct Kept {
    EventPtr event;
    std::string except;
  };
  void forgetOldest();

  const ConnectionOptions& options_;
  const Memory memory_;
  std::string stream_;  // empty before load()
  std::uint64_t sequence_ = 0;
  std::uint64_t sentSequence_ = 0;
  std::uint64_t firstSequence_ = 0;  // events up to this one were sent before this instance
  bool isSaved_ = false;             // the database names this stream and sequence_
  std::deque<Kept> kept_;
  std::size_t keptBytes_ = 0;
  std::map<std::string, std::uint64_t> forgotten_;  // by event name: the newest that was dropped
};

}  // namespace skep::actor
