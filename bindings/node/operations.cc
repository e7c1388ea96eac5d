#include "operations.h"

#include <utility>

#include "js_values.h"
#include "skep/sql/statement.h"

namespace skep::node {

napi_value Asked::ask(napi_env env, Run& run, Form form) {
  env_ = env;
  if (form == Form::Blocking) {
    if (!run.performBlocking(*this)) {
      failure_ = call::Failure(call::FailureCode::ActorOverloaded,
                               "another call of this actor is within its turn, and could not go on "
                               "while this blocks: use the form that is awaited");
    }
    return take(env);
  }
  run.perform(*this);
  if (isDone()) return take(env);
  napi_value promise = nullptr;
  napi_create_promise(env, &deferred_, &promise);
  return promise;
}

napi_value Asked::take(napi_env env) {
  napi_value value = undefined(env);
  if (failure_) {
    napi_throw(env, toJs(env, *failure_));
  } else {
    value = resultNow(env);
  }
  delete this;
  return value;
}

void Asked::work(actor::Invocation& invocation, const Status& turn) {
  if (!turn) {
    failure_ = call::failureOf(turn.error(), invocation.actor().toString());
    return;
  }
  auto outcome = perform(invocation);
  if (auto* failed = std::get_if<call::Failure>(&outcome)) failure_ = std::move(*failed);
}

void Asked::deliver() {
  if (failure_) {
    napi_reject_deferred(env_, deferred_, toJs(env_, *failure_));
  } else {
    napi_resolve_deferred(env_, deferred_, result(env_));
  }
}

// ---- SQL

namespace {

call::Outcome<std::monostate> outcomeOf(const Status& done, const actor::Invocation& invocation) {
  if (done) return std::monostate{};
  // The code's own mistake, which its author wants to read.
  if (done.error().code == ErrorCode::InvalidArgument) {
    return call::Failure(call::FailureCode::SqlFailed, done.error().message);
  }
  return call::failureOf(done.error(), invocation.actor().toString());
}

}  // namespace

call::Outcome<std::monostate> Execute::perform(actor::Invocation& invocation) {
  return outcomeOf(run(invocation.database()), invocation);
}

Status Execute::run(sql::Database& database) {
  SKEP_TRY(sql::Statement statement, database.cached(text_->sql));
  if (!statement) return {};
  int position = 0;
  for (const Parameter& each : parameters_) {
    SKEP_CHECK_OK(each.name.empty() ? statement.bind(++position, each.value)
                                    : statement.bind(each.name, each.value));
  }
  if (position > 0 && position != statement.parameterCount()) {
    return Error{ErrorCode::InvalidArgument,
                 "the statement has " + std::to_string(statement.parameterCount()) +
                     " parameters, " + std::to_string(position) + " were given"};
  }
  SKEP_TRY(bool isRow, statement.stepKept());
  // After the first step, which compiles anew when the schema has changed.
  columns_ = texts_.columnsOf(*text_, statement);
  const int count = statement.columnCount();
  while (isRow) {
    statement.noteKept(rows_.add(statement, count));
    SKEP_TRY(isRow, statement.stepKept());
  }
  return {};
}

/// A NativeRows.
napi_value Execute::result(napi_env env) {
  napi_value object = nullptr;
  napi_create_object(env, &object);
  setProperty(env, object, "columns",
              toJs(env, columns_ == nullptr ? std::vector<std::string>() : columns_->names));
  setProperty(env, object, "values", rows_.toArray(env));
  return object;
}

napi_value Execute::resultNow(napi_env env) {
  if (form_ != Form::InFrame || !rows_.fitsIntoFrame()) return result(env);
  return rows_.toFrame(env, columns_ == nullptr ? 0 : columns_->number);
}

call::Outcome<std::monostate> Script::perform(actor::Invocation& invocation) {
  return outcomeOf(invocation.database().run(sql_), invocation);
}

napi_value Script::result(napi_env env) {
  return undefined(env);
}

call::Outcome<std::monostate> Savepoint::perform(actor::Invocation& invocation) {
  if (step_ != Step::Begin && !run_.hasSavepoint()) {
    return call::Failure(call::FailureCode::InvalidArguments, "no savepoint is open");
  }
  const char* sql = "SAVEPOINT skep_transaction";
  if (step_ == Step::Release) sql = "RELEASE skep_transaction";
  if (step_ == Step::RollBack) sql = "ROLLBACK TO skep_transaction; RELEASE skep_transaction";
  const Status done = invocation.database().run(sql);
  // One that could not be released is there still, to be rolled back. After that there is none: SQLite
  // refuses it only when it has rolled back everything by itself.
  if (step_ == Step::Begin && done) run_.savepointBegun();
  if (step_ == Step::RollBack || (step_ == Step::Release && done)) run_.savepointEnded();
  return outcomeOf(done, invocation);
}

napi_value Savepoint::result(napi_env env) {
  return undefined(env);
}

// ---- Events

void Broadcast::work(actor::Invocation& invocation, const Status& turn) {
  Status done = turn ? invocation.broadcast(event_, std::move(value_), std::move(except_))
                     : Status(turn.error());
  if (!done) run_.failLater(call::failureOf(done.error(), invocation.actor().toString()));
}

}  // namespace skep::node
