#include "skep/server/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <utility>
#include <vector>

namespace skep::server {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

class Families {
 public:
  void counter(std::string name, std::string help, double value) {
    add(std::move(name), std::move(help), MetricType::Counter).counter.value = value;
  }
  void gauge(std::string name, std::string help, double value) {
    add(std::move(name), std::move(help), MetricType::Gauge).gauge.value = value;
  }
  void histogram(std::string name, std::string help, const LatencyHistogram::Counts& counts) {
    auto& histogram = add(std::move(name), std::move(help), MetricType::Histogram).histogram;
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < LatencyHistogram::kBoundsUs.size(); ++i) {
      total += counts.each[i];
      histogram.bucket.push_back(
          {.cumulative_count = total,
           .upper_bound = static_cast<double>(LatencyHistogram::kBoundsUs[i]) / 1e6});
    }
    histogram.sample_count = total + counts.each.back();
    histogram.sample_sum = std::chrono::duration<double>(counts.sum).count();
  }
  std::string text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  ClientMetric& add(std::string name, std::string help, MetricType type) {
    families_.push_back(
        {.name = std::move(name), .help = std::move(help), .type = type, .metric = {{}}});
    return families_.back().metric.front();
  }
  std::vector<MetricFamily> families_;
};

template <class Number>
double number(Number value) {
  return static_cast<double>(value);
}

}  // namespace

std::string formatMetrics(const Measurements& m) {
  Families f;
  f.gauge("skep_actors_awake", "Actors that are awake in this process", number(m.host.actorsAwake));
  f.counter("skep_loop_held_total", "Times code held an event loop for longer than a second",
            number(m.loopsHeld));
  f.counter("skep_actor_wakes_total", "Times an actor woke, creations included",
            number(m.host.wakes));
  f.counter("skep_actor_creations_total", "Actors created", number(m.host.creations));
  f.counter("skep_actor_broken_total", "Actors that ended because a commit failed",
            number(m.host.broken));
  f.counter("skep_actions_total", "Actions that were run", number(m.host.actions));
  f.counter("skep_actions_failed_total", "Actions that ended with a failure",
            number(m.host.actionsFailed));
  f.histogram("skep_action_seconds", "From an action's arrival to its durable reply",
              m.host.actionTime);
  f.histogram("skep_actor_wake_seconds", "Time to wake an actor", m.host.wakeTime);

  f.gauge("skep_connections", "Open client connections", number(m.gateway.connections));
  f.counter("skep_http_requests_total", "HTTP requests", number(m.gateway.requests));

  f.gauge("skep_websockets", "Open WebSockets", number(m.gateway.webSockets));
  f.counter("skep_websocket_messages_total", "Messages of clients over WebSockets",
            number(m.gateway.messages));

  f.counter("skep_commits_total", "Commits that the store has reported", number(m.pipeline.writes));
  f.counter("skep_commits_failed_total", "Commits that the store has reported as failed",
            number(m.pipeline.writesFailed));
  f.counter("skep_commit_batches_total", "Store transactions that carried them",
            number(m.pipeline.batches));
  f.counter("skep_commit_bytes_total", "Bytes of commits", number(m.pipeline.bytes));
  f.counter("skep_commit_seconds_total", "Sum of the time from each commit to the store's report",
            std::chrono::duration<double>(m.pipeline.latencySum).count());
  f.gauge("skep_commits_queued", "Commits that wait for a batch", number(m.pipeline.writesQueued));
  f.gauge("skep_commits_in_flight", "Commits that the store works on",
          number(m.pipeline.writesInFlight));

  f.counter("skep_page_cache_hits_total", "Pages found in memory", number(m.cache.hits));
  f.counter("skep_page_cache_misses_total", "Pages read from the store", number(m.cache.misses));
  f.counter("skep_page_cache_evictions_total", "Pages dropped for others",
            number(m.cache.evictions));
  f.gauge("skep_page_cache_bytes", "Bytes of pages in memory", number(m.cache.bytes));
  f.gauge("skep_page_cache_budget_bytes", "What those may take", number(m.cache.budgetBytes));

  f.gauge("process_resident_memory_bytes", "Resident memory of the process",
          number(m.residentBytes));
  f.gauge("skep_uptime_seconds", "Time since the server started", m.uptimeSeconds);
  return f.text();
}

}  // namespace skep::server
