// What an actor's code can do beside SQL and events, each by a number and arguments in CBOR: Command in
// native.ts has the list. One definition for both sides keeps the addon's own interface small.

#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

#include "operations.h"

namespace skep::node {

class CommandOperation final : public Asked {
 public:
  CommandOperation(Run& run, std::int64_t command, nlohmann::json arguments)
      : run_(run), command_(command), arguments_(std::move(arguments)) {}

 protected:
  call::Outcome<std::monostate> perform(actor::Invocation& invocation) override;
  napi_value result(napi_env env) override;

 private:
  Run& run_;  // lives as long as its fiber, on which this is done
  const std::int64_t command_;
  nlohmann::json arguments_;
  nlohmann::json result_;
};

}  // namespace skep::node
