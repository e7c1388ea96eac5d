// Context: what an actor's code can do, besides computing: SQL, waiting, calling other actors.
//
// Handed to each action and hook, valid until it returns, on the fiber that it runs on. Code between
// two calls that wait is atomic: nobody else's code of this actor runs meanwhile, and all it writes
// commits together or, when it throws, not at all. Functions that wait say so: they commit what was
// written before.
//
//   auto messages = c.query<Message>("SELECT id, sender, text FROM message WHERE id > ?", after);
//   c.execute("INSERT INTO message(sender, text) VALUES (?, ?)", sender, text);

#pragma once

#include <chrono>
#include <concepts>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "skep/actor/background.h"
#include "skep/actor/invocation.h"
#include "skep/api/codec.h"
#include "skep/api/connection.h"
#include "skep/api/errors.h"
#include "skep/api/key_value.h"
#include "skep/api/queue.h"
#include "skep/api/schedule.h"
#include "skep/api/signal.h"
#include "skep/sql/database.h"

namespace skep {

using actor::KeepAwake;
using sql::Rows;

class Context {
 public:
  Context(actor::Invocation& invocation, const api::ActorParts& parts)
      : invocation_(invocation), parts_(parts) {}
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const std::string& type() const { return invocation_.actor().type; }
  const std::vector<std::string>& key() const { return invocation_.actor().key; }

  // --- Who asks: the token of the client whose connection, or whose single call, this is about. Other actors
  //     that call, timers and the like have none. ---

  bool hasClaims() const { return invocation_.claims() != nullptr; }
  /// See Visitor::claims().
  template <class T>
  T claims() const {
    return api::decodeClaims<T>(invocation_.claims());
  }

  // --- SQL. ActorError with SQLite's code and the offset in the text when a statement fails. ---

  /// One statement; its rows.
  template <class... Args>
  Rows execute(std::string_view sql, const Args&... args) {
    return run(sql, {toSql(args)...});
  }
  /// One statement; each row as a struct (by the names of the columns) or as a single value.
  template <class Row, class... Args>
  std::vector<Row> query(std::string_view sql, const Args&... args);
  /// As query(), for a statement that gives one row: ActorError when there is none or more.
  template <class Row, class... Args>
  Row queryOne(std::string_view sql, const Args&... args);
  /// Rows that the newest statement changed, and the newest INSERT's rowid.
  std::int64_t changes() const { return invocation_.database().changes(); }
  std::int64_t lastInsertRowid() const { return invocation_.database().lastInsertRowid(); }
  /// Calls `undo` if what is written since the last wait is rolled back.
  void onRollback(std::function<void()> undo) {
    invocation_.database().onRollback(std::move(undo));
  }

  // --- What else is stored; each belongs to the turn, like SQL. ---

  KeyValue kv() { return KeyValue(invocation_); }
  Schedule schedule() { return Schedule(invocation_); }
  Cron cron() { return Cron(invocation_); }
  template <class Body>
  Queue<Body> queue(std::string name) {
    return Queue<Body>(invocation_, std::move(name));
  }
  /// The time of the actor's clock, which a test may move.
  Time now() const { return Time(std::chrono::milliseconds(invocation_.clock().wallMs())); }

  // --- Connections and events. What is sent leaves once this turn is durable, in this order. ---

  /// The connection whose call or hook this is, if it is one's.
  std::optional<Connection> connection() const;
  /// All that are connected now, the oldest first; after a wake too.
  std::vector<Connection> connections() const;
  /// Sends an event to all connections that subscribe to it. Clients that were away for a moment get it
  /// when they come back. std::logic_error when it is not declared, or with another type.
  template <class T>
  void broadcast(std::string_view event, const T& value) {
    broadcastEncoded(event, api::encodeEvent(parts_, event, value), {});
  }
  template <class T>
  void broadcastExcept(const Connection& except, std::string_view event, const T& value) {
    broadcastEncoded(event, api::encodeEvent(parts_, event, value), except.id());
  }
  /// Sends an event to all connections with that tag, as Connection::send() does.
  template <class T>
  void sendTagged(const std::string& tag, std::string_view event, const T& value) {
    sendTaggedEncoded(tag, event, api::encodeEvent(parts_, event, value));
  }

