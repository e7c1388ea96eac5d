// ScriptRunner: runs SQL statements one after the other and prints their rows, keeping I1 on the
// way out.
//
// Before rows of a read are printed, every commit made so far is durable; rows of a statement that
// writes (RETURNING) wait behind the sink's gate until its commit is durable; run() ends by waiting
// for the rest. Belongs to the loop of its database. Each call suspends.
//
//   ScriptRunner runner(database, out, errors, interrupts, {.mode = OutputMode::Json});
//   ScriptInput input(STDIN_FILENO, pool);
//   SKEP_CHECK_OK(runner.run(input, "<stdin>"));

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "skep/base/result.h"
#include "skep/server/interrupts.h"
#include "skep/server/progress.h"
#include "skep/server/result_writer.h"
#include "skep/server/script_input.h"
#include "skep/server/statement_splitter.h"
#include "skep/server/text_sink.h"
#include "skep/sql/database.h"

namespace skep::server {

struct ScriptOptions {
  OutputMode mode = OutputMode::Table;
  bool timer = false;        // tell after each statement how long it took until it was durable
  bool durableEach = false;  // wait after each statement, as a person at a prompt expects
  Progress* progress =
      nullptr;  // of the input's bytes; gone whenever something is printed. Borrowed
  std::uint64_t inputBytes = 0;  // in all; 0: unknown
};

class ScriptRunner {
 public:
  /// `errors` receives messages and timings.
  ScriptRunner(sql::Database& database, TextSink& out, TextSink& errors, Interrupts& interrupts,
               Clock& clock, ScriptOptions options)
      : database_(database),
        out_(out),
        errors_(errors),
        interrupts_(interrupts),
        clock_(clock),
        options_(options) {}

  /// Runs every statement of the input, then waits until all is durable; an error of that is
  /// printed, too. An error of a statement is printed (with its place in `source`) and ends the run. A script that ends within a transaction
  /// is an error; its changes are rolled back.
  Status run(ScriptInput& input, std::string_view source);

  /// Runs one statement; an error is printed and returned. Aborted when Ctrl-C was pressed.
  Status runStatement(const SqlPiece& statement, std::string_view source = {});

  ScriptOptions& options() { return options_; }

 private:
  Status execute(const SqlPiece& statement, std::uint64_t& rowCount);
  Status printGated(sql::Statement& statement, std::uint64_t& rowCount);
  Status printRows(sql::Statement& statement, ResultWriter& writer, std::uint64_t& rowCount);
  /// Waits until all that was done so far is durable. Tells why it will never be, once.
  Status settle();
  void hideProgress() {
    if (options_.progress != nullptr) options_.progress->finish();
  }
  void printTime(MonotonicTime start, std::uint64_t rowCount);

  sql::Database& database_;
  TextSink& out_;
  TextSink& errors_;
  Interrupts& interrupts_;
  Clock& clock_;
  ScriptOptions options_;
  std::string lossTold_;  // why what was done is lost, once that was told
};

}  // namespace skep::server
