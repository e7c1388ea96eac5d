// Session: one connection to the server while it is being set up, statement by statement.
//
// It connects without blocking the loop (name resolution goes to a thread), checks the version of
// the schema, creates the schema when asked, sets the session's settings and prepares the
// statements. Afterwards a Pipeline takes the connection over.
//
// Threading: one loop's. connect() suspends, for at most its timeout.

#pragma once

#include <libpq-fe.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <memory>
#include <string>

#include "skep/backend/postgres/connection_info.h"
#include "skep/backend/postgres/pg_binary.h"
#include "skep/base/result.h"
#include "skep/fiber/loop.h"
#include "skep/fiber/thread_pool.h"
#include "skep/fiber/timer.h"

namespace skep::backend::postgres {

struct PgConnectionDeleter {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
using PgConnection = std::unique_ptr<PGconn, PgConnectionDeleter>;

enum class IfNoSchema : std::uint8_t { Create, Fail };

struct SessionSettings {
  ConnectionInfo server;
  std::string schema;
  Duration connectTimeout{};
  Duration requestTimeout{};
  bool isSnapshot = false;  // one read-only transaction from the start on
};

class Session {
 public:
  /// `resolver` runs the calls of libpq that may look up a host name.
  Session(fiber::Loop& loop, fiber::ThreadPool& resolver, const SessionSettings& settings);

  /// A connection that is ready to serve, or why there is none: Unavailable, AccessDenied, NotFound
  /// (no such database), VersionMismatch, ReadOnly (of a schema that must be created), Overloaded,
  /// Unsupported, Aborted.
  Result<PgConnection> connect(IfNoSchema ifNoSchema, fiber::AbortToken abort);

 private:
  using Descriptor = boost::asio::posix::stream_descriptor;

  Status establish();
  Status checkServer();
  Status checkVersion(IfNoSchema ifNoSchema);
  Result<std::string> queryCell(const std::string& sql);
  Status run(const std::string& sql);
  Status flush();
  Status waitForSocket(Descriptor::wait_type direction);

  fiber::Loop& loop_;
  fiber::ThreadPool& resolver_;
  const SessionSettings& settings_;
  PgConnection connection_;
  fiber::AbortToken abort_;
  MonotonicTime deadline_;
};

}  // namespace skep::backend::postgres
