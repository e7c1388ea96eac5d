#include "skep/backend/postgres/session.h"

#include <utility>
#include <vector>

#include "skep/backend/postgres/pg_error.h"
#include "skep/backend/postgres/schema.h"
#include "skep/backend/postgres/statements.h"
#include "skep/base/log.h"
#include "skep/fiber/sync.h"

namespace skep::backend::postgres {
namespace {

constexpr int kServerVersionMin = 140000;
constexpr std::chrono::seconds kInstallTime(30);  // others may be at it, and we wait for them

PGconn* startConnecting(const ConnectionInfo& info) {
  std::vector<const char*> keywords;
  std::vector<const char*> values;
  for (const auto& [keyword, value] : info.parameters) {
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  return PQconnectStartParams(keywords.data(), values.data(), 0);
}

void ignoreNotice(void*, const char* message) {
  logDebug("postgres", "notice", {{"text", std::string_view(message)}});
}

}  // namespace

Session::Session(fiber::Loop& loop, fiber::ThreadPool& resolver, const SessionSettings& settings)
    : loop_(loop), resolver_(resolver), settings_(settings) {}

Result<PgConnection> Session::connect(IfNoSchema ifNoSchema, fiber::AbortToken abort) {
  abort_ = std::move(abort);
  deadline_ = loop_.clock().monotonic() + settings_.connectTimeout;
  SKEP_CHECK_OK(establish());
  SKEP_CHECK_OK(checkServer());
  SKEP_CHECK_OK(checkVersion(ifNoSchema));
  const auto timeout =
      std::chrono::duration_cast<std::chrono::milliseconds>(settings_.requestTimeout);
  SKEP_CHECK_OK(run(sessionScript(settings_.schema, timeout.count())));
  SKEP_CHECK_OK(run(prepareScript()));
  if (settings_.isSnapshot) SKEP_CHECK_OK(run(snapshotScript()));
  return std::move(connection_);
}

Status Session::establish() {
  connection_.reset(
      fiber::offload(resolver_, [this] { return startConnecting(settings_.server); }));
  if (!connection_) return Error{ErrorCode::Internal, "libpq has no memory for a connection"};
  PQsetErrorVerbosity(connection_.get(), PQERRORS_VERBOSE);
  PQsetNoticeProcessor(connection_.get(), ignoreNotice, nullptr);
  PostgresPollingStatusType wanted =
      PQstatus(connection_.get()) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
  while (wanted != PGRES_POLLING_OK) {
    if (wanted == PGRES_POLLING_FAILED)
      return connectError(connection_.get(), settings_.server.place);
    SKEP_CHECK_OK(waitForSocket(wanted == PGRES_POLLING_READING ? Descriptor::wait_read
                                                                : Descriptor::wait_write));
    // It may go on to the next host of the URL, and look up its address.
    wanted = fiber::offload(resolver_, [this] { return PQconnectPoll(connection_.get()); });
  }
  PQsetErrorVerbosity(connection_.get(), PQERRORS_DEFAULT);
  if (PQsetnonblocking(connection_.get(), 1) != 0) {
    return Error{ErrorCode::Internal, "libpq refuses to be non-blocking"};
  }
  return {};
}

Status Session::checkServer() {
  const int version = PQserverVersion(connection_.get());
  if (version >= kServerVersionMin) return {};
  return Error{ErrorCode::Unsupported, "PostgreSQL at " + settings_.server.place + " has version " +
                                           std::to_string(version / 10000) + "; Skep needs " +
                                           std::to_string(kServerVersionMin / 10000) + " or newer"};
}

Status Session::checkVersion(IfNoSchema ifNoSchema) {
  SKEP_TRY(const std::string exists, queryCell(existsQuery(settings_.schema)));
  std::string version;
  if (exists == "t") {
    SKEP_TRY(version, queryCell(versionQuery(settings_.schema)));
  }
  const bool upgrades = canUpgrade(version) && ifNoSchema == IfNoSchema::Create;
  if (exists != "t" || upgrades) {
    if (ifNoSchema == IfNoSchema::Fail) {
      return Error{ErrorCode::VersionMismatch, "the schema '" + settings_.schema +
                                                   "' is gone from PostgreSQL at " +
                                                   settings_.server.place};
    }
    deadline_ = deadline_ + kInstallTime;
    SKEP_CHECK_OK(run(installScript(settings_.schema)));
    SKEP_TRY(version, queryCell(versionQuery(settings_.schema)));
  }
  if (version == std::to_string(kSchemaVersion)) return {};
  return Error{ErrorCode::VersionMismatch,
               "the schema '" + settings_.schema + "' in PostgreSQL at " + settings_.server.place +
                   " has version " + version + "; this build of Skep works with version " +
                   std::to_string(kSchemaVersion)};
}

Result<std::string> Session::queryCell(const std::string& sql) {
  if (PQsendQuery(connection_.get(), sql.c_str()) == 0) {
    return lostConnectionError(connection_.get(), settings_.server.place);
  }
  SKEP_CHECK_OK(flush());
  std::string cell;
  for (;;) {
    while (PQisBusy(connection_.get()) != 0) {
      SKEP_CHECK_OK(waitForSocket(Descriptor::wait_read));
      if (PQconsumeInput(connection_.get()) == 0) {
        return lostConnectionError(connection_.get(), settings_.server.place);
      }
    }
    const PgResult result(PQgetResult(connection_.get()));
    if (!result) return cell;
    switch (PQresultStatus(result.get())) {
      case PGRES_TUPLES_OK:
        if (rowCount(result) == 1) cell = rowAt(result, 0).bytes(0);
        break;
      case PGRES_COMMAND_OK:
        break;
      default:
        return statementError(result.get(), settings_.server.place);
    }
  }
}

Status Session::run(const std::string& sql) {
  SKEP_TRY([[maybe_unused]] const std::string ignored, queryCell(sql));
  return {};
}

Status Session::flush() {
  for (;;) {
    const int left = PQflush(connection_.get());
    if (left == 0) return {};
    if (left < 0) return lostConnectionError(connection_.get(), settings_.server.place);
    // What the server says meanwhile waits: the scripts are small, and so are the answers to them.
    SKEP_CHECK_OK(waitForSocket(Descriptor::wait_write));
  }
}

// Suspends until the socket is ready, the deadline has passed or the store closes.
Status Session::waitForSocket(Descriptor::wait_type direction) {
  if (abort_.isAborted()) return Error{ErrorCode::Aborted, "the store is closing"};
  struct Wait {
    bool ready = false;
    bool timedOut = false;
    fiber::Event changed;
  };
  // Shared: the descriptor's handler runs once more after it was cancelled, when we may be gone.
  const auto wait = std::make_shared<Wait>();
  // A descriptor for each wait: libpq may close the socket and go on with another one in between.
  Descriptor descriptor(loop_.context(), PQsocket(connection_.get()));
  descriptor.async_wait(direction, [wait](boost::system::error_code) {
    wait->ready = true;
    wait->changed.notifyAll();
  });
  fiber::Timer timer(loop_);
  timer.callAfter(deadline_ - loop_.clock().monotonic(), [wait] {
    wait->timedOut = true;
    wait->changed.notifyAll();
  });
  const std::uint64_t onAbort = abort_.onAbort([wait] { wait->changed.notifyAll(); });
  fiber::waitUntil(wait->changed,
                   [&] { return wait->ready || wait->timedOut || abort_.isAborted(); });
  abort_.remove(onAbort);
  descriptor.release();  // the socket is libpq's to close
  if (abort_.isAborted()) return Error{ErrorCode::Aborted, "the store is closing"};
  if (wait->ready) return {};
  const auto limit =
      std::chrono::duration_cast<std::chrono::milliseconds>(settings_.connectTimeout);
  return Error{ErrorCode::Unavailable, "PostgreSQL at " + settings_.server.place +
                                           " did not accept a connection within " +
                                           std::to_string(limit.count()) + " ms"};
}

}  // namespace skep::backend::postgres
