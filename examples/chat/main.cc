// The server of the demo: chat rooms, and a counter for each key.
//
//   build/examples/chat --store memory: --pages examples/chat/pages
//
// Then open http://localhost:6420 in two windows, or
//
//   curl -X POST localhost:6420/actors/chatRoom/lobby/actions/send -d '["hello"]'

#include "chat.h"

struct Counter : skep::Actor {
  static void define(skep::Definition<Counter>& d) {
    d.state(&Counter::value);
    d.action("increment", &Counter::increment);
  }
  std::int64_t increment(skep::Context&, std::int64_t by) { return value += by; }

  std::int64_t value = 0;
};

int main(int argc, char** argv) {
  return skep::serve(argc, argv, skep::registry<ChatRoom, Counter>("chatRoom", "counter"));
}
