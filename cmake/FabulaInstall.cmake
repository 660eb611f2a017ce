# What `cmake --install` and cpack give to others, in three components: program, library, and development (headers, archive, what CMake and
# pkg-config read). A Debian package is made of each.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/fabula)

# libfabula.a: the objects of the C interface and of the layers below it, compiled once for both libraries.
get_property(static_layers GLOBAL PROPERTY FABULA_BELOW_api)
set(static_objects "")
foreach(layer api ${static_layers})
  list(APPEND static_objects $<TARGET_OBJECTS:fabula_${layer}>)
endforeach()
if(UNIX AND NOT APPLE)
  # volk's pointers have the names of Vulkan's functions: linked into a program that has functions or pointers of these names, the two would
  # be one. The objects of the one layer that uses them become one object, which keeps the names to itself.
  set(vk_object ${PROJECT_BINARY_DIR}/fabula_vk.o)
  add_custom_command(OUTPUT ${vk_object} DEPENDS fabula_vk VERBATIM COMMAND_EXPAND_LISTS COMMENT "One object of the device layer"
    COMMAND ${CMAKE_LINKER} -r -o ${vk_object} $<TARGET_OBJECTS:fabula_vk>
    COMMAND ${CMAKE_OBJCOPY} --wildcard "--localize-symbol=vk[A-Z]*" "--localize-symbol=volk*" ${vk_object})
  list(REMOVE_ITEM static_objects $<TARGET_OBJECTS:fabula_vk>)
  list(APPEND static_objects ${vk_object})
endif()
add_library(fabula_static STATIC ${static_objects})
set_target_properties(fabula_static PROPERTIES LINKER_LANGUAGE CXX OUTPUT_NAME fabula$<$<BOOL:${MSVC}>:_static> EXPORT_NAME static)
target_link_libraries(fabula_static INTERFACE $<LINK_ONLY:fmt::fmt> $<BUILD_INTERFACE:PkgConfig::PCRE2> $<INSTALL_INTERFACE:PkgConfig::FABULA_PCRE2>
  Threads::Threads ${CMAKE_DL_LIBS})
target_compile_definitions(fabula_static INTERFACE FABULA_STATIC)
target_include_directories(fabula_static PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
if(WIN32)
  get_target_property(system_options fabula_base INTERFACE_LINK_OPTIONS)
  target_link_libraries(fabula_static INTERFACE ws2_32)
  target_link_options(fabula_static INTERFACE ${system_options})
endif()
fabula_target_defaults(fabula_static)
set_target_properties(fabula_shared PROPERTIES EXPORT_NAME fabula)

if(TARGET fabula)
  install(TARGETS fabula RUNTIME COMPONENT program)
endif()
install(TARGETS fabula_shared EXPORT fabula_shared INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  RUNTIME COMPONENT library
  LIBRARY COMPONENT library NAMELINK_COMPONENT development
  ARCHIVE COMPONENT development)
install(TARGETS fabula_static EXPORT fabula_static INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} ARCHIVE COMPONENT development)
install(FILES include/fabula/fabula.h include/fabula/fabula.hpp DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/fabula COMPONENT development)

# For CMake: fabula::fabula, and fabula::static where what that links with is there.
foreach(kind shared static)
  install(EXPORT fabula_${kind} NAMESPACE fabula:: FILE fabula-${kind}.cmake DESTINATION ${package_dir} COMPONENT development)
endforeach()
# What a program needs of C++ where it is linked as one of C.
set(cxx_libraries ${CMAKE_CXX_IMPLICIT_LINK_LIBRARIES})
list(REMOVE_ITEM cxx_libraries ${CMAKE_C_IMPLICIT_LINK_LIBRARIES})
list(REMOVE_DUPLICATES cxx_libraries)
configure_package_config_file(cmake/install/fabula-config.cmake.in ${PROJECT_BINARY_DIR}/fabula-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/fabula-config-version.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${PROJECT_BINARY_DIR}/fabula-config.cmake ${PROJECT_BINARY_DIR}/fabula-config-version.cmake DESTINATION ${package_dir}
  COMPONENT development)

# For pkg-config. Paths are told from where the file lies, so that the whole may be moved.
set(pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH PC_PREFIX /${pc_dir} /)
string(REGEX REPLACE "/$" "" PC_PREFIX "${PC_PREFIX}")
set(PC_STATIC ${cxx_libraries} ${CMAKE_DL_LIBS})
list(TRANSFORM PC_STATIC PREPEND -l)
list(JOIN PC_STATIC " " PC_STATIC)
configure_file(cmake/install/fabula.pc.in ${PROJECT_BINARY_DIR}/fabula.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/fabula.pc DESTINATION ${pc_dir} COMPONENT development)

# Debian's packages: cpack -G DEB, or preset "package", whose prefix is /usr; scripts/check_package.sh tries them.
set(CPACK_PACKAGE_CONTACT "the authors of fabula <fabula@localhost>" CACHE STRING "Who maintains the packages")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_GENERATOR DEB)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL program library development)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME fabula)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libfabula${PROJECT_VERSION_MAJOR})
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libfabula-dev)
set(CPACK_COMPONENT_PROGRAM_DESCRIPTION "The program fabula.")
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION "The library that programs load.")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "To build programs with the library: headers, archive, what CMake and pkg-config read.")
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SECTION science)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
# What a file is linked with dpkg-shlibdeps finds; the Vulkan loader is opened by name.
set(vulkan_package libvulkan1)
find_program(FABULA_SHLIBDEPS NAMES dpkg-shlibdeps)
if(FABULA_SHLIBDEPS AND NOT CMAKE_CROSSCOMPILING)
  set(CPACK_DEBIAN_PROGRAM_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_LIBRARY_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_LIBRARY_PACKAGE_DEPENDS ${vulkan_package})
  set(CPACK_DEBIAN_PROGRAM_PACKAGE_DEPENDS ${vulkan_package})
else()  # as on Debian 12
  set(linked "libc6 (>= 2.36), libgcc-s1 (>= 3.0), libstdc++6 (>= 12), libfmt9 (>= 9.1.0), libpcre2-8-0 (>= 10.32)")
  set(CPACK_DEBIAN_LIBRARY_PACKAGE_DEPENDS "${linked}, ${vulkan_package}")
  set(CPACK_DEBIAN_PROGRAM_PACKAGE_DEPENDS "${linked}, libcpp-httplib0.11, ${vulkan_package}")
endif()
set(CPACK_DEBIAN_PROGRAM_PACKAGE_RECOMMENDS "mesa-vulkan-drivers | vulkan-icd")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_RECOMMENDS "mesa-vulkan-drivers | vulkan-icd")
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
  "${CPACK_DEBIAN_LIBRARY_PACKAGE_NAME} (= ${PROJECT_VERSION}), libfmt-dev, libpcre2-dev")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SUGGESTS "pkg-config, g++")
include(CPack)
