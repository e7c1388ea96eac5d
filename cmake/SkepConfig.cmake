# find_package(Skep): the targets skep::skep, to write programs with <skep/skep.h>, and skep::testing, to test them
# with <skep/testing.h>.
#
# Needs the Debian packages that scripts/setup.sh names for building, and C++20.

include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_dependency(Boost 1.81 COMPONENTS context url)
find_dependency(RocksDB)
find_dependency(PostgreSQL)
find_dependency(CLI11)
find_dependency(nlohmann_json)
find_dependency(spdlog)
find_dependency(OpenSSL)
list(APPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_LIST_DIR})
find_dependency(Cctz)
find_dependency(prometheus-cpp)
find_dependency(PkgConfig)
pkg_check_modules(ZSTD REQUIRED QUIET IMPORTED_TARGET libzstd)
pkg_check_modules(XXHASH REQUIRED QUIET IMPORTED_TARGET libxxhash)
pkg_check_modules(EDIT REQUIRED QUIET IMPORTED_TARGET libedit)

include(${CMAKE_CURRENT_LIST_DIR}/SkepTargets.cmake)
target_compile_features(skep::skep INTERFACE cxx_std_20)
