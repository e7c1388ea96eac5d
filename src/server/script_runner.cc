#include "skep/server/script_runner.h"

#include <cstdio>
#include <vector>

#include "skep/server/error_text.h"

namespace skep::server {
namespace {

Cell cellOf(const sql::Statement& statement, int column) {
  switch (statement.type(column)) {
    case sql::ValueType::Null:
      return {};
    case sql::ValueType::Integer:
      return statement.integer(column);
    case sql::ValueType::Real:
      return statement.real(column);
    case sql::ValueType::Text:
      return statement.text(column);
    case sql::ValueType::Blob:
      return statement.blob(column);
  }
  SKEP_UNREACHABLE();
}

}  // namespace

Status ScriptRunner::run(ScriptInput& input, std::string_view source) {
  Status outcome;
  while (outcome.ok()) {
    Result<std::optional<SqlPiece>> piece = input.next();
    if (!piece.ok()) {
      outcome = piece.error();
      errors_.write(errorText(piece.error()));
      break;
    }
    if (!piece->has_value()) break;
    outcome = runStatement(**piece, source);
    if (options_.progress != nullptr)
      options_.progress->update(input.bytesRead(), options_.inputBytes);
  }
  hideProgress();
  if (database_.inTransaction()) {
    if (outcome.ok()) {
      outcome = Error{ErrorCode::InvalidArgument,
                      "the script ends inside a transaction: what that changed is rolled back"};
      errors_.write(errorText(outcome.error()));
    }
    // A broken database has nothing left to roll back; its error was reported where it arose.
    (void)database_.run("ROLLBACK");
  }
  const Status durable = settle();
  return outcome.ok() ? durable : outcome;
}

Status ScriptRunner::settle() {
  Status durable = database_.waitDurable();
  if (!durable.ok() && durable.error().message != lossTold_) {
    errors_.write(errorText(durable.error()));
    lossTold_ = durable.error().message;
  }
  return durable;
}

Status ScriptRunner::runStatement(const SqlPiece& statement, std::string_view source) {
  const MonotonicTime start = clock_.monotonic();
  std::uint64_t rowCount = 0;
  Status outcome;
  {
    InterruptScope scope(interrupts_, [this] { database_.interrupt(); });
    outcome = execute(statement, rowCount);
    if (outcome.ok() && scope.wasInterrupted()) {
      // It had ended already when the key was pressed; what follows is meant then.
      SKEP_CHECK_OK(settle());
      hideProgress();
      errors_.write("error: aborted: interrupted; this statement was done, what follows is not\n");
      return Error{ErrorCode::Aborted, "interrupted"};
    }
  }
  if (!outcome.ok()) {
    out_.discard();
    // A message may tell what a write did ("UNIQUE constraint failed"): it too waits for
    // durability. That what came before is lost is a second thing to tell.
    const Status durable = database_.waitDurable();
    hideProgress();
    (void)out_.flush();
    if (!out_.error()) errors_.write(sqlErrorText(outcome.error(), statement, source));
    if (!durable.ok() && durable.error().message == outcome.error().message)
      lossTold_ = durable.error().message;
    (void)settle();
  } else if (options_.timer) {
    // How long an INSERT took says that it was done.
    outcome = settle();
    if (outcome.ok()) printTime(start, rowCount);
  }
  return outcome;
}

Status ScriptRunner::execute(const SqlPiece& piece, std::uint64_t& rowCount) {
  {
    SKEP_TRY(sql::Statement statement, database_.prepare(piece.text));
    if (!statement) return {};
    if (statement.columnCount() > 0) {
      SKEP_CHECK_OK(printGated(statement, rowCount));
    } else {
      SKEP_TRY([[maybe_unused]] const bool row, statement.step());
    }
  }
  if (options_.durableEach) SKEP_CHECK_OK(database_.waitDurable());
  return {};
}

// Rows leave only when every commit that they could have seen is durable.
Status ScriptRunner::printGated(sql::Statement& statement, std::uint64_t& rowCount) {
  const bool mayWrite = !statement.isReadOnly();
  if (mayWrite) {
    out_.shut();
  } else {
    SKEP_CHECK_OK(database_.waitDurable());
  }
  hideProgress();
  const std::unique_ptr<ResultWriter> writer = makeResultWriter(options_.mode, out_);
  SKEP_CHECK_OK(printRows(statement, *writer, rowCount));
  if (mayWrite) {
    SKEP_CHECK_OK(database_.waitDurable());
    if (out_.heldTooMuch()) {
      return Error{ErrorCode::LimitExceeded,
                   "the statement has run, but its rows are too many to show: those of a statement "
                   "that writes wait in memory until its commit is durable, at most 256 MiB"};
    }
    out_.open();
  }
  return out_.flush();
}

Status ScriptRunner::printRows(sql::Statement& statement, ResultWriter& writer,
                               std::uint64_t& rowCount) {
  const int columnCount = statement.columnCount();
  std::vector<std::string> columns;
  for (int i = 0; i < columnCount; ++i) columns.emplace_back(statement.columnName(i));
  writer.begin(columns);
  std::vector<Cell> cells(static_cast<std::size_t>(columnCount));
  while (true) {
    SKEP_TRY(const bool row, statement.step());
    if (!row) break;
    for (int i = 0; i < columnCount; ++i) cells[static_cast<std::size_t>(i)] = cellOf(statement, i);
    writer.row(cells);
    ++rowCount;
    if (out_.error()) return *out_.error();
  }
  writer.end();
  return {};
}

void ScriptRunner::printTime(MonotonicTime start, std::uint64_t rowCount) {
  const double milliseconds =
      std::chrono::duration<double, std::milli>(clock_.monotonic() - start).count();
  char text[96];
  std::snprintf(text, sizeof text, "time: %.3f ms, %llu row%s\n", milliseconds,
                static_cast<unsigned long long>(rowCount), rowCount == 1 ? "" : "s");
  (void)out_.flush();
  errors_.write(text);
  (void)errors_.flush();
}

}  // namespace skep::server
