// The transactions of a Connection: explicit ones, turns and savepoints, and what is undone with them.

#include <sqlite3.h>

#include <utility>

#include "skep/sql/connection.h"

namespace skep::sql {

Status Connection::asSystem(FunctionRef<Status()> body) {
  SKEP_CHECK(!std::exchange(asSystem_, true), "asSystem() does not nest");
  Status done = body();
  asSystem_ = false;
  return done;
}

Status Connection::begin() {
  Entry entry(*this);
  SKEP_CHECK_OK(checkTransaction());
  if (transaction_ != Transaction::None) {
    return Error{ErrorCode::InvalidArgument, "a transaction is open already"};
  }
  SKEP_CHECK_OK(control("BEGIN"));
  transaction_ = Transaction::Explicit;
  return {};
}

Result<store::Txid> Connection::finishTransaction() {
  SKEP_CHECK_OK(checkTransaction());
  const store::Txid before = file_->committedTxid();
  Status committed = control("COMMIT");
  if (!committed) {
    // Nothing of it stays, whatever SQLite had done about it by itself.
    if (sqlite3_get_autocommit(handle_) == 0) SKEP_CHECK_OK(control("ROLLBACK"));
    return std::move(committed).error();
  }
  file_->flushAlarm();
  const store::Txid after = file_->committedTxid();
  return after == before ? store::Txid{0} : after;
}

Result<store::Txid> Connection::commit() {
  Entry entry(*this);
  if (transaction_ != Transaction::Explicit) {
    return Error{ErrorCode::InvalidArgument, "no transaction is open"};
  }
  Result<store::Txid> committed = finishTransaction();
  transaction_ = Transaction::None;
  transactionLost_ = false;
  return committed;
}

Status Connection::endByRollback() {
  Status result;
  transaction_ = Transaction::None;
  if (sqlite3_get_autocommit(handle_) == 0) result = control("ROLLBACK");
  transactionLost_ = false;
  turnOpened_ = false;
  rolledBack_ = true;
  return result;
}

Status Connection::endTransaction() {
  return isBetweenTransactions() ? Status{} : endByRollback();
}

bool Connection::isBetweenTransactions() const {
  return transaction_ == Transaction::None && !inTransaction();
}

Status Connection::rollback() {
  Entry entry(*this);
  if (transaction_ != Transaction::Explicit) {
    return Error{ErrorCode::InvalidArgument, "no transaction is open"};
  }
  return endByRollback();
}

bool Connection::inTransaction() const {
  return handle_ != nullptr && sqlite3_get_autocommit(handle_) == 0;
}

Status Connection::beginTurn() {
  Entry entry(*this);
  SKEP_CHECK_OK(checkTransaction());
  if (transaction_ != Transaction::None || sqlite3_get_autocommit(handle_) == 0) {
    return Error{ErrorCode::InvalidArgument, "a transaction is open already"};
  }
  transaction_ = Transaction::Turn;
  turnOpened_ = false;
  return {};
}

Result<store::Txid> Connection::commitTurn() {
  Entry entry(*this);
  if (transaction_ != Transaction::Turn) {
    return Error{ErrorCode::InvalidArgument, "no turn is open"};
  }
  Result<store::Txid> committed = store::Txid{0};
  if (turnOpened_ || transactionLost_) {
    committed = finishTransaction();
  } else {
    file_->flushAlarm();
  }
  transaction_ = Transaction::None;
  transactionLost_ = false;
  turnOpened_ = false;
  return committed;
}

Status Connection::rollbackTurn() {
  Entry entry(*this);
  if (transaction_ != Transaction::Turn) {
    return Error{ErrorCode::InvalidArgument, "no turn is open"};
  }
  return endByRollback();
}

Status Connection::savepoint(const std::function<Status()>& body) {
  std::string name;
  bool isOutermost = false;
  std::size_t undoBefore = 0;
  {
    Entry entry(*this);
    SKEP_CHECK_OK(checkTransaction());
    if (transaction_ == Transaction::Turn && !inTransaction()) {
      SKEP_CHECK_OK(control("BEGIN"));
      turnOpened_ = true;
    }
    isOutermost = !inTransaction();
    name = "_skep_savepoint_" + std::to_string(++savepointCount_);
    SKEP_CHECK_OK(control(("SAVEPOINT " + name).c_str()));
    undoBefore = undo_.size();
  }
  Status done = body();
  Entry entry(*this);
  if (!inTransaction()) {
    if (!done) return done;
    SKEP_CHECK_OK(checkTransaction());
    return Error{ErrorCode::Aborted, "the transaction around the savepoint ended before it"};
  }
  if (done) {
    done = control(("RELEASE " + name).c_str());
    if (done || !inTransaction()) return done;
    // The outermost RELEASE is a commit, which a deferred constraint may refuse.
  }
  if (isOutermost) {
    SKEP_CHECK_OK(control("ROLLBACK"));
  } else {
    SKEP_CHECK_OK(control(("ROLLBACK TO " + name).c_str()));
    SKEP_CHECK_OK(control(("RELEASE " + name).c_str()));
    undoFrom(undoBefore);
  }
  return done;
}

void Connection::onRollback(std::function<void()> undo) {
  undo_.push_back(std::move(undo));
}

void Connection::undoFrom(std::size_t first) {
  while (undo_.size() > first) {
    const std::function<void()> callback = std::move(undo_.back());
    undo_.pop_back();
    callback();
  }
}

/// A COMMIT that fails ends the transaction, too; SQLite calls its rollback hook only if something
/// was written.
void Connection::noteFailure(bool wasInTransaction) {
  if (wasInTransaction && sqlite3_get_autocommit(handle_) != 0) rolledBack_ = true;
}

}  // namespace skep::sql
