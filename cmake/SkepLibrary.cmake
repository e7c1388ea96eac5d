# One library per folder, each with its own include root.
#
#   skep_library(vfs SOURCES a.cc b.cc PUBLIC skep_store PRIVATE ZSTD)
#
# src/vfs becomes the target skep_vfs. Its headers are reached as "skep/vfs/x.h" through a root that
# only targets linking skep_vfs see, so an include against the direction of the layers does not
# compile. The root holds one symbolic link, skep/vfs, to the source folder.

function(skep_include_root target name folder)
  set(root ${CMAKE_BINARY_DIR}/roots/${target})
  get_filename_component(parent ${root}/skep/${name} DIRECTORY)
  file(MAKE_DIRECTORY ${parent})
  file(CREATE_LINK ${folder} ${root}/skep/${name} SYMBOLIC)
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${root}> $<INSTALL_INTERFACE:include>)
endfunction()

function(skep_library path)
  cmake_parse_arguments(arg "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  string(REPLACE "/" "_" name ${path})
  set(target skep_${name})
  add_library(${target} STATIC ${arg_SOURCES})
  add_library(skep::${name} ALIAS ${target})
  skep_include_root(${target} ${path} ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(${target} PUBLIC ${arg_PUBLIC} PRIVATE ${arg_PRIVATE} $<BUILD_INTERFACE:skep_warnings>)
  target_compile_options(${target} PRIVATE -fvisibility=hidden)
  skep_install_library(${target} ${name})
  install(DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/ DESTINATION include/skep/${path}
    FILES_MATCHING PATTERN "*.h" PATTERN "*.def" PATTERN CMakeFiles EXCLUDE)
  string(REGEX REPLACE "/.*" "" layer ${path})
  set_target_properties(${target} PROPERTIES skep_layer ${layer})
  set_property(GLOBAL APPEND PROPERTY skep_libraries ${target})
  skep_headers_compile_alone(${target} ${path})
endfunction()

# skep_test(name SOURCES … LINK …): one GoogleTest program, run by ctest as one entry per test.
function(skep_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;LINK" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 600)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LINK} GTest::gmock GTest::gtest_main skep_warnings)
  if(TARGET base_test AND NOT name STREQUAL base_test)
    target_precompile_headers(${name} REUSE_FROM base_test)
  else()
    target_precompile_headers(${name} PRIVATE <gmock/gmock.h> <gtest/gtest.h> <map> <string> <vector>)
  endif()
  set(properties TIMEOUT ${arg_TIMEOUT})
  if(SKEP_SANITIZE MATCHES thread)
    list(APPEND properties ENVIRONMENT "TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/cmake/tsan.supp")
  endif()
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST PROPERTIES ${properties})
endfunction()

function(skep_bench name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
  target_link_libraries(${name} PRIVATE ${arg_LINK} benchmark::benchmark skep_warnings)
endfunction()
