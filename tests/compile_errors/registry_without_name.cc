#include <skep/skep.h>

struct Room : skep::Actor {
  static void define(skep::Definition<Room>&) {}
};
auto rooms() { return skep::registry<Room>(); }
