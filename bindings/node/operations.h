// What an actor's code asks for and gets a result of: at once, or as a promise.

#pragma once

#include <node_api.h>

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "flat_rows.h"
#include "run.h"
#include "skep/call/failure.h"
#include "skep/sql/statement.h"
#include "skep/sql/value.h"
#include "statement_texts.h"

namespace skep::node {

/// An operation whose result JavaScript gets. Made with new; deletes itself.
class Asked : public Operation {
 public:
  enum class Form { AtOnceOrPromise, Blocking };

  /// Has it done for `run`: gives the result or a promise of it, or throws a NativeFailure.
  napi_value ask(napi_env env, Run& run, Form form = Form::AtOnceOrPromise);

  void work(actor::Invocation& invocation, const Status& turn) final;
  void deliver() final;

 protected:
  /// On the fiber, in a turn. May suspend.
  virtual call::Outcome<std::monostate> perform(actor::Invocation& invocation) = 0;
  /// On the JavaScript thread: what perform() found.
  virtual napi_value result(napi_env env) = 0;
  /// The same for who asked, and has waited for nothing.
  virtual napi_value resultNow(napi_env env) { return result(env); }

 private:
  napi_value take(napi_env env);

  napi_env env_ = nullptr;
  napi_deferred deferred_ = nullptr;
  std::optional<call::Failure> failure_;
};

/// One statement, and its rows.
class Execute final : public Asked {
 public:
  struct Parameter {
    std::string name;  // with its prefix; empty: by position
    sql::Value value;
  };
  using Parameters = boost::container::small_vector<Parameter, 3>;
  /// What the statements of a thread share.
  struct Space {
    StatementTexts texts;
    FlatRows::Space rows;
  };
  /// Whether small results that are there at once go into the frame.
  enum class Form { Flat, InFrame };
  Execute(Space& space, std::shared_ptr<StatementText> text, Parameters parameters, Form form)
      : texts_(space.texts),
        text_(std::move(text)),
        parameters_(std::move(parameters)),
        form_(form),
        rows_(space.rows) {}

 protected:
  call::Outcome<std::monostate> perform(actor::Invocation& invocation) override;
  napi_value result(napi_env env) override;
  napi_value resultNow(napi_env env) override;

 private:
  Status run(sql::Database& database);

  StatementTexts& texts_;
  const std::shared_ptr<StatementText> text_;
  const Parameters parameters_;
  const Form form_;
  std::shared_ptr<const Columns> columns_;  // null: an empty statement
  FlatRows rows_;
};

/// Statements whose rows nobody wants.
class Script final : public Asked {
 public:
  explicit Script(std::string sql) : sql_(std::move(sql)) {}

 protected:
  call::Outcome<std::monostate> perform(actor::Invocation& invocation) override;
  napi_value result(napi_env env) override;

 private:
  const std::string sql_;
};

/// One step of a savepoint; those of a run nest.
class Savepoint final : public Asked {
 public:
  enum class Step : std::uint8_t { Begin, Release, RollBack };
  Savepoint(Run& run, Step step) : run_(run), step_(step) {}

 protected:
  call::Outcome<std::monostate> perform(actor::Invocation& invocation) override;
  napi_value result(napi_env env) override;

 private:
  Run& run_;  // lives as long as its fiber, on which this is done
  const Step step_;
};

/// An event to all that listen. Nobody waits for it: what is wrong fails the run when it ends.
class Broadcast final : public Operation {
 public:
  Broadcast(Run& run, std::string event, std::string value, std::string except)
      : run_(run), event_(std::move(event)), value_(std::move(value)), except_(std::move(except)) {}
  void work(actor::Invocation& invocation, const Status& turn) override;
  void deliver() override {}

 private:
  Run& run_;
  const std::string event_;
  std::string value_;
  std::string except_;
};

}  // namespace skep::node
