#include <skep/skep.h>

struct Room : skep::Actor {
  static void define(skep::Definition<Room>& d) { d.action("say", &Room::say); }
  void say(std::string) {}
};
auto rooms() { return skep::registry<Room>("room"); }
