#include <skep/skep.h>

struct Room : skep::Actor {
  static void define(skep::Definition<Room>& d) { d.queue("jobs", &Room::work); }
  void work(skep::Context&) {}
};
auto rooms() { return skep::registry<Room>("room"); }
