// The column families of an EmbeddedStore, and the options that suit each of them.

#pragma once

#include <rocksdb/db.h>

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "skep/backend/embedded/embedded_store.h"

namespace skep::backend::embedded {

enum class Family : std::uint8_t {
  Meta,     // names, ids, the format; RocksDB's "default" family, which always exists
  Head,     // one small row a database, written by everything but plain commits
  Log,      // records; most are deleted soon by a fold
  Chunk,    // chunk versions: large values that are compressed already
  Version,  // their keys and sizes alone, so that nobody reads chunks only to find or to count them
  Alarm,    // the index of due timers
};
inline constexpr std::size_t kFamilyCount = 6;

/// Those whose keys begin with the id of a database, and that hold most of its bytes.
inline constexpr std::array kContentFamilies = {Family::Log, Family::Chunk, Family::Version};

std::vector<rocksdb::ColumnFamilyDescriptor> familyDescriptors(const EmbeddedOptions& options);

/// Options of the database as a whole. `logger` takes RocksDB's warnings.
rocksdb::DBOptions databaseOptions(const EmbeddedOptions& options,
                                   std::shared_ptr<rocksdb::Logger> logger);

}  // namespace skep::backend::embedded
