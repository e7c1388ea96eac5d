// skep check [NAME…|--all]: verifies everything that is stored for databases.

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>

#include "skep/server/command.h"
#include "skep/server/display_text.h"
#include "skep/server/progress.h"
#include "skep/sql/check.h"

namespace skep::server {
namespace {

constexpr const char* kExamples =
    R"(Verifies the checksums of all records and chunks, that the log is one chain up to the head, the digest of all pages, and
SQLite's own integrity_check. Reads only. One line for each database, or for each problem; the exit status is 1 when
there is any problem, else 3 when a database was not checked: there is none of that name, or the store did not answer or lost
what it held for the reading. Each database is read as it was at one moment, while its owner goes on. A large transaction that is under way, or that a crash cut off, is told of (staging): no problem.

Examples:
  skep check tenant/acme
  skep check --all --quiet
  skep check --all --prefix tenant/ --mode json)";

constexpr int kTriesMax = 3;  // when the store loses the snapshot
// What was superseded since a snapshot takes space for as long as that is read.
constexpr std::chrono::minutes kSnapshotTime(1);
constexpr std::size_t kPageRows = 1000;

struct CheckOptions {
  std::vector<std::string> names;
  std::string prefix;
  bool all = false;
  bool quiet = false;
  OutputMode mode = OutputMode::Table;
};

class CheckRun {
 public:
  CheckRun(CommandContext& context, const CheckOptions& options, Engine& engine)
      : context_(context),
        options_(options),
        engine_(engine),
        writer_(makeResultWriter(options.mode, context.out)),
        bar_(context.clock, {}),
        scope_(context.interrupts, [this] { interrupted_ = true; }) {}

  int run() {
    writer_->begin({"name", "result", "pages", "records", "chunk_versions", "problem"});
    const Status checked = options_.all ? checkAll() : checkNamed();
    bar_.finish();
    if (!checked.ok()) return fail(context_, checked.error());
    writer_->end();
    if (::isatty(STDERR_FILENO) == 1) printSummary();
    if (problemCount_ != 0) return kExitFailed;
    return uncheckedCount_ == 0 ? kExitOk : kExitNotChecked;
  }

 private:
  Status checkNamed() {
    for (const std::string& name : options_.names) SKEP_CHECK_OK(checkOne(name));
    return {};
  }

  Status checkAll() {
    std::string after;
    do {
      SKEP_TRY(const store::ListPage page,
               inSnapshot<store::ListPage>([&](vfs::Environment& reading) {
                 return reading.store.list(options_.prefix, after, kPageRows);
               }));
      for (const store::DatabaseInfo& database : page.databases)
        SKEP_CHECK_OK(checkOne(database.name));
      after = page.next;
    } while (!after.empty());
    return {};
  }

  Status checkOne(const std::string& name) {
    bar_.setLabel(std::to_string(databaseCount_ + 1) + ". " + displayText(name, 40).text);
    auto report = inSnapshot<sql::CheckReport>([&](vfs::Environment& reading) {
      return sql::checkInSnapshot(reading, name, [this](std::uint64_t done, std::uint64_t total) {
        bar_.update(done, total);
        return !interrupted_;
      });
    });
    // It was there when the names were listed, from an earlier snapshot.
    const bool isGone = !report.ok() && report.error().code == ErrorCode::NotFound;
    if (isGone && options_.all) return {};
    if (interrupted_) return Error{ErrorCode::Aborted, "interrupted"};
    ++databaseCount_;
    if (!report.ok() && cannotBeChecked(report.error())) {
      ++uncheckedCount_;
      const std::string why = report.error().toString();
      writer_->row(std::array<Cell, 6>{name, "not_checked", Cell(), Cell(), Cell(), why});
    } else if (!report.ok()) {
      ++problemCount_;
      const std::string problem = report.error().toString();
      writer_->row(std::array<Cell, 6>{name, "error", Cell(), Cell(), Cell(), problem});
    } else {
      printReport(*report);
    }
    if (context_.out.error()) return *context_.out.error();
    return {};
  }

