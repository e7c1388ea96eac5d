// What a server measures, in Prometheus' text format (exposition format 0.0.4). All names are in
// docs/metrics.md.

#pragma once

#include <string>

#include "skep/actor/host.h"
#include "skep/gateway/server.h"
#include "skep/store/commit_pipeline.h"
#include "skep/vfs/page_cache.h"

namespace skep::server {

struct Measurements {
  actor::HostStats host;
  gateway::ServerStats gateway;
  store::CommitPipelineStats pipeline;
  vfs::CacheStats cache;
  std::uint64_t loopsHeld = 0;
  std::size_t residentBytes = 0;
  double uptimeSeconds = 0;
};

std::string formatMetrics(const Measurements& measured);

}  // namespace skep::server
