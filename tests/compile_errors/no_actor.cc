#include <skep/skep.h>

struct Room {
  static void define(skep::Definition<Room>&) {}
};
auto rooms() { return skep::registry<Room>("room"); }
