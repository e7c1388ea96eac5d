// RawTable: what Skep on PostgreSQL is measured beside.
//
// libpq without anything of ours, except for the encoding of arrays: one INSERT … SELECT FROM
// unnest(…) of a batch of records into a table (id, txid, record) with a primary key, one
// synchronous transaction a batch.

#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>

#include "skep/backend/postgres/pg_binary.h"
#include "skep/base/bytes.h"

namespace skep::bench {

inline void must(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

inline double secondsOf(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

inline Bytes noise(std::size_t size, std::uint64_t seed) {
  Bytes bytes(size);
  for (std::byte& byte : bytes) {
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    byte = static_cast<std::byte>(seed >> 56);
  }
  return bytes;
}

/// libpq without anything of ours, except for the encoding of arrays.
class RawTable {
 public:
  RawTable(const std::string& url, std::size_t recordBytes)
      : connection_(PQconnectdb(url.c_str()), PQfinish), record_(noise(recordBytes, 1)) {
    run("SET client_min_messages TO warning");
    run("CREATE TABLE IF NOT EXISTS raw (id bigint, txid bigint, record bytea, PRIMARY KEY (id, "
        "txid))");
    run("ALTER TABLE raw ALTER COLUMN record SET STORAGE EXTERNAL");
    run("SET plan_cache_mode TO force_generic_plan");
    run("SET synchronous_commit TO on");
    run("PREPARE put AS INSERT INTO raw SELECT * FROM unnest($1::int8[], $2::int8[], $3::bytea[])");
  }

  void insert(std::size_t first, std::size_t count, std::uint64_t txid) {
    backend::postgres::ArrayParameter ids(backend::postgres::PgType::Int8, count);
    backend::postgres::ArrayParameter txids(backend::postgres::PgType::Int8, count);
    backend::postgres::ArrayParameter records(backend::postgres::PgType::Bytea, count);
    for (std::size_t i = 0; i < count; ++i) {
      ids.add(std::uint64_t{first + i});
      txids.add(txid);
      records.add(ByteView(record_));
    }
    const backend::postgres::Parameter parameters[] = {ids.take(), txids.take(), records.take()};
    const char* values[3];
    int lengths[3];
    const int formats[3] = {1, 1, 1};
    for (int i = 0; i < 3; ++i) {
      values[i] = parameters[i]->data();
      lengths[i] = static_cast<int>(parameters[i]->size());
    }
    const backend::postgres::PgResult result(
        PQexecPrepared(connection_.get(), "put", 3, values, lengths, formats, 1));
    must(PQresultStatus(result.get()) == PGRES_COMMAND_OK, PQerrorMessage(connection_.get()));
  }

 private:
  void run(const char* sql) {
    const backend::postgres::PgResult result(PQexec(connection_.get(), sql));
    must(PQresultStatus(result.get()) == PGRES_COMMAND_OK, PQerrorMessage(connection_.get()));
  }

  std::unique_ptr<PGconn, void (*)(PGconn*)> connection_;
  Bytes record_;
};

}  // namespace skep::bench
