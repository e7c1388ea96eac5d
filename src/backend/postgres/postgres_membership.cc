#include "skep/backend/postgres/postgres_membership.h"

#include <utility>

namespace skep::backend::postgres {

using store::Incarnation;
using store::NodeInfo;
using store::NodeState;

namespace {

constexpr Duration kAnswerTime = std::chrono::seconds(1);
constexpr std::int64_t kRememberedMs = 24 * 60 * 60 * 1000;  // that ended
constexpr int kRacesMax = 20;

Parameter number(std::uint64_t value) {
  return int8Parameter(static_cast<std::int64_t>(value));
}

std::int64_t milliseconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

Error unknownNode(Incarnation incarnation) {
  return Error{ErrorCode::NotFound,
               "there is no node of incarnation " + std::to_string(incarnation)};
}

// Types are words without spaces.
std::string joinWords(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::vector<std::string> splitWords(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::size_t end = text.find(' ');
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return words;
}

// The columns that RenewNode and ListNodes share.
enum Column : int {
  kIncarnation,
  kState,
  kJoinedMs,
  kProtocolMin,
  kProtocol,
  kBeat,
  kLoad,
  kLeaseLeftMs,
  kListVersion,
  kHasFacts,
  kIsRenewed,
  kName,
  kAddress,
  kZone,
  kVersion,
  kTypes
};

NodeInfo decodeNode(const Row& row) {
  NodeInfo info;
  info.incarnation = row.uint8(kIncarnation);
  info.state = static_cast<NodeState>(row.int8(kState));
  info.joinedMs = row.int8(kJoinedMs);
  info.beat = row.uint8(kBeat);
  info.load = static_cast<std::uint32_t>(row.int8(kLoad));
  info.leaseLeftMs = row.int8(kLeaseLeftMs);
  info.facts.protocolMin = static_cast<std::uint32_t>(row.int8(kProtocolMin));
  info.facts.protocol = static_cast<std::uint32_t>(row.int8(kProtocol));
  info.facts.name = row.bytes(kName);
  info.facts.address = row.bytes(kAddress);
  info.facts.zone = row.bytes(kZone);
  info.facts.version = row.bytes(kVersion);
  info.facts.types = splitWords(row.bytes(kTypes));
  return info;
}

// Nullopt: the node ended while the statement ran, in the middle between its two looks.
Result<std::optional<store::Renewal>> decodeRenewal(const PgResult& result, Incarnation own) {
  store::Renewal renewal;
  bool found = false;
  for (int i = 0; i < rowCount(result); ++i) {
    const Row row = rowAt(result, i);
    const auto state = static_cast<NodeState>(row.int8(kState));
    renewal.version = row.uint8(kListVersion);
    if (row.uint8(kIncarnation) == own) {
      found = true;
      renewal.state = state;
      if (store::isAlive(state) && row.isNull(kIsRenewed)) return std::optional<store::Renewal>();
    }
    if (!row.isNull(kHasFacts)) renewal.changed.push_back(decodeNode(row));
    if (!store::isAlive(state)) continue;
    renewal.beats.push_back({.incarnation = row.uint8(kIncarnation),
                             .beat = row.uint8(kBeat),
                             .load = static_cast<std::uint32_t>(row.int8(kLoad)),
                             .leaseLeftMs = row.int8(kLeaseLeftMs)});
  }
  if (!found) return unknownNode(own);
  return std::optional(std::move(renewal));
}

}  // namespace

// The result of the first call.
Result<PgResult> PostgresMembership::ask(std::vector<Call> calls, IfLost ifLost, const char* what) {
  Request request;
  request.calls = std::move(calls);
  request.lane = Lane::Nodes;
  request.ifLost = ifLost;
  request.timeLimit = kAnswerTime;
  Answer answer = pool_.ask(request);
  if (answer.fate == Fate::Done) return std::move(answer.results.front());
  if (answer.fate == Fate::NotApplied) return std::move(answer.error);
  return Error{ErrorCode::UnknownOutcome,
               std::string(what) + " may or may not have happened: " + answer.error.message};
}

Result<Incarnation> PostgresMembership::join(const store::NodeFacts& facts, Duration lease,
                                             std::uint64_t nonce) {
  SKEP_CHECK_OK(store::checkFacts(facts));
  for (int i = 0; i < kRacesMax; ++i) {
    SKEP_TRY(const PgResult result,
             ask({{Statement::JoinNode,
                   {bytesParameter(facts.name), bytesParameter(facts.address),
                    bytesParameter(facts.zone), bytesParameter(facts.version),
                    bytesParameter(joinWords(facts.types)), number(facts.protocolMin),
                    number(facts.protocol), int8Parameter(milliseconds(lease)), number(nonce)}},
                  {Statement::ForgetNodes, {int8Parameter(kRememberedMs)}}},
                 IfLost::Report, "joining the cluster"));
    const Row row = rowAt(result, 0);
    if (!row.isNull(0)) return row.uint8(0);
    if (row.isNull(1)) continue;
    if (row.int8(4) != 0) return row.uint8(1);
    NodeInfo other;
    other.incarnation = row.uint8(1);
    other.state = static_cast<NodeState>(row.int8(2));
    other.facts.name = facts.name;
    other.facts.address = row.bytes(3);
    return store::nameTaken(other);
  }
  return Error{ErrorCode::Unavailable, "nodes named '" + facts.name + "' come and go all the time"};
}

Result<store::Renewal> PostgresMembership::renew(const store::RenewRequest& request) {
  for (int i = 0; i < kRacesMax; ++i) {
    SKEP_TRY(const PgResult result,
             ask({{Statement::RenewNode,
                   {number(request.incarnation), int8Parameter(milliseconds(request.lease)),
                    number(request.load), number(request.knownVersion)}}},
                 IfLost::Report, "the renewal of the lease"));
    SKEP_TRY(std::optional<store::Renewal> renewal, decodeRenewal(result, request.incarnation));
    if (renewal) return std::move(*renewal);
  }
  return unknownNode(request.incarnation);
}

Result<bool> PostgresMembership::declareDead(Incarnation incarnation, std::uint64_t beat) {
  SKEP_TRY(const PgResult result,
           ask({{Statement::DeclareDead, {number(incarnation), number(beat)}}}, IfLost::Report,
               "the end of a node"));
  return rowAt(result, 0).int8(0) == 1;
}

Status PostgresMembership::advance(Incarnation incarnation, NodeState state) {
  SKEP_CHECK_OK(store::checkAdvance(NodeState::Live, state));
  SKEP_TRY(const PgResult result,
           ask({{Statement::AdvanceNode,
                 {number(incarnation), number(static_cast<std::uint64_t>(state))}}},
               IfLost::Repeat, "the change of a node's state"));
  const Row row = rowAt(result, 0);
  if (row.isNull(0)) return unknownNode(incarnation);
  return store::checkAdvance(static_cast<NodeState>(row.int8(0)), state);
}

Result<std::vector<NodeInfo>> PostgresMembership::nodes() {
  SKEP_TRY(const PgResult result,
           ask({{Statement::ListNodes, {}}}, IfLost::Repeat, "the list of nodes"));
  std::vector<NodeInfo> all;
  for (int i = 0; i < rowCount(result); ++i) all.push_back(decodeNode(rowAt(result, i)));
  return all;
}

}  // namespace skep::backend::postgres
