// A counter for each key.
//
//   build/examples/counter --store memory:
//   curl -X POST localhost:6420/actors/counter/my-counter/actions/increment -d '[5]'

#include <skep/skep.h>

struct Counter : skep::Actor {
  static void define(skep::Definition<Counter>& d) {
    d.migration(1, "CREATE TABLE change(at INTEGER PRIMARY KEY, by INTEGER NOT NULL)");
    d.action("increment", &Counter::increment);
    d.action("value", &Counter::value);
  }

  std::int64_t increment(skep::Context& c, std::int64_t by) {
    c.execute("INSERT INTO change(by) VALUES (?)", by);
    return value(c);
  }
  std::int64_t value(skep::Context& c) {
    return c.queryOne<std::int64_t>("SELECT coalesce(sum(by), 0) FROM change");
  }
};

int main(int argc, char** argv) {
  return skep::serve(argc, argv, skep::registry<Counter>("counter"));
}
