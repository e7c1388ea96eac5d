// PostgresOptions: where the database server is, and the bounds within which the store waits for
// it.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace skep::backend {

struct PostgresOptions {
  /// "postgresql://user:password@host:port/database?…", or libpq's "host=… dbname=…". What it
  /// leaves out comes from libpq's environment variables and password file. Connect to the server
  /// itself or to a pooler in session mode: the store keeps prepared statements and settings in its
  /// connections.
  std::string url;
  /// The PostgreSQL schema that holds the tables. Several stores may share a database under
  /// different ones.
  std::string schema = "skep";

  /// Writes (claims too) and reads have connections of their own, so that a long read does not hold
  /// up commits. A connection runs one transaction at a time: more of them overlap more waits for
  /// the disk.
  std::size_t writeConnections = 3;
  std::size_t readConnections = 2;
  /// Requests handed to one connection before the first has been answered.
  std::size_t requestsInFlightMax = 4;
  /// Requests of each kind that wait for a connection; beyond it a call fails with Overloaded.
  std::size_t requestsQueuedMax = 10'000;

  /// How long making a connection may take, and how long a call waits for a store without any.
  std::int64_t connectTimeoutMs = 5'000;
  /// How long the server may take to answer a request, which grows with the size of what is written;
  /// and how long a request may wait for its turn, which does not.
  std::int64_t requestTimeoutMs = 10'000;
};

}  // namespace skep::backend
