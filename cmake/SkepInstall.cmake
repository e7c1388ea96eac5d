# The install tree: the command, the libraries, the headers, and what `find_package(Skep)` reads.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# `target` is skep::<name> for those who find the package.
function(skep_install_library target name)
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
  install(TARGETS ${target} EXPORT SkepTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/skep)
endfunction()

function(skep_install_package)
  set(destination ${CMAKE_INSTALL_LIBDIR}/cmake/Skep)
  install(TARGETS skep RUNTIME)
  install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/ DESTINATION include)
  install(EXPORT SkepTargets NAMESPACE skep:: DESTINATION ${destination})
  write_basic_package_version_file(${CMAKE_BINARY_DIR}/SkepConfigVersion.cmake COMPATIBILITY SameMinorVersion)
  install(FILES ${CMAKE_SOURCE_DIR}/cmake/SkepConfig.cmake ${CMAKE_SOURCE_DIR}/cmake/SkepCctz.cmake
    ${CMAKE_BINARY_DIR}/SkepConfigVersion.cmake
    DESTINATION ${destination})
endfunction()
