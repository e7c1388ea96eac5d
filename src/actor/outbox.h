// Outbox: the output gate of an awake actor's events, sends and closes, and of what it answers bit by bit
// (I1).
//
//   staged   by the open turn; forgotten when that is rolled back
//   pending  by committed turns that are not durable yet, oldest first
//   left     to the connections, in that order
//
// A reply leaves after everything that its turn staged: whoever waits for durability calls flush()
// before it goes on. One fiber waits for all that is pending, whatever there is of it. After a commit
// that failed nothing leaves any more (I5).
//
// Belongs to its instance.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "skep/actor/connection.h"
#include "skep/actor/event_history.h"
#include "skep/actor/event_log.h"
#include "skep/base/result.h"
#include "skep/call/connection.h"
#include "skep/store/page_store.h"

namespace skep::actor {

class ActorInstance;
enum class Durability : std::uint8_t;

class Outbox {
 public:
  explicit Outbox(ActorInstance& instance);
  ~Outbox();
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  // --- Within a turn. `value` is CBOR. LimitExceeded when too much waits; errors of the database. ---

  /// To all that subscribe to the event, but for the connection with the id `except`.
  Status broadcast(std::string_view event, std::string value, std::string except);
  Status send(const ConnectionPtr& to, std::string_view event, std::string value);
  Status close(const ConnectionPtr& connection, call::Closed why);
  /// Something else: `leave`, which does not suspend, is called when it may leave. `bytes`: what it holds
  /// until then.
  Status say(std::size_t bytes, std::function<void()> leave);
  /// The client hears that it is connected, gets what it missed and, from then on, what it subscribes to.
  Status welcome(const ConnectionPtr& connection, const call::ConnectRequest& request);

  // --- At the end of a turn. ---

  /// What was staged is pending, or leaves at once when `txid` is durable. Relaxed: it does not wait for
  /// that.
  void committed(store::Txid txid, Durability durability);
  void rolledBack();
  /// Whether the open turn has said something.
  bool hasStaged() const { return !staged_.empty(); }

  // --- For the instance. ---

  /// What is durable leaves. Does not suspend.
  void flush();
  /// What left, or a reply, before `txid` was durable: somebody waits for it now, and the actor breaks
  /// when it fails.
  void watch(store::Txid txid);
  /// Whether something up to `txid` has not left yet.
  bool holdsUpTo(store::Txid txid) const {
    return !pending_.empty() && pending_.front().txid <= txid;
  }
  /// Up to where somebody has to wait for durability; 0: nowhere.
  store::Txid newestTxid() const;
  /// Whether the actor's events have a position that must be saved before it sleeps.
  bool mustSave() const { return log_ != nullptr && log_->mustSave(); }
  Status save(sql::Database& database) { return log_->save(database); }

 private:
  struct Broadcast {
    std::string name;
    std::string value;
    std::string except;
    std::shared_ptr<const call::Event> event;  // once committed, or kept: it has a number then
  };
  struct Send {
    ConnectionPtr to;
    std::shared_ptr<const call::Event> event;
  };
  struct Close {
    ConnectionPtr connection;
    call::Closed why;
  };
  struct Welcome {
    ConnectionPtr connection;
    std::vector<std::string> subscriptions;
    std::optional<call::EventPosition> resume;
    std::string resumedConnection;
    std::optional<std::vector<EventLog::EventPtr>>
        kept;  // in the database, and missing to the client
  };
  struct Say {
    std::function<void()> leave;
  };
  using Item = std::variant<Broadcast, Send, Close, Welcome, Say>;
  struct Pending {
    store::Txid txid;
    Durability durability;
    std::size_t bytes;
    Item item;
  };
  struct Staged {
    std::size_t bytes;
    Item item;
  };

  EventLog& log();
  EventHistory& history();
  /// Whether all of `events` are kept in the database.
  bool areKept(const std::vector<std::string>& events) const;
  Status checkRoom(std::size_t bytes) const;
  void stage(std::size_t bytes, Item item);
  bool mayLeave(const Pending& oldest) const;
  void startWaiting();
  store::Txid awaitedTxid() const;
  void leave(Broadcast& broadcast);
  void leave(Send& send);
  void leave(Close& close);
  void leave(Welcome& welcome);
  static void leave(Say& say) { say.leave(); }

  ActorInstance& instance_;
  std::unique_ptr<EventLog> log_;          // of an actor that has connections or sends events
  std::unique_ptr<EventHistory> history_;  // of one that keeps some
  std::vector<Staged> staged_;
  std::size_t stagedBroadcasts_ = 0;
  std::deque<Pending> pending_;
  std::size_t bytes_ = 0;
  bool isWaiting_ = false;
  store::Txid watchedTxid_ = 0;
  // Before the stream's saved end is durably gone no event of it leaves: see EventLog.
  bool beginsStream_ = false;  // with this turn
  store::Txid streamTxid_ = 0;
};

}  // namespace skep::actor
