# The direction of the layers, as build errors (docs/ARCHITECTURE.md).
#
# skep_check_layers() runs at the end of configuration and fails it when a library links one that stands to its
# left. Because a header is reachable only through a link, no include can go in the wrong direction either.
# skep_headers_compile_alone() compiles each header by itself, so that every header says what it needs.

# What each library may link, directly. A backend links store and nothing beside it; only the server (and the
# native binding) wires backends to the rest.
set(skep_layer_base "")
set(skep_layer_fiber base)
set(skep_layer_store base fiber)
set(skep_layer_backend base fiber store)
set(skep_layer_vfs base fiber store)
set(skep_layer_sql base fiber store vfs)
set(skep_layer_call base fiber)
set(skep_layer_actor base fiber store vfs sql call)
set(skep_layer_wire base call)
set(skep_layer_cluster base fiber store call wire)
set(skep_layer_gateway base fiber call wire)
set(skep_layer_server base fiber store backend vfs sql call actor wire cluster gateway)
set(skep_outside_libraries skep_warnings skep_sqlite)

function(skep_check_layers)
  get_property(targets GLOBAL PROPERTY skep_libraries)
  foreach(target IN LISTS targets)
    get_target_property(layer ${target} skep_layer)
    if(NOT DEFINED skep_layer_${layer})
      message(FATAL_ERROR "src/${layer} has no place among the layers: give it one in cmake/SkepLayers.cmake.")
    endif()
    get_target_property(links ${target} LINK_LIBRARIES)
    get_target_property(interface ${target} INTERFACE_LINK_LIBRARIES)
    foreach(link IN LISTS links interface)
      string(REGEX REPLACE "^\\$<LINK_ONLY:(.*)>$" "\\1" link "${link}")
      if(NOT link MATCHES "^skep(_|::)" OR link IN_LIST skep_outside_libraries)
        continue()
      endif()
      string(REPLACE "skep::" "skep_" link "${link}")
      set(linked "")
      if(TARGET ${link})
        get_target_property(linked ${link} skep_layer)
      endif()
      if(NOT linked IN_LIST skep_layer_${layer})
        message(FATAL_ERROR "Layering: ${target} (layer ${layer}) must not link ${link}. See cmake/SkepLayers.cmake.")
      endif()
    endforeach()
  endforeach()
endfunction()

# A header with a .cc beside it is compiled alone by that .cc, which includes it first (the test `layers` looks
# that this is so); the others get a translation unit of their own here.
function(skep_headers_compile_alone target path)
  file(GLOB headers CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} *.h)
  get_target_property(sources ${target} SOURCES)
  set(units "")
  foreach(header IN LISTS headers)
    string(REGEX REPLACE "\\.h$" ".cc" own "${header}")
    if(NOT own IN_LIST sources)
      set(unit ${CMAKE_BINARY_DIR}/headers/${path}/${own})
      file(CONFIGURE OUTPUT ${unit} CONTENT "#include \"skep/${path}/${header}\"\n")
      list(APPEND units ${unit})
    endif()
  endforeach()
  if(units)
    add_library(${target}_headers OBJECT ${units})
    get_target_property(links ${target} LINK_LIBRARIES)  # an inner header may need what is linked privately
    target_link_libraries(${target}_headers PRIVATE ${target} ${links} skep_warnings)
    target_compile_options(${target}_headers PRIVATE -O0 -g0)
  endif()
endfunction()
