#include <skep/skep.h>

struct Room : skep::Actor {
  static void define(skep::Definition<Room>& d) { d.action("say", &Room::say); }
  struct Message {
    std::string text;
  };
  void say(skep::Context& c) { c.execute("INSERT INTO message VALUES (?)", Message{"hello"}); }
};
auto rooms() { return skep::registry<Room>("room"); }
