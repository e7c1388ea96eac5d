#include "skep/backend/embedded/families.h"

#include <rocksdb/cache.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/table_properties_collectors.h>

#include <algorithm>

namespace skep::backend::embedded {
namespace {

constexpr std::size_t kKiB = 1024;
constexpr std::size_t kMiB = 1024 * kKiB;
constexpr int kIdBytes = 8;
constexpr std::size_t kMetadataBlockBytes = 4 * kKiB;
// Of the block cache, for parts of indexes and filters alone.
constexpr double kMetadataShare = 0.5;

enum class Lookup : std::uint8_t {
  WholeKey,    // by the exact key: the filter holds whole keys
  ByDatabase,  // a range within one database: the filter holds ids
};

struct Shape {
  std::size_t blockBytes;
  std::size_t fileBytes;
  Lookup lookup;
  rocksdb::CompressionType compression;
  rocksdb::CompressionType bottomCompression;
};

std::shared_ptr<rocksdb::TableFactory> tables(const Shape& shape,
                                              const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.block_size = shape.blockBytes;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.whole_key_filtering = shape.lookup == Lookup::WholeKey;
  table.format_version = 5;
  table.checksum = rocksdb::kXXH3;
  // Counted in the cache's budget, or a large store's indexes would be memory without a bound. In
  // parts of a few KiB each: a file's whole filter has hundreds, and reading one for a single key
  // would push everything else out.
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  table.partition_filters = true;
  table.metadata_block_size = kMetadataBlockBytes;
  table.pin_top_level_index_and_filter = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  return std::shared_ptr<rocksdb::TableFactory>(rocksdb::NewBlockBasedTableFactory(table));
}

rocksdb::ColumnFamilyOptions familyOptions(const Shape& shape, const EmbeddedOptions& options,
                                           const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyOptions family;
  family.table_factory = tables(shape, cache);
  family.compression = shape.compression;
  family.bottommost_compression = shape.bottomCompression;
  family.write_buffer_size = std::max<std::size_t>(options.memtableBytes / 2, 256 * kKiB);
  family.max_write_buffer_number = 3;
  family.arena_block_size =
      64 * kKiB;  // six families: the default would take megabytes from an idle store
  family.target_file_size_base = shape.fileBytes;
  family.max_bytes_for_level_base = 4 * shape.fileBytes;
  family.level_compaction_dynamic_level_bytes =
      true;  // dead rows take at most about a tenth of the live ones
  if (shape.lookup == Lookup::ByDatabase) {
    family.prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(kIdBytes));
  }
  // A file that is mostly deletions is compacted soon, not only when its level is full.
  family.table_properties_collector_factories.push_back(
      rocksdb::NewCompactOnDeletionCollectorFactory(8192, 4096, 0.5));
  return family;
}

}  // namespace

std::vector<rocksdb::ColumnFamilyDescriptor> familyDescriptors(const EmbeddedOptions& options) {
  using rocksdb::kLZ4Compression;
  using rocksdb::kNoCompression;
  using rocksdb::kZSTD;
  const auto cache = rocksdb::NewLRUCache(options.blockCacheBytes, -1, false, kMetadataShare);
  const Shape meta{8 * kKiB, 16 * kMiB, Lookup::WholeKey, kLZ4Compression, kZSTD};
  const Shape head{8 * kKiB, 16 * kMiB, Lookup::WholeKey, kLZ4Compression, kLZ4Compression};
  const Shape log{16 * kKiB, 16 * kMiB, Lookup::ByDatabase, kLZ4Compression, kZSTD};
  const Shape chunk{16 * kKiB, 32 * kMiB, Lookup::ByDatabase, kNoCompression, kNoCompression};
  const Shape version{8 * kKiB, 8 * kMiB, Lookup::ByDatabase, kLZ4Compression, kZSTD};
  const Shape alarm{8 * kKiB, 8 * kMiB, Lookup::WholeKey, kLZ4Compression, kLZ4Compression};
  return {{rocksdb::kDefaultColumnFamilyName, familyOptions(meta, options, cache)},
          {"head", familyOptions(head, options, cache)},
          {"log", familyOptions(log, options, cache)},
          {"chunk", familyOptions(chunk, options, cache)},
          {"version", familyOptions(version, options, cache)},
          {"alarm", familyOptions(alarm, options, cache)}};
}

rocksdb::DBOptions databaseOptions(const EmbeddedOptions& options,
                                   std::shared_ptr<rocksdb::Logger> logger) {
  rocksdb::DBOptions db;
  db.create_if_missing = true;
  db.create_missing_column_families = true;
  db.info_log = std::move(logger);
  db.max_open_files = options.openFilesMax;
  db.db_write_buffer_size = options.memtableBytes;
  db.max_total_wal_size = options.walBytesMax;
  db.wal_recovery_mode = options.walDamage == WalDamage::Refuse
                             ? rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords
                             : rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  // A command opens and closes the store: its few rows stay in the log, instead of six small files
  // each time.
  db.avoid_flush_during_recovery = true;
  db.avoid_flush_during_shutdown = true;
  db.allow_fallocate = false;  // no space taken ahead: a new store is small
  db.max_background_jobs = 3;
  db.bytes_per_sync = kMiB;  // files are written back as they grow, so that an fsync of the log
                             // does not queue behind them
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  db.skip_stats_update_on_db_open = true;
  return db;
}

}  // namespace skep::backend::embedded
