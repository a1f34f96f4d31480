# The installed prefix:
#   bin/allocline, share/man/man1, lib/liballocline.so        the program (installed by tools/), the tracer it preloads
#   include/allocline/                                        the API that programs include
#   lib/liballocline_*.a, include/allocline/offline/          the offline half as a library: allocline::report
#   share/allocline/python/                                   the package `allocline` for Python, and how pip installs it
#   lib/cmake/allocline/, lib/pkgconfig/                      how CMake and pkg-config find all of it
#
# Two export sets, because they need different things of the consumer's machine: the API and the tracer nothing at all,
# the report library what it is built on.
include(CMakePackageConfigHelpers)

set(offline_libraries report symbolize recording base)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/allocline)

install(TARGETS allocline_api allocline EXPORT alloclineTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS ${offline_libraries} EXPORT alloclineReportTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/allocline DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
foreach(folder ${offline_libraries})
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/allocline/offline
    FILES_MATCHING PATTERN "*.h")
endforeach()

install(EXPORT alloclineTargets NAMESPACE allocline:: DESTINATION ${package_dir})
install(EXPORT alloclineReportTargets NAMESPACE allocline:: DESTINATION ${package_dir})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/alloclineConfig.cmake.in
  ${PROJECT_BINARY_DIR}/alloclineConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/alloclineConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/alloclineConfig.cmake ${PROJECT_BINARY_DIR}/alloclineConfigVersion.cmake
  DESTINATION ${package_dir})

# The build tree has the package where an installation has it.
install(DIRECTORY ${PROJECT_SOURCE_DIR}/python/ DESTINATION ${CMAKE_INSTALL_DATADIR}/allocline/python
  PATTERN "__pycache__" EXCLUDE)
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/${CMAKE_INSTALL_DATADIR}/allocline)
file(CREATE_LINK ${PROJECT_SOURCE_DIR}/python ${PROJECT_BINARY_DIR}/${CMAKE_INSTALL_DATADIR}/allocline/python SYMBOLIC)

# Found from where the .pc file lies, so that a prefix may be moved.
file(RELATIVE_PATH pc_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
foreach(module allocline allocline-tracer)
  configure_file(${CMAKE_CURRENT_LIST_DIR}/${module}.pc.in ${PROJECT_BINARY_DIR}/${module}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${module}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

# What has to be built before an install, and no more.
add_custom_target(install_set DEPENDS allocline_cli allocline ${offline_libraries})
if(TARGET man_pages)
  add_dependencies(install_set man_pages)
endif()
