#include "skep/actor/outbox.h"

#include <algorithm>
#include <set>
#include <utility>

#include "skep/actor/actor_instance.h"

namespace skep::actor {
namespace {

/// What an entry takes beside its value, about.
constexpr std::size_t kEntryBytes = 128;

}  // namespace

Outbox::Outbox(ActorInstance& instance) : instance_(instance) {}
Outbox::~Outbox() = default;

EventLog& Outbox::log() {
  if (log_ == nullptr) {
    const ActorOptions& options = instance_.type().options;
    log_ = std::make_unique<EventLog>(options.connections, options.durability == Durability::Relaxed
                                                               ? EventLog::Memory::Forgets
                                                               : EventLog::Memory::Keeps);
  }
  return *log_;
}

EventHistory& Outbox::history() {
  if (history_ == nullptr) history_ = std::make_unique<EventHistory>();
  return *history_;
}

bool Outbox::areKept(const std::vector<std::string>& events) const {
  const auto& types = instance_.type().events;
  return std::all_of(events.begin(), events.end(), [&](const std::string& event) {
    const auto found = types.find(event);
    return found != types.end() && found->second.history > 0;
  });
}

// ---- Within a turn

Status Outbox::checkRoom(std::size_t bytes) const {
  const std::size_t bytesMax = instance_.type().options.connections.outboxBytesMax;
  if (bytes_ + bytes <= bytesMax) return {};
  return Error{ErrorCode::LimitExceeded, "more than " + std::to_string(bytesMax) +
                                             " bytes of events and messages wait until they are "
                                             "durable"};
}

void Outbox::stage(std::size_t bytes, Item item) {
  bytes_ += bytes;
  staged_.push_back({bytes, std::move(item)});
}

Status Outbox::broadcast(std::string_view event, std::string value, std::string except) {
  sql::Database& database = instance_.database();
  const std::size_t bytes = value.size() + kEntryBytes;
  SKEP_CHECK_OK(checkRoom(bytes));
  SKEP_CHECK_OK(log().load(database));
  if (log().isSaved()) beginsStream_ = true;
  SKEP_CHECK_OK(log().beginSending(database));
  Broadcast broadcast{.name = std::string(event),
                      .value = std::move(value),
                      .except = std::move(except),
                      .event = nullptr};
  const auto type = instance_.type().events.find(event);
  const std::size_t keep = type == instance_.type().events.end() ? 0 : type->second.history;
  if (keep > 0) {
    broadcast.event = std::make_shared<call::Event>(broadcast.name, std::move(broadcast.value),
                                                    log().coming(stagedBroadcasts_));
    // All of it or nothing: its row and its number go together.
    SKEP_CHECK_OK(database.savepoint(
        [&] { return history().add(database, *broadcast.event, broadcast.except, keep); }));
  }
  stage(bytes, std::move(broadcast));
  ++stagedBroadcasts_;
  return {};
}

Status Outbox::send(const ConnectionPtr& to, std::string_view event, std::string value) {
  const std::size_t bytes = value.size() + kEntryBytes;
  SKEP_CHECK_OK(checkRoom(bytes));
  stage(bytes, Send{.to = to,
                    .event = std::make_shared<call::Event>(std::string(event), std::move(value),
                                                           call::EventPosition{})});
  return {};
}

Status Outbox::close(const ConnectionPtr& connection, call::Closed why) {
  SKEP_CHECK_OK(checkRoom(kEntryBytes));
  stage(kEntryBytes, Close{.connection = connection, .why = std::move(why)});
  return {};
}

Status Outbox::say(std::size_t bytes, std::function<void()> leave) {
  SKEP_CHECK_OK(checkRoom(bytes + kEntryBytes));
  stage(bytes + kEntryBytes, Say{.leave = std::move(leave)});
  return {};
}

Status Outbox::welcome(const ConnectionPtr& connection, const call::ConnectRequest& request) {
  sql::Database& database = instance_.database();
  SKEP_CHECK_OK(checkRoom(kEntryBytes));
  SKEP_CHECK_OK(log().load(database));
  Welcome welcome{.connection = connection,
                  .subscriptions = request.subscriptions,
                  .resume = request.resume,
                  .resumedConnection = request.resumedConnection,
                  .kept = std::nullopt};
  if (request.resume && areKept(request.subscriptions)) {
    const std::set<std::string> names(request.subscriptions.begin(), request.subscriptions.end());
    // What is committed and has not left yet is among them: it leaves before the connection subscribes.
    SKEP_TRY(welcome.kept, history().after(database, *request.resume, log().position().stream,
                                           request.resumedConnection, names,
                                           instance_.type().options.connections.replayBytesMax));
  }
  stage(kEntryBytes, std::move(welcome));
  return {};
}

// ---- The gate

void Outbox::committed(store::Txid txid, Durability durability) {
  if (staged_.empty()) return;
  if (std::exchange(beginsStream_, false)) streamTxid_ = txid;
  if (instance_.type().options.durability == Durability::Relaxed) durability = Durability::Relaxed;
  for (Staged& staged : staged_) {
    if (auto* broadcast = std::get_if<Broadcast>(&staged.item)) {
      call::EventPosition position = log().next();
      if (broadcast->event == nullptr) {
        broadcast->event = std::make_shared<call::Event>(
            std::move(broadcast->name), std::move(broadcast->value), std::move(position));
      } else {
        SKEP_CHECK(broadcast->event->position().sequence == position.sequence);
      }
    }
    pending_.push_back({.txid = txid,
                        .durability = durability,
                        .bytes = staged.bytes,
                        .item = std::move(staged.item)});
  }
  staged_.clear();
  stagedBroadcasts_ = 0;
  flush();
  if (durability == Durability::Relaxed) watch(txid);
  if (!pending_.empty()) startWaiting();
}

void Outbox::rolledBack() {
  for (const Staged& staged : staged_) bytes_ -= staged.bytes;
  staged_.clear();
  stagedBroadcasts_ = 0;
  beginsStream_ = false;
}

bool Outbox::mayLeave(const Pending& oldest) const {
  const sql::Database& database = instance_.database();
  const store::Txid durable = database.durableTxid();
  if (oldest.durability != Durability::Relaxed) return oldest.txid <= durable;
  if (database.brokenBy() != nullptr) return false;
  return !std::holds_alternative<Broadcast>(oldest.item) || streamTxid_ <= durable;
}

void Outbox::flush() {
  while (!pending_.empty()) {
    Pending& oldest = pending_.front();
    if (!mayLeave(oldest)) break;
    Item item = std::move(oldest.item);
    bytes_ -= oldest.bytes;
    pending_.pop_front();
    std::visit([this](auto& each) { this->leave(each); }, item);
  }
}

void Outbox::startWaiting() {
  // An actor on its way out waits for what is left itself.
  if (isWaiting_ || !instance_.calls().tryEnter()) return;
  isWaiting_ = true;
  instance_.loop().spawn("outbox", [this] {
    // awaitDurable() flushes. What stays in here when it fails never leaves.
    while (const store::Txid next = awaitedTxid()) {
      if (instance_.awaitDurable(next)) break;
    }
    isWaiting_ = false;
    instance_.calls().leave();
  });
}

/// 0: nothing.
store::Txid Outbox::awaitedTxid() const {
  if (!pending_.empty()) return pending_.front().txid;
  return watchedTxid_ > instance_.database().durableTxid() ? watchedTxid_ : 0;
}

store::Txid Outbox::newestTxid() const {
  const store::Txid awaited = awaitedTxid();
  return awaited == 0 || pending_.empty() ? awaited : std::max(pending_.back().txid, watchedTxid_);
}

void Outbox::watch(store::Txid txid) {
  watchedTxid_ = std::max(watchedTxid_, txid);
  if (awaitedTxid() != 0) startWaiting();
}

// ---- Out

void Outbox::leave(Broadcast& broadcast) {
  log().append(broadcast.event, broadcast.except);
  const Audience* audience = instance_.audience();
  if (audience == nullptr) return;
  audience->forSubscribers(broadcast.event->name(), [&](Connection& connection) {
    if (connection.id() == broadcast.except) return;
    connection.tell([&](call::ConnectionPeer& peer) { peer.event(broadcast.event); });
  });
}

void Outbox::leave(Send& send) {
  send.to->tell([&](call::ConnectionPeer& peer) { peer.event(send.event); });
}

void Outbox::leave(Close& close) {
  instance_.owner().endConnection(close.connection, close.why);
}

void Outbox::leave(Welcome& welcome) {
  Connection& connection = *welcome.connection;
  if (connection.phase() == Connection::Phase::Closed) return;
  const std::set<std::string> names(welcome.subscriptions.begin(), welcome.subscriptions.end());
  const call::EventPosition now = log().position();
  std::optional<std::vector<EventLog::EventPtr>> missing = std::move(welcome.kept);
  if (welcome.resume && !missing)
    missing = log().after(*welcome.resume, welcome.resumedConnection, names);
  connection.tell([&](call::ConnectionPeer& peer) {
    peer.connected({.id = connection.id(), .position = missing ? *welcome.resume : now});
    if (welcome.resume && !missing) peer.missed(now);
    if (!missing) return;
    for (const EventLog::EventPtr& event : *missing) peer.event(event);
  });
  Audience& audience = *instance_.audience();
  for (const std::string& name : names) audience.subscribe(connection, name);
}

}  // namespace skep::actor
