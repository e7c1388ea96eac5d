#include "skep/backend/postgres/pipeline.h"

#include <cstring>

#include "skep/backend/postgres/pg_error.h"
#include "skep/base/check.h"

namespace skep::backend::postgres {
namespace {

using Descriptor = boost::asio::posix::stream_descriptor;

bool endsSession(const PGresult* result) {
  const char* severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  return severity != nullptr &&
         (std::strcmp(severity, "FATAL") == 0 || std::strcmp(severity, "PANIC") == 0);
}

}  // namespace

Pipeline::Pipeline(fiber::Loop& loop, PgConnection connection, std::string place, Events events)
    : loop_(loop),
      connection_(std::move(connection)),
      place_(std::move(place)),
      events_(std::move(events)),
      descriptor_(loop.context(), PQsocket(connection_.get())),
      self_(std::make_shared<Pipeline*>(this)) {
  SKEP_CHECK(PQenterPipelineMode(connection_.get()) == 1, "the connection is not idle");
  waitReadable();
}

Pipeline::~Pipeline() {
  SKEP_CHECK(inFlight_.empty(), "a pipeline ends while requests are in flight");
  *self_ = nullptr;
  letGoOfSocket();
}

// Before libpq closes the socket, or at once when it has (as it does when the server hangs up): the
// kernel gives its number to the next connection, whose registration with the loop a later
// release() would take away.
void Pipeline::letGoOfSocket() {
  if (descriptor_.is_open()) descriptor_.release();
}

void Pipeline::send(Request& request) {
  SKEP_CHECK(!broken_, "a broken pipeline sends nothing");
  if (inFlight_.empty()) oldestSince_ = loop_.clock().monotonic();
  inFlight_.emplace_back().request = &request;
  for (const Call& call : request.calls) sendCall(call);
  if (!broken_ && PQpipelineSync(connection_.get()) == 0) {
    breakOff(lostConnectionError(connection_.get(), place_));
  }
  if (!broken_) flush();
}

void Pipeline::sendCall(const Call& call) {
  if (broken_) return;
  std::vector<const char*> values;
  std::vector<int> lengths;
  for (const Parameter& parameter : call.parameters) {
    values.push_back(parameter ? parameter->data() : nullptr);
    lengths.push_back(parameter ? static_cast<int>(parameter->size()) : 0);
  }
  const std::vector<int> formats(values.size(), 1);
  if (PQsendQueryPrepared(connection_.get(), statementName(call.statement),
                          static_cast<int>(values.size()), values.data(), lengths.data(),
                          formats.data(), 1) == 0) {
    breakOff(lostConnectionError(connection_.get(), place_));
  }
}

void Pipeline::flush() {
  if (writing_) return;  // when the socket takes more
  const int left = PQflush(connection_.get());
  if (left < 0) return breakOff(lostConnectionError(connection_.get(), place_));
  if (left > 0) waitWritable();
}

void Pipeline::waitWritable() {
  writing_ = true;
  descriptor_.async_wait(Descriptor::wait_write, [self = self_](boost::system::error_code failed) {
    Pipeline* const pipeline = *self;
    if (pipeline == nullptr || pipeline->broken_) return;
    pipeline->writing_ = false;
    if (!failed) pipeline->flush();
  });
}

void Pipeline::waitReadable() {
  descriptor_.async_wait(Descriptor::wait_read, [self = self_](boost::system::error_code failed) {
    Pipeline* const pipeline = *self;
    if (pipeline == nullptr || pipeline->broken_) return;
    if (failed) return pipeline->breakOff(Error{ErrorCode::Unavailable, failed.message()});
    pipeline->receive();
    if (!pipeline->broken_) pipeline->waitReadable();
  });
}

void Pipeline::receive() {
  if (PQconsumeInput(connection_.get()) == 0) {
    return breakOff(lostConnectionError(connection_.get(), place_));
  }
  // An end of a call's results (null) is followed by something else, or by nothing until more
  // arrives.
  bool afterNull = false;
  while (!broken_ && !inFlight_.empty() && PQisBusy(connection_.get()) == 0) {
    PgResult result(PQgetResult(connection_.get()));
    if (!result) {
      if (std::exchange(afterNull, true)) return;
      ++inFlight_.front().callsDone;
      continue;
    }
    afterNull = false;
    takeResult(std::move(result));
  }
}

void Pipeline::takeResult(PgResult result) {
  InFlight& oldest = inFlight_.front();
  switch (PQresultStatus(result.get())) {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
      oldest.results.push_back(std::move(result));
      return;
    case PGRES_PIPELINE_SYNC:
      return finishOldest();
    case PGRES_PIPELINE_ABORTED:
      return;  // a call after the one that failed
    default:
      return noteError(oldest, result);
  }
}

void Pipeline::noteError(InFlight& oldest, const PgResult& result) {
  if (endsSession(result.get())) {
    serverLeft_ = true;
    whyBroken_ = statementError(result.get(), place_);
  }
  if (oldest.failed) return;
  oldest.failed = true;
  oldest.failedInCall = oldest.callsDone < oldest.request->calls.size();
  oldest.failure.error = statementError(result.get(), place_);
  oldest.failure.sqlState = sqlStateOf(result.get());
}

// The server has passed the synchronisation point: the transaction is over, and its outcome known.
void Pipeline::finishOldest() {
  InFlight done = std::move(inFlight_.front());
  inFlight_.pop_front();
  oldestSince_ = loop_.clock().monotonic();
  Answer answer = std::move(done.failure);
  answer.fate = Fate::NotApplied;
  if (!done.failed) {
    SKEP_CHECK(done.results.size() == done.request->calls.size(),
               "%zu results of %zu statements at the end of a transaction", done.results.size(),
               done.request->calls.size());
    answer.fate = Fate::Done;
    answer.results = std::move(done.results);
  }
  events_.onAnswer(*done.request, std::move(answer));
}

bool Pipeline::isOverdue() const {
  if (inFlight_.empty()) return false;
  return loop_.clock().monotonic() - oldestSince_ > inFlight_.front().request->timeLimit;
}

void Pipeline::breakOff(Error why) {
  if (std::exchange(broken_, true)) return;
  if (!serverLeft_) whyBroken_ = std::move(why);
  letGoOfSocket();
  events_.onBreak();
}

std::vector<std::pair<Request*, Answer>> Pipeline::takeLost() {
  // An error within a call rolls its transaction back. When that error ended the session, the
  // server has read nothing of what came behind it either. Of all else nothing is known.
  std::vector<std::pair<Request*, Answer>> lost;
  const bool nothingFollowed = serverLeft_ && !inFlight_.empty() && inFlight_.front().failedInCall;
  for (InFlight& entry : inFlight_) {
    const bool rolledBack = entry.failed && entry.failedInCall;
    Answer answer = std::move(entry.failure);
    answer.fate = rolledBack || nothingFollowed ? Fate::NotApplied : Fate::Unknown;
    if (!rolledBack) answer.error = whyBroken_;
    lost.emplace_back(entry.request, std::move(answer));
  }
  inFlight_.clear();
  return lost;
}

}  // namespace skep::backend::postgres
