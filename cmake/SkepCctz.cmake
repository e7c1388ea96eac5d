# Time zones: the target cctz::cctz. Debian's package says nothing to CMake or pkg-config.

if(NOT TARGET cctz::cctz)
  find_path(SKEP_CCTZ_INCLUDE cctz/time_zone.h REQUIRED)
  find_library(SKEP_CCTZ_LIBRARY cctz REQUIRED)
  add_library(cctz::cctz UNKNOWN IMPORTED)
  set_target_properties(cctz::cctz PROPERTIES
    IMPORTED_LOCATION ${SKEP_CCTZ_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${SKEP_CCTZ_INCLUDE})
endif()