  /// From now on, until this call ends: what it sends, and its reply, does not wait until what it wrote is
  /// durable. Should that fail, the actor is lost as after any commit that failed, and all its clients
  /// hear of it; but some have then seen what never was. Calls to other actors wait all the same.
  void relax() { invocation_.relax(); }

  // --- Waiting: other calls of this actor run meanwhile. ---

  /// Waits for that long.
  void sleepFor(std::chrono::milliseconds duration);
  /// As sleepFor(), but the actor may fall asleep when only its run() waits, and only in this way.
  void idleFor(std::chrono::milliseconds duration);
  /// Waits for the signal's next notify(), at most that long; false: it did not come.
  bool waitFor(const Signal& signal, std::chrono::milliseconds timeout);
  /// Waits until everything written so far is durable.
  void flush();
  /// Calls an action of another actor, which is made when it does not exist. ActorError with its
  /// failure.
  template <class Result = void, class... Args>
  Result call(std::string type, std::vector<std::string> key, std::string action,
              const Args&... args);

  /// Sends a message to a queue of another actor, which is made when it does not exist. Its id.
  template <class Body>
  std::int64_t send(std::string type, std::vector<std::string> key, std::string queue,
                    const Body& body, const SendOptions& options = {}) {
    return sendValue(std::move(type), std::move(key), std::move(queue), api::toValue(body),
                     options);
  }

  /// While what this gives exists, the actor does not fall asleep for being idle.
  [[nodiscard]] KeepAwake keepAwake();
  /// Whether this call should come to its end: its time ran out, or the actor is on its way out.
  bool isAborted() const { return invocation_.abortToken().isAborted(); }
  /// The actor and all it stored is removed, if this turn ends well; what throws destroys nothing. This call
  /// goes on to its end, and its reply comes when the store has removed the actor. Other calls under way are
  /// told to stop and fail with actor.destroyed; calls that come now wait, and find no actor or make a new
  /// one.
  void destroy() { invocation_.destroyActor(); }
  /// Sleep without waiting for sleepAfter, as soon as no call is under way. Calls that come before are
  /// served; streams and raw WebSockets are told to end.
  void sleep() { invocation_.sleepActor(); }

  actor::Invocation& invocation() { return invocation_; }

 private:
  template <class T>
  static sql::Value toSql(const T& value);
  Rows run(std::string_view sql, std::initializer_list<sql::Value> parameters);
  Value callValue(std::string type, std::vector<std::string> key, std::string action,
                  Value arguments);
  std::int64_t sendValue(std::string type, std::vector<std::string> key, std::string queue,
                         const Value& body, const SendOptions& options);

  void broadcastEncoded(std::string_view event, std::string value, std::string except);
  void sendTaggedEncoded(const std::string& tag, std::string_view event, const std::string& value);

