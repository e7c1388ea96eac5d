#include "skep/actor/actor_type.h"

#include <utility>

#include "skep/call/address.h"

namespace skep::actor {

Status Registry::add(ActorType type) {
  SKEP_TRY([[maybe_unused]] const call::ActorAddress checked,
           call::ActorAddress::make(type.name, {"key"}));
  std::int64_t version = 0;
  for (const Migration& migration : type.migrations) {
    if (migration.version <= version) {
      return Error{ErrorCode::InvalidArgument,
                   "actor type '" + type.name + "': migration " +
                       std::to_string(migration.version) + " stands behind migration " +
                       std::to_string(version) + "; versions start at 1 and grow"};
    }
    version = migration.version;
  }
  std::string name = type.name;
  if (!types_.try_emplace(name, std::move(type)).second) {
    return Error{ErrorCode::InvalidArgument, "there are two actor types named '" + name + "'"};
  }
  return {};
}

const ActorType* Registry::find(std::string_view name) const {
  const auto found = types_.find(name);
  return found == types_.end() ? nullptr : &found->second;
}

std::vector<std::string> Registry::names() const {
  std::vector<std::string> names;
  for (const auto& [name, type] : types_) names.push_back(name);
  return names;
}

}  // namespace skep::actor
