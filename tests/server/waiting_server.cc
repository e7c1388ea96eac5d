// A server of actors whose calls last as long as the caller wants, write what it wants, and fail.

#include <skep/skep.h>

#include <chrono>
#include <stdexcept>
#include <string>

struct Waiting : skep::Actor {
  static void define(skep::Definition<Waiting>& d) {
    d.migration(1, "CREATE TABLE note(text TEXT NOT NULL)");
    d.action("wait", &Waiting::wait).action("count", &Waiting::count);
    d.action("note", &Waiting::note);
    d.action("fail", &Waiting::fail).action("failElsewhere", &Waiting::failElsewhere);
  }
  void wait(skep::Context& c, std::int64_t seconds) {
    ++count_;
    c.sleepFor(std::chrono::seconds(seconds));
  }
  std::int64_t count(skep::Context&) { return count_; }

  void note(skep::Context& c, std::string text) { c.execute("INSERT INTO note VALUES (?)", text); }
  void fail(skep::Context&) { throw std::runtime_error("its secret\nis out"); }
  void failElsewhere(skep::Context& c) { c.call("waiting", {"elsewhere"}, "fail"); }

 private:
  std::int64_t count_ = 0;
};

int main(int argc, char** argv) {
  return skep::serve(argc, argv, skep::registry<Waiting>("waiting"));
}
