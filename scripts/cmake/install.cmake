# SPDX-License-Identifier: MIT
# What `cmake --install` puts where, in components (library, development, command and, where the
# GStreamer element is built, gstreamer), and how `uninstall` takes it away.
include(CMakePackageConfigHelpers)

set(VT_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/vitrine)

install(TARGETS vitrine EXPORT vitrine-shared
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library
                NAMELINK_COMPONENT development
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS vitrine-static EXPORT vitrine-static
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES include/vitrine.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
if(TARGET gstvitrine)
  install(TARGETS gstvitrine LIBRARY DESTINATION ${VT_GST_DIR} COMPONENT gstreamer)
  install(FILES src/gst/gstvitrinemeta.h
          DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/gstreamer-1.0/gst/vitrine COMPONENT development)
endif()
install(TARGETS vitrine-cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT command)

# The note beside the model has its licence.
install(DIRECTORY weights/emoji-vit DESTINATION ${CMAKE_INSTALL_DATADIR}/vitrine COMPONENT command)
install(FILES weights/README.md DESTINATION ${CMAKE_INSTALL_DATADIR}/vitrine COMPONENT command)

# Each shell looks for a file of that name.
install(FILES scripts/completion/vitrine.bash RENAME vitrine
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT command)
install(FILES scripts/completion/_vitrine
        DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions COMPONENT command)
install(FILES scripts/completion/vitrine.fish
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d COMPONENT command)

# The command writes its own man pages, which takes an emulator where it was built for another machine.
if(CMAKE_CROSSCOMPILING AND NOT CMAKE_CROSSCOMPILING_EMULATOR)
  message(STATUS "No man pages: CMAKE_CROSSCOMPILING_EMULATOR is not set")
else()
  set(VT_MAN_DIR ${PROJECT_BINARY_DIR}/man1)
  add_custom_command(OUTPUT ${VT_MAN_DIR}/vitrine.1
    COMMAND ${CMAKE_COMMAND} -D "COMMAND=${CMAKE_CROSSCOMPILING_EMULATOR};$<TARGET_FILE:vitrine-cli>"
            -D FOLDER=${VT_MAN_DIR} -P ${PROJECT_SOURCE_DIR}/scripts/cmake/man.cmake
    DEPENDS vitrine-cli ${PROJECT_SOURCE_DIR}/scripts/cmake/man.cmake
    COMMENT "Writing the man pages" VERBATIM)
  add_custom_target(man ALL DEPENDS ${VT_MAN_DIR}/vitrine.1)
  install(DIRECTORY ${VT_MAN_DIR}/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT command)
endif()

# README.md has links to docs/.
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT command)
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs COMPONENT command
        FILES_MATCHING PATTERN "*.md"
        PATTERN LIBRARY.md EXCLUDE PATTERN images EXCLUDE)
install(FILES docs/LIBRARY.md DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs COMPONENT development)
install(DIRECTORY examples DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT development
        FILES_MATCHING PATTERN "*.c" PATTERN "*.cpp" PATTERN "*.py" PATTERN "*.md")

# find_package(vitrine). The two libraries are exported apart: who links the shared one needs nothing of
# what the static one needs.
configure_package_config_file(scripts/cmake/vitrine-config.cmake.in vitrine-config.cmake
                              INSTALL_DESTINATION ${VT_CMAKE_DIR})
# While the major version is 0, another minor one may break programs.
write_basic_package_version_file(vitrine-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/vitrine-config.cmake
              ${PROJECT_BINARY_DIR}/vitrine-config-version.cmake
        DESTINATION ${VT_CMAKE_DIR} COMPONENT development)
foreach(kind shared static)
  install(EXPORT vitrine-${kind} NAMESPACE vitrine:: FILE vitrine-${kind}-targets.cmake
          DESTINATION ${VT_CMAKE_DIR} COMPONENT development)
endforeach()

# pkg-config, the folders as seen from the file, so that an installed tree can be moved.
file(RELATIVE_PATH VT_PC_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" VT_PC_PREFIX ${VT_PC_PREFIX})
file(RELATIVE_PATH VT_PC_LIBDIR ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_LIBDIR})
file(RELATIVE_PATH VT_PC_INCLUDEDIR ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_INCLUDEDIR})
list(JOIN VT_MODULES " " VT_PC_REQUIRES)
list(TRANSFORM VT_LIBRARY_NAMES PREPEND "-l" OUTPUT_VARIABLE VT_PC_LIBS)
list(JOIN VT_PC_LIBS " " VT_PC_LIBS)
string(STRIP "${VT_PC_LIBS} ${CMAKE_THREAD_LIBS_INIT}" VT_PC_LIBS)
configure_file(scripts/cmake/vitrine.pc.in vitrine.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/vitrine.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
        COMPONENT development)

if(PROJECT_IS_TOP_LEVEL)
  add_custom_target(uninstall
    COMMAND ${CMAKE_COMMAND} -D MANIFEST=${PROJECT_BINARY_DIR}/install_manifest.txt
            -P ${PROJECT_SOURCE_DIR}/scripts/cmake/uninstall.cmake
    COMMENT "Removing what `cmake --install` installed" VERBATIM)
endif()
