// A server of actors whose calls last as long as the caller wants.

#include <skep/skep.h>

#include <chrono>

struct Waiting : skep::Actor {
  static void define(skep::Definition<Waiting>& d) {
    d.action("wait", &Waiting::wait).action("count", &Waiting::count);
  }
  void wait(skep::Context& c, std::int64_t seconds) {
    ++count_;
    c.sleepFor(std::chrono::seconds(seconds));
  }
  std::int64_t count(skep::Context&) { return count_; }

 private:
  std::int64_t count_ = 0;
};

int main(int argc, char** argv) {
  return skep::serve(argc, argv, skep::registry<Waiting>("waiting"));
}