  /// What `read` gives of the store as it was a moment ago; from another snapshot when one is lost.
  template <class T, class Read>
  Result<T> inSnapshot(Read read) {
    Result<T> found = Error{};
    for (int tries = 0; tries < kTriesMax; ++tries) {
      SKEP_TRY(vfs::Environment * reading, snapshot());
      found = read(*reading);
      if (found.ok() || found.error().code != ErrorCode::SnapshotGone) break;
      dropSnapshot();
    }
    return found;
  }

  void dropSnapshot() {
    reading_.reset();
    snapshot_.reset();
  }

  /// The same one for many databases.
  Result<vfs::Environment*> snapshot() {
    const MonotonicTime now = context_.clock.monotonic();
    if (reading_ != nullptr && now - takenAt_ < kSnapshotTime) return reading_.get();
    dropSnapshot();
    SKEP_TRY(snapshot_, engine_.store().snapshot());
    reading_ = std::make_unique<vfs::Environment>(engine_.environment().withStore(*snapshot_));
    takenAt_ = now;
    return reading_.get();
  }

  /// Nothing is wrong with what is stored: the database never was, or the store lost the snapshot
  /// each time, or did not answer in time.
  static bool cannotBeChecked(const Error& error) {
    return error.code == ErrorCode::SnapshotGone || error.code == ErrorCode::NotFound ||
           error.code == ErrorCode::Unavailable || error.code == ErrorCode::Overloaded;
  }

  void printReport(const sql::CheckReport& report) {
    if (report.ok() && !options_.quiet) {
      writer_->row(std::array<Cell, 6>{report.name, "ok", report.pages, report.records,
                                       report.chunkVersions, Cell()});
    }
    for (const sql::Finding& finding : report.findings) {
      if (finding.isDamage()) ++problemCount_;
      writer_->row(std::array<Cell, 6>{report.name, sql::findingKindName(finding.kind),
                                       report.pages, report.records, report.chunkVersions,
                                       finding.message});
    }
  }

  void printSummary() {
    (void)context_.out.flush();
    context_.errors.write("checked " + std::to_string(databaseCount_ - uncheckedCount_) +
                          " databases, found " + std::to_string(problemCount_) + " problems" +
                          (uncheckedCount_ == 0
                               ? std::string()
                               : ", could not check " + std::to_string(uncheckedCount_)) +
                          "\n");
  }

  CommandContext& context_;
  const CheckOptions& options_;
  Engine& engine_;
  std::unique_ptr<ResultWriter> writer_;
  std::unique_ptr<store::PageStore> snapshot_;
  std::unique_ptr<vfs::Environment> reading_;  // from snapshot_
  MonotonicTime takenAt_;
  Progress bar_;
  std::atomic<bool> interrupted_ = false;
  InterruptScope scope_;
  std::uint64_t databaseCount_ = 0;
  std::uint64_t problemCount_ = 0;
  std::uint64_t uncheckedCount_ = 0;
};

int runCheck(CommandContext& context, const CheckOptions& options) {
  if (options.all != options.names.empty()) {
    context.errors.write("error: name the databases to check, or say --all\n");
    return kExitUsage;
  }
  if (!areNames(context, options.names)) return kExitUsage;
  return withEngine(context, [&](fiber::Loop&, Engine& engine) {
    return CheckRun(context, options, engine).run();
  });
}

}  // namespace

void addCheckCommand(CLI::App& app, CommandContext& context) {
  auto options =
      std::make_shared<CheckOptions>();  // shared: the callback that CLI11 keeps is copied
  CLI::App& command = *app.add_subcommand("check", "Verify what is stored for databases");
  command.add_option("NAME", options->names, "The databases");
  CLI::Option* all = command.add_flag("--all", options->all, "Every database in the store");
  command.add_option("--prefix", options->prefix, "With --all: only names that begin with this")
      ->type_name("TEXT")
      ->needs(all);
  command.add_flag("--quiet,-q", options->quiet, "Print problems and stagings only");
  addModeOption(command, options->mode);
  addStoreOptions(command, context);
  command.footer(kExamples);
  command.callback([&context, options] { context.exitCode = runCheck(context, *options); });
}

}  // namespace skep::server
