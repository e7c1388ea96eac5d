# Compiler settings that every target shares.

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_C_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O1 -g1")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1")
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g")

find_program(SKEP_CCACHE ccache)
if(SKEP_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${SKEP_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${SKEP_CCACHE})
endif()

find_program(SKEP_MOLD mold)
if(SKEP_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

# Warnings are errors in our own code only: skep_warnings is linked privately by our targets.
add_library(skep_warnings INTERFACE)
target_compile_options(skep_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Werror -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports these inside its own library headers when it inlines at -O2.
  target_compile_options(skep_warnings INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-Wno-maybe-uninitialized -Wno-array-bounds -Wno-stringop-overflow
                              -Wno-stringop-overread -Wno-restrict
                              -Wno-missing-field-initializers -Wno-interference-size>)
else()
  target_compile_options(skep_warnings INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-Wno-missing-field-initializers>)
endif()

if(SKEP_SANITIZE)
  string(REPLACE "," ";" skep_sanitizers "${SKEP_SANITIZE}")
  foreach(s IN LISTS skep_sanitizers)
    add_compile_options(-fsanitize=${s})
    add_link_options(-fsanitize=${s})
  endforeach()
  add_compile_options(-fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_compile_definitions(SKEP_SANITIZED)
  if("thread" IN_LIST skep_sanitizers)
    add_compile_options(-Wno-tsan)
  endif()
endif()
if(SKEP_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
