# Everything from outside: Debian packages, and the SQLite amalgamation out of an npm package.

find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS context url)
find_package(RocksDB REQUIRED)
find_package(PostgreSQL REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(EDIT REQUIRED IMPORTED_TARGET libedit)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(spdlog REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(GTest REQUIRED)
if(NOT SKEP_FUZZ)
  find_package(benchmark REQUIRED)
endif()
include(SkepCctz)
include(GoogleTest)

set(SKEP_SQLITE_DIR ${CMAKE_SOURCE_DIR}/node_modules/better-sqlite3/deps/sqlite3)
if(NOT EXISTS ${SKEP_SQLITE_DIR}/sqlite3.c)
  message(FATAL_ERROR "The SQLite sources are missing: run `make setup` (or `npm ci`) first.")
endif()

# SQLite with the options of docs/decisions/0003-sqlite-build.md. Hidden symbols: another SQLite in the
# same process (Node's own, say) must never mix with ours.
add_library(skep_sqlite STATIC ${SKEP_SQLITE_DIR}/sqlite3.c)
target_include_directories(skep_sqlite SYSTEM PUBLIC $<BUILD_INTERFACE:${SKEP_SQLITE_DIR}>)
set(skep_sqlite_options
  SQLITE_THREADSAFE=2
  SQLITE_DQS=0
  SQLITE_DEFAULT_MEMSTATUS=0
  SQLITE_DEFAULT_PCACHE_INITSZ=0
  SQLITE_DEFAULT_FOREIGN_KEYS=1
  SQLITE_DEFAULT_LOOKASIDE=0,0
  SQLITE_ENABLE_BATCH_ATOMIC_WRITE
  SQLITE_MAX_MMAP_SIZE=0x7fff00000000
  SQLITE_DEFAULT_MMAP_SIZE=0
  SQLITE_MAX_SQL_LENGTH=1000000000
  SQLITE_LIKE_DOESNT_MATCH_BLOBS
  SQLITE_USE_ALLOCA
  SQLITE_USE_URI=0
  SQLITE_TEMP_STORE=1
  SQLITE_OMIT_DEPRECATED
  SQLITE_OMIT_SHARED_CACHE
  SQLITE_ENABLE_FTS5
  SQLITE_ENABLE_RTREE
  SQLITE_ENABLE_GEOPOLY
  SQLITE_ENABLE_MATH_FUNCTIONS
  SQLITE_ENABLE_SESSION
  SQLITE_ENABLE_PREUPDATE_HOOK
  SQLITE_ENABLE_COLUMN_METADATA
  SQLITE_ENABLE_DBSTAT_VTAB
  SQLITE_ENABLE_STMTVTAB
  SQLITE_ENABLE_BYTECODE_VTAB
  SQLITE_STRICT_SUBTYPE=1
)
target_compile_definitions(skep_sqlite
  PRIVATE ${skep_sqlite_options} "SQLITE_API=__attribute__((visibility(\"hidden\")))" $<$<CONFIG:Debug>:SQLITE_DEBUG>
  PUBLIC SQLITE_ENABLE_SESSION SQLITE_ENABLE_PREUPDATE_HOOK SQLITE_ENABLE_COLUMN_METADATA)
target_compile_options(skep_sqlite PRIVATE -w $<$<CONFIG:Release>:-O2>)
target_link_libraries(skep_sqlite PUBLIC Threads::Threads ${CMAKE_DL_LIBS} m)
skep_install_library(skep_sqlite sqlite)
