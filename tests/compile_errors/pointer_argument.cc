#include <skep/skep.h>

struct Room : skep::Actor {
  static void define(skep::Definition<Room>& d) { d.action("say", &Room::say); }
  void say(skep::Context&, const char*) {}
};
auto rooms() { return skep::registry<Room>("room"); }
