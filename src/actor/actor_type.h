// ActorType, Registry: what kinds of actors a host runs, and how.
//
// An ActorType is the name, the database's migrations, the options and a way to make the Behavior of
// one actor. A Registry is filled before the host starts and does not change after that: any thread
// reads it.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "skep/actor/behavior.h"
#include "skep/actor/connection_options.h"
#include "skep/actor/key_value.h"
#include "skep/actor/queue.h"
#include "skep/actor/schedule.h"
#include "skep/base/clock.h"
#include "skep/base/result.h"
#include "skep/sql/limits.h"

namespace skep::actor {

/// One step of a database's schema. Applied once, in the order of versions, when an actor is created
/// or wakes; all that are due in one transaction.
struct Migration {
  std::int64_t version = 0;  // from 1, growing
  std::string sql;           // any number of statements
};

/// Interleaved: another call may run whenever this one waits, as in JavaScript. OneAtATime: the next
/// call begins when this one has ended.
enum class Concurrency : std::uint8_t { Interleaved, OneAtATime };

/// Durable: replies wait until what they could have seen is durable. Relaxed: they do not; an actor
/// whose commit fails is broken and says so to everybody after that.
enum class Durability : std::uint8_t { Durable, Relaxed };

/// Of raw requests.
struct HttpOptions {
  std::size_t sendBytesMax = 256 * 1024;  // of a stream on their way: then its writer waits
  Duration sendTimeout = std::chrono::seconds(30);  // that long, before the client is given up
};

/// Of raw WebSockets.
struct SocketOptions {
  std::size_t sendBytesMax = 256 * 1024;  // on their way to a client: then receive() waits
  Duration sendTimeout = std::chrono::seconds(30);  // that long, before the client is given up
  std::size_t sendBytesLimit = 4 * 1024 * 1024;     // on their way: who sends more loses the client
};

struct ActorOptions {
  Duration sleepAfter = std::chrono::seconds(30);     // idle for so long, then asleep
  Duration actionTimeout = std::chrono::seconds(60);  // then its caller gets action_timed_out
  Duration hookTimeout = std::chrono::seconds(30);    // of onCreate, onWake, onSleep, onDestroy
  Concurrency concurrency = Concurrency::Interleaved;
  Durability durability = Durability::Durable;
  std::size_t callsMax = 10'000;  // under way or waiting, of one actor
  KeyValueLimits keyValue;
  ScheduleLimits schedule;
  ConnectionOptions connections;
  HttpOptions http;
  SocketOptions sockets;
  sql::Limits limits;
};

struct ActorType {
  std::string name;
  std::vector<Migration> migrations;
  ActorOptions options;
  QueueTypes queues;
  bool hasRun = false;                                      // Behavior::run() is worth calling
  std::map<std::string, EventOptions, std::less<>> events;  // that clients may subscribe to
  bool hasGate = false;                                     // Behavior::letPass() is worth calling
  bool hasOnDisconnect = false;  // Behavior::disconnected() is worth waking the actor
  bool hasRequestHandler = false;
  bool hasSocketHandler = false;
  std::vector<std::string> extensions = {};  // of SQLite: files that are loaded for each database
  std::function<std::unique_ptr<Behavior>()> makeBehavior;
};

class Registry {
 public:
  /// InvalidArgument: a bad name, one that is there already, or migrations that are not in order.
  Status add(ActorType type);
  /// Null when there is none of that name.
  const ActorType* find(std::string_view name) const;
  std::vector<std::string> names() const;

 private:
  std::map<std::string, ActorType, std::less<>> types_;
};

}  // namespace skep::actor
