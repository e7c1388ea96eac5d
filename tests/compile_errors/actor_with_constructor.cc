#include <skep/skep.h>

struct Room : skep::Actor {
  explicit Room(int) {}
  static void define(skep::Definition<Room>&) {}
};
auto rooms() { return skep::registry<Room>("room"); }
