// What an awake actor costs in memory: each has a table, a row, and a state, and its database is open.
//
//   build/bench/actor_memory_bench            2,000 actors
//   build/bench/actor_memory_bench 10000      so many
//
// "just used" is right after an action of each with two statements, "idle" five seconds later, "asleep" what is left of
// waking each of them, without a write, once all of them sleep again: the store is in memory here, and what is written stays
// there. Bytes are those that the process has from malloc, its caches of pages among them.

#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "databases.h"
#include "skep/actor/host.h"
#include "skep/api/definition.h"
#include "skep/backend/memory/memory_store.h"
#include "skep/store/commit_pipeline.h"

namespace skep::bench {
namespace {

struct Note : Actor {
  std::int64_t edits_ = 0;

  static void define(Definition<Note>& d) {
    d.migration(1, "CREATE TABLE line(id INTEGER PRIMARY KEY, text TEXT)");
    d.state(&Note::edits_);
    d.options().sleepAfter = std::chrono::seconds(10);
    d.action("write", &Note::write).action("read", &Note::read);
  }
  std::int64_t write(Context& c, std::string text) {
    c.execute("INSERT INTO line(text) VALUES (?)", text);
    ++edits_;
    return read(c);
  }
  std::int64_t read(Context& c) { return c.queryOne<std::int64_t>("SELECT count(*) FROM line"); }
};

double mallocBytes() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd);
}

void measure(std::size_t count) {
  SystemClock clock;
  fiber::runOnFreshLoop(clock, [&](fiber::Loop& loop) {
    backend::MemoryStore store(clock);
    store::CommitPipeline pipeline(loop, store);
    vfs::PageCache cache(1 << 20);  // as of a node with far more actors than memory
    vfs::Environment environment{loop, store, pipeline, cache, {}};
    actor::Registry registry;
    must(registry.add(actorType<Note>("note")));
    actor::Host host(registry, {&environment});
    host.start();
    const auto callAll = [&](const char* action, const char* arguments) {
      inParallel(loop, count, 64, [&](std::size_t i) {
        const call::Reply reply =
            host.run({.actor = {"note", {std::to_string(i)}},
                      .action = action,
                      .arguments = {.encoding = call::Encoding::Json, .bytes = arguments}});
        SKEP_CHECK(std::holds_alternative<call::Payload>(reply));
      });
    };
    const auto writeAll = [&] { callAll("write", R"(["a line"])"); };
    const auto sleepAll = [&] {
      while (host.stats().actorsAwake != 0) fiber::sleepFor(std::chrono::milliseconds(100));
    };
    const auto each = [&](double bytes) { return bytes / static_cast<double>(count) / 1024; };
    writeAll();  // creates them: what the store keeps of them is not theirs
    sleepAll();
    const double asleep = mallocBytes();
    writeAll();
    const double used = mallocBytes();
    fiber::sleepFor(std::chrono::seconds(5));
    const double idle = mallocBytes();
    SKEP_CHECK(host.stats().actorsAwake == count, "some sleep already: use fewer");
    sleepAll();
    const double before = mallocBytes();
    callAll("read", "[]");
    sleepAll();
    std::printf("%zu actors, KiB each: just used %.1f, idle %.1f, asleep %.3f\n", count,
                each(used - asleep), each(idle - asleep), each(mallocBytes() - before));
    host.close();
    pipeline.close();
  });
}

}  // namespace
}  // namespace skep::bench

int main(int argc, char** argv) {
  skep::bench::measure(argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 2000);
}
