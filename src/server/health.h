// What a whole server says of itself: /metrics and /ready, the same however it was started.

#pragma once

#include <cstdint>
#include <functional>

#include "skep/actor/host.h"
#include "skep/base/clock.h"
#include "skep/gateway/server.h"
#include "skep/server/engine.h"

namespace skep::server {

/// Sets what the gateway answers there. All that is given outlives the gateway; `gateway`: what that has counted, asked
/// once it listens; `loopsHeld`: how often code did not give its loop back.
void addHealth(
    gateway::ServerOptions& options, Engine& engine, const actor::Host& host, Clock& clock,
    std::function<gateway::ServerStats()> gateway,
    std::function<std::uint64_t()> loopsHeld = [] { return std::uint64_t{0}; });

}  // namespace skep::server
