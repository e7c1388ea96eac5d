#include <skep/skep.h>

struct Hall {
  void say(skep::Context&) {}
};
struct Room : skep::Actor {
  static void define(skep::Definition<Room>& d) { d.action("say", &Hall::say); }
};
auto rooms() { return skep::registry<Room>("room"); }
