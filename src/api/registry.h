// registry(): the actor types of a program, each under its name.
//
//   skep::Registry types = skep::registry<Counter, ChatRoom>("counter", "chatRoom");

#pragma once

#include "skep/actor/actor_type.h"
#include "skep/api/definition.h"
#include "skep/base/check.h"

namespace skep {

using Registry = actor::Registry;

/// A bad name ends the process with a message.
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

}  // namespace skep
