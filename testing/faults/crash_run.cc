#include "skep/testing/faults/crash_run.h"

#include <algorithm>
#include <map>

#include "skep/sql/check.h"
#include "skep/testing/faults/owner.h"

namespace skep::testing {
namespace {

constexpr std::size_t kPage = sizeof(vfs::PageBuffer);

/// Without history, each chunk has one version, nothing lies past the end, and no record is kept
/// that the head does not need.
void expectNoGarbage(Findings& findings, store::PageStore& store, const Lineage& lineage) {
  Result<store::DatabaseInfo> info = store.info(lineage.name);
  if (!info) return findings.add("info: " + info.error().toString());
  if (info->properties.retentionMs != 0) return;
  auto versions = store.listChunkVersions(info->id, std::nullopt, 100'000);
  if (!versions) return findings.add("list: " + versions.error().toString());
  auto records = store.readLog(info->id, 0, 1);
  if (!records) return findings.add("log: " + records.error().toString());
  if (!records->empty() && records->front().txid <= info->head.logStart)
    findings.add("the record of txid " + std::to_string(records->front().txid) +
                 " is kept, which nobody needs");
  std::optional<store::ChunkNumber> before;
  for (const store::ChunkVersion& version : *versions) {
    const std::string name =
        "chunk " + std::to_string(version.chunk) + " of txid " + std::to_string(version.txid);
    if (before == version.chunk)
      findings.add(name + " is kept beside an older version that nobody needs");
    if (store::firstPageOf(version.chunk) > info->head.pageCount)
      findings.add(name + " lies past the end");
    before = version.chunk;
  }
}

void check(Findings& findings, vfs::Environment& environment, const Lineage& lineage) {
  Result<sql::CheckReport> checked = sql::checkDatabase(environment, lineage.name);
  if (!checked) return findings.add("check " + lineage.name + ": " + checked.error().toString());
  for (const sql::Finding& finding : checked->findings) {
    findings.add("check " + lineage.name + ": " + std::string(findingKindName(finding.kind)) +
                 ": " + finding.message);
  }
}

/// In a process without faults: everything must be there, and in order.
void verifyLineage(RunContext& context, Process& process, Lineage& lineage) {
  lineage.wasShared = false;
  Owner owner(context, process, lineage, "verify");
  if (!owner.open() && !context.findings.any())
    context.findings.add("the last process does not open " + lineage.name);
  owner.close();
  if (context.findings.any()) return;
  check(context.findings, process.environment(), lineage);
  expectNoGarbage(context.findings, process.store(), lineage);
}

class Run {
 public:
  explicit Run(const RunOptions& options)
      : options_(options),
        random_(options.seed),
        simulation_("seed " + std::to_string(options.seed)),
        store_(options.makeStore(simulation_.clock())),
        context_{.simulation = simulation_, .findings = findings_, .trace = options.trace} {}

  RunReport run() {
    simulation_.network().trace = options_.trace;
    chooseSizes();
    const std::size_t databases = oneIn(4) ? 2 : 1;
    for (std::size_t i = 0; i < databases; ++i) {
      Lineage& lineage =
          *lineages_.emplace_back(std::make_unique<Lineage>(i == 0 ? "first" : "second"));
      lineage.hadRetention = workloadOptions_.retention;
      workloads_.emplace_back(random_(), workloadOptions_);
    }
    const std::size_t lives = 1 + below(3);
    for (std::size_t life = 0; life < lives && !findings_.any(); ++life) {
      simulation_.run([&] { live(life); });
      store_->reopen();
    }
    if (!findings_.any()) simulation_.run([&] { verify(); });
    if (simulation_.network().violation()) findings_.add(*simulation_.network().violation());
    report_.failure = findings_.first();
    report_.fired = simulation_.network().fired();
    return std::move(report_);
  }

 private:
  std::uint64_t below(std::uint64_t end) { return random_() % end; }
  bool oneIn(std::uint64_t n) { return below(n) == 0; }
  template <class T>
  T oneOf(std::initializer_list<T> values) {
    return values.begin()[below(values.size())];
  }

  /// Small bounds, so that folds, staging and evictions happen all the time.
  void chooseSizes() {
    sizes_.logBytesMin = oneOf<std::size_t>({256, 2048, 8192, 32768});
    sizes_.logBytesMax = oneOf<std::size_t>({4096, 65536, 1 << 20});
    sizes_.logBytesMax = std::max(sizes_.logBytesMax, sizes_.logBytesMin);
    sizes_.foldChunksMax = oneOf<std::size_t>({1, 2, 64});
    sizes_.transactionBytesMax = 4096 * oneOf<std::size_t>({3, 8, 24, 24, 4096});
    sizes_.undurableBytesMax = 4096 * oneOf<std::size_t>({2, 20, 8192});
    sizes_.readAheadChunksMax = oneOf<std::size_t>({1, 2, 32});
    sizes_.dirtyPagesMax = oneOf<std::size_t>({10, 20, 4096, 4096});
    cacheBytes_ = kPage * oneOf<std::size_t>({4, 20, 100, 1000});
    workloadOptions_.textBytesMax = oneOf<std::size_t>({20, 100, 600});
    workloadOptions_.blobBytesMax = oneOf<std::size_t>({200, 20'000, 60'000});
    workloadOptions_.rowsMax = oneOf<std::size_t>({5, 30, 60});
    workloadOptions_.fullText = oneIn(6);
    const auto first = options_.firstFault ? options_.firstFault->kind : CallKind::Open;
    workloadOptions_.retention =
        oneIn(10) || first == CallKind::Log || first == CallKind::VersionAt;
    workloadOptions_.destroys = oneIn(8) || first == CallKind::Destroy;
    workloadOptions_.autoVacuum = static_cast<int>(oneOf<std::size_t>({0, 0, 1, 2}));
  }

  FaultPlan choosePlan(std::size_t life) {
    FaultPlan plan;
    if (life == 0 && options_.firstFault) {
      plan.shots.push_back({.action = options_.firstFault->action,
                            .kind = options_.firstFault->kind,
                            .nth = 1 + static_cast<std::uint32_t>(below(3))});
      // Only a write with an unknown outcome makes an owner take a new epoch.
      if (options_.firstFault->kind == CallKind::Retake) {
        plan.shots.push_back(
            {.action = FaultAction::Lost, .kind = CallKind::Commit, .nth = 1, .repeat = 3});
      }
      return plan;
    }
    const std::size_t shots = oneIn(5) ? 0 : 1 + below(4);
    const auto points = faultPoints();
    for (std::size_t i = 0; i < shots; ++i) {
      const FaultPoint point = points[below(points.size())];
      const bool isFrequent = point.kind == CallKind::Read || point.kind == CallKind::Commit ||
                              point.kind == CallKind::CommitFold;
      plan.shots.push_back({.action = point.action,
                            .kind = point.kind,
                            .nth = 1 + static_cast<std::uint32_t>(below(isFrequent ? 12 : 3)),
                            .repeat = 1 + static_cast<std::uint32_t>(oneIn(4) ? below(3) : 0)});
    }
    if (oneIn(40))
      plan.shots.push_back(
          {.action = FaultAction::Before, .kind = std::nullopt, .nth = 10, .repeat = 60});
    return plan;
  }

  std::unique_ptr<Process> newProcess(FaultPlan plan, const std::string& label) {
    report_.plan += (report_.plan.empty() ? "" : "; ") + label + ": " + plan.describe();
    return std::make_unique<Process>(simulation_, store_->store(), std::move(plan), random_(),
                                     sizes_, cacheBytes_);
  }

  /// One process from start to end, with its rivals.
  void live(std::size_t life) {
    const std::string label = "life" + std::to_string(life);
    std::unique_ptr<Process> process = newProcess(choosePlan(life), label);
    Joiner joiner(simulation_.loop());
    for (std::size_t i = 0; i < lineages_.size(); ++i) {
      const std::uint64_t seed = random_();
      joiner.spawn([this, &process, i, seed, label] { serve(*process, i, seed, label); });
    }
    if (oneIn(5)) {
      const std::uint64_t seed = random_();
      const bool sameProcess = oneIn(4);
      joiner.spawn([this, &process, seed, sameProcess, label] {
        challenge(*process, sameProcess, seed, label);
      });
    }
    joiner.join();
    process->close();
  }

  /// A process at work on one database: opens it again when it breaks, and ends well or badly.
  void serve(Process& process, std::size_t which, std::uint64_t seed, const std::string& label) {
    std::mt19937_64 random(seed);
    Lineage& lineage = *lineages_[which];
    SqlWorkload& workload = workloads_[which];
    const std::size_t opens = 1 + random() % 3;
    for (std::size_t i = 0; i < opens && !process.store().hasCrashed() && !findings_.any(); ++i) {
      Owner owner(context_, process, lineage, label);
      if (owner.open()) {
        owner.createSchema(workload);
        owner.work(workload, 4 + random() % 40);
        if (i + 1 == opens && random() % 2 == 0) process.store().crash();
      }
      owner.close();
    }
  }

  /// A second owner of the first database appears at some time, in a process of its own or beside
  /// the first.
  void challenge(Process& process, bool sameProcess, std::uint64_t seed, const std::string& label) {
    std::mt19937_64 random(seed);
    fiber::sleepFor(std::chrono::microseconds(random() % 200'000));
    if (findings_.any() || (sameProcess && process.store().hasCrashed())) return;
    Lineage& lineage = *lineages_.front();
    if (lineage.isBeingDestroyed) return;
    lineage.wasShared = true;
    lineage.exactly.reset();
    std::unique_ptr<Process> own;
    if (!sameProcess) own = newProcess(oneIn(2) ? FaultPlan{} : choosePlan(1), label + " rival");
    Process& mine = sameProcess ? process : *own;
    Owner owner(context_, mine, lineage, label + " rival");
    SqlWorkload workload(random(), workloadOptions_);
    if (owner.open()) owner.work(workload, random() % 30);
    owner.close();
    if (own) own->close();
  }

  void verify() {
    std::unique_ptr<Process> process = newProcess({}, "verify");
    for (auto& lineage : lineages_) verifyLineage(context_, *process, *lineage);
    process->close();
  }

  const RunOptions& options_;
  std::mt19937_64 random_;
  RunReport report_;
  Simulation simulation_;
  std::unique_ptr<RunStore> store_;
  Findings findings_;
  RunContext context_;
  vfs::PagedFileOptions sizes_;
  std::size_t cacheBytes_ = 0;
  WorkloadOptions workloadOptions_;
  std::vector<std::unique_ptr<Lineage>> lineages_;
  std::vector<SqlWorkload> workloads_;
};

}  // namespace

RunReport runThroughFaults(const RunOptions& options) {
  return Run(options).run();
}

ScriptReport runScriptThroughFault(const ScriptOptions& options) {
  Simulation simulation("a script with the fault " + options.fault.describe());
  simulation.network().trace = options.trace;
  const std::unique_ptr<RunStore> store = options.makeStore(simulation.clock());
  Findings findings;
  RunContext context{.simulation = simulation,
                     .findings = findings,
                     .limits = options.limits,
                     .expectsErrors = options.expectsErrors,
                     .trace = options.trace};
  Lineage lineage("scripted");
  ScriptReport report;
  std::size_t next = 0;
  constexpr std::size_t kLives = 2;
  for (std::size_t life = 0; life < kLives && next < options.script.size() && !findings.any();
       ++life) {
    simulation.run([&] {
      FaultPlan plan;
      if (life == 0) plan.shots.push_back(options.fault);
      Process process(simulation, store->store(), std::move(plan), life, options.sizes,
                      options.cacheBytes);
      // An owner that breaks is followed by another in the same process.
      constexpr std::size_t kOwners = 3;
      for (std::size_t i = 0; i < kOwners && next < options.script.size() && !findings.any(); ++i) {
        Owner owner(context, process, lineage, "life" + std::to_string(life));
        if (owner.open()) owner.follow(options.script, next);
        owner.close();
      }
      process.close();
      report.fired |= life == 0 && process.store().hasFired();
    });
    store->reopen();
  }
  report.opened = context.opened;
  report.laterErrors = context.laterErrors;
  context.limits = {};
  context.expectsErrors = false;
  if (!findings.any()) {
    simulation.run([&] {
      Process process(simulation, store->store(), {}, 0, options.sizes, options.cacheBytes);
      verifyLineage(context, process, lineage);
      process.close();
    });
  }
  if (simulation.network().violation()) findings.add(*simulation.network().violation());
  report.failure = findings.first();
  return report;
}

}  // namespace skep::testing