  actor::Invocation& invocation_;
  const api::ActorParts& parts_;
};

namespace api {

/// A column's value as a C++ value; InvalidValue when it is of another type.
template <class T>
struct Column;
template <std::integral T>
struct Column<T> {
  static T from(const sql::Value& value, std::string_view name) {
    if (value.type() != sql::ValueType::Integer) wrong(value, name, "an integer");
    if constexpr (std::is_same_v<T, bool>) return value.integer() != 0;
    if (!std::in_range<std::conditional_t<std::is_same_v<T, bool>, int, T>>(value.integer())) {
      wrong(value, name, "an integer that fits");
    }
    return static_cast<T>(value.integer());
  }
  [[noreturn]] static void wrong(const sql::Value& value, std::string_view name,
                                 std::string_view expected) {
    throw InvalidValue("column " + std::string(name),
                       "expected " + std::string(expected) + ", got " +
                           std::string(sql::valueTypeName(value.type())));
  }
};
template <std::floating_point T>
struct Column<T> {
  static T from(const sql::Value& value, std::string_view name) {
    if (value.type() == sql::ValueType::Integer) return static_cast<T>(value.integer());
    if (value.type() != sql::ValueType::Real) Column<int>::wrong(value, name, "a number");
    return static_cast<T>(value.real());
  }
};
template <>
struct Column<std::string> {
  static std::string from(const sql::Value& value, std::string_view name) {
    if (value.type() != sql::ValueType::Text) Column<int>::wrong(value, name, "text");
    return value.text();
  }
};
template <>
struct Column<Bytes> {
  static Bytes from(const sql::Value& value, std::string_view name) {
    if (value.type() != sql::ValueType::Blob) Column<int>::wrong(value, name, "a blob");
    return value.blob();
  }
};
template <class T>
struct Column<std::optional<T>> {
  static std::optional<T> from(const sql::Value& value, std::string_view name) {
    if (value.isNull()) return std::nullopt;
    return Column<T>::from(value, name);
  }
};

template <class Row>
Row rowAs(const std::vector<std::string>& columns, const std::vector<sql::Value>& values) {
  if constexpr (PlainStruct<Row>) {
    Row row{};
    forEachField(row, [&](std::string_view name, auto& field) {
      using Field = std::remove_cvref_t<decltype(field)>;
      for (std::size_t i = 0; i < columns.size(); ++i) {
        if (columns[i] == name) {
          field = Column<Field>::from(values[i], name);
          return;
        }
      }
      throw InvalidValue("column " + std::string(name), "the statement has no such column");
    });
    return row;
  } else {
    if (columns.size() != 1) {
      throw InvalidValue(
          "row", "one column was expected, the statement has " + std::to_string(columns.size()));
    }
    return Column<Row>::from(values[0], columns[0]);
  }
}

}  // namespace api

namespace api {
template <class T>
inline constexpr bool isOptional = false;
template <class T>
inline constexpr bool isOptional<std::optional<T>> = true;
}  // namespace api

template <class T>
sql::Value Context::toSql(const T& value) {
  if constexpr (std::is_constructible_v<sql::Value, const T&>) {
    return sql::Value(value);
  } else {
    static_assert(
        api::isOptional<T>,
        "SQL parameters are numbers, bool, text, skep::Bytes, nullptr, or std::optional of "
        "those");
    if constexpr (api::isOptional<T>) return value ? toSql(*value) : sql::Value();
  }
}

template <class Row, class... Args>
std::vector<Row> Context::query(std::string_view sql, const Args&... args) {
  const Rows rows = execute(sql, args...);
  std::vector<Row> result;
  result.reserve(rows.rows.size());
  for (const auto& values : rows.rows) result.push_back(api::rowAs<Row>(rows.columns, values));
  return result;
}

template <class Row, class... Args>
Row Context::queryOne(std::string_view sql, const Args&... args) {
  const Rows rows = execute(sql, args...);
  if (rows.rows.size() != 1) {
    api::throwError(Error{ErrorCode::NotFound, "one row was expected, the statement gave " +
                                                   std::to_string(rows.rows.size())});
  }
  return api::rowAs<Row>(rows.columns, rows.rows.front());
}

template <class Result, class... Args>
Result Context::call(std::string type, std::vector<std::string> key, std::string action,
                     const Args&... args) {
  const Value value =
      callValue(std::move(type), std::move(key), std::move(action),
                Value::array({api::Codec<std::decay_t<const Args>>::encode(args)...}));
  if constexpr (!std::is_void_v<Result>) {
    return api::Codec<Result>::decode(value, api::Place("reply"));
  }
}

}  // namespace skep
