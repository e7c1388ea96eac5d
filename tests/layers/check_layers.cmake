# Reads the sources for what the build itself cannot see. Run by ctest:  cmake -D SOURCE_DIR=… -P check_layers.cmake
#
# - nothing is included by a path that climbs ("../"), which would go round the include roots;
# - within src/, a header of ours is included as "skep/LIBRARY/file.h" and from a library that the layer may link;
# - a .cc with a header beside it includes that header first, which is what shows that the header stands alone;
# - src/ includes nothing of testing/, tests/, bench/ or fuzz/.

cmake_minimum_required(VERSION 3.25)
include(${SOURCE_DIR}/cmake/SkepLayers.cmake)
set(problems "")

file(GLOB_RECURSE files RELATIVE ${SOURCE_DIR}
  ${SOURCE_DIR}/src/*.h ${SOURCE_DIR}/src/*.cc ${SOURCE_DIR}/testing/*.h ${SOURCE_DIR}/testing/*.cc
  ${SOURCE_DIR}/tests/*.h ${SOURCE_DIR}/tests/*.cc ${SOURCE_DIR}/bench/*.cc ${SOURCE_DIR}/fuzz/*.cc)
list(LENGTH files file_count)
if(file_count LESS 10)
  message(FATAL_ERROR "only ${file_count} source files under ${SOURCE_DIR}: wrong directory?")
endif()

foreach(file IN LISTS files)
  file(STRINGS ${SOURCE_DIR}/${file} includes REGEX "^[ \t]*#[ \t]*include[ \t]*[<\"]")
  set(own "")
  if(file MATCHES "^src/(.*)\\.cc$")
    set(stem ${CMAKE_MATCH_1})
    if(EXISTS ${SOURCE_DIR}/src/${stem}.h)
      set(own "skep/${stem}.h")
    endif()
  endif()
  set(layer "")
  set(library "")
  if(file MATCHES "^src/(backend/[^/]+|[^/]+)/")
    set(library ${CMAKE_MATCH_1})
    string(REGEX REPLACE "/.*" "" layer ${library})
  endif()

  set(first TRUE)
  foreach(line IN LISTS includes)
    string(REGEX REPLACE ".*[<\"]([^>\"]*)[>\"].*" "\\1" path "${line}")
    if(own AND first AND NOT path STREQUAL own)
      list(APPEND problems "${file}: includes ${path} before its own header ${own}")
    endif()
    set(first FALSE)
    if(path MATCHES "\\.\\./")
      list(APPEND problems "${file}: includes ${path}, a path that climbs")
    endif()
    if(NOT library)
      continue()
    endif()
    if(path MATCHES "^skep/testing/|^(testing|tests|bench|fuzz)/")
      list(APPEND problems "${file}: includes ${path}, which is not part of the product")
    elseif(path MATCHES "^skep/(backend/[^/]+|[^/]+)/")
      set(other ${CMAKE_MATCH_1})
      string(REGEX REPLACE "/.*" "" other_layer ${other})
      if(NOT other STREQUAL library AND NOT other_layer IN_LIST skep_layer_${layer})
        list(APPEND problems "${file}: ${layer} must not include ${path}")
      endif()
    elseif(line MATCHES "include[ \t]*\"" AND EXISTS ${SOURCE_DIR}/src/${library}/${path})
      list(APPEND problems "${file}: includes \"${path}\", write \"skep/${library}/${path}\"")
    endif()
  endforeach()
endforeach()

if(problems)
  list(JOIN problems "\n  " text)
  message(FATAL_ERROR "layering:\n  ${text}")
endif()
message(STATUS "${file_count} files keep to the layers")
