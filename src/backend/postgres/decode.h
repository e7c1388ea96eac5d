// Rows of the statements' results as PageStore's structs.

#pragma once

#include "skep/backend/postgres/pg_binary.h"
#include "skep/store/page_store.h"

namespace skep::backend::postgres {

/// The result of Load; nullopt when there is no such database.
std::optional<store::OpenedDatabase> decodeLoad(const PgResult& result);

/// The result of ReadChunks: what was read, the database's epoch, and the newest txid whose record
/// expired. nullopt when there is no such database.
struct DecodedChunkRead {
  store::ChunkRead read;
  store::Epoch epoch = 0;
  store::Txid expiredTxid = 0;
};
std::optional<DecodedChunkRead> decodeChunkRead(const PgResult& result);

/// A row of ReadHead.
store::Head decodeHead(const Row& row);

/// A row of Info or List.
store::DatabaseInfo decodeInfo(const Row& row);

}  // namespace skep::backend::postgres
