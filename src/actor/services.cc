#include "skep/actor/services.h"

#include "skep/actor/actor_instance.h"

namespace skep::actor {

Services::Services(ActorInstance& instance)
    : keyValue_(instance.database(), tables_, instance.type().options.keyValue),
      schedule_(instance.database(), tables_, instance.type().options.schedule),
      queues_(instance.database(), tables_, instance.type().queues, instance.clock()),
      background_(instance),
      dispatcher_(instance, schedule_, queues_, background_) {}

void Services::start() {
  dispatcher_.start();
  background_.start();
}

void Services::stop() {
  dispatcher_.stop();
  background_.stop();
}

}  // namespace skep::actor
