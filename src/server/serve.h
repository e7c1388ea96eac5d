// serve(): a whole server around some actor types: store, loops, host, HTTP.
//
//   int main(int argc, char** argv) {
//     return skep::serve(argc, argv, skep::registry<Counter, ChatRoom>("counter", "chatRoom"));
//   }
//
// Options of the command line: --store, --listen, --help; SKEP_STORE and SKEP_LISTEN in the
// environment. Runs until SIGINT or SIGTERM, then lets requests under way end and puts the actors to
// sleep. Returns the process's exit status.

#pragma once

#include "skep/actor/actor_type.h"
#include "skep/api/definition.h"

namespace skep {

using Registry = actor::Registry;

/// A registry of actor types, each under its name. A bad name ends the process with a message.
template <class... Actors, class... Names>
Registry registry(Names... names) {
  static_assert(sizeof...(Actors) == sizeof...(Names), "each actor type has one name");
  Registry types;
  const auto add = [&](actor::ActorType type) {
    const Status added = types.add(std::move(type));
    SKEP_CHECK(added.ok(), "%s", added.error().message.c_str());
  };
  (add(actorType<Actors>(names)), ...);
  return types;
}

int serve(int argc, char** argv, Registry registry);

}  // namespace skep
