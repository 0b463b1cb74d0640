# SPDX-License-Identifier: MIT
# Run by cpack when all is laid out: gives each Debian package a folder of documents of its own, with its
# copyright and change log, and treats man pages and completions as Debian does and nobody else.
if(NOT CPACK_GENERATOR STREQUAL "DEB")
  return()
endif()

set(SOURCE ${CMAKE_CURRENT_LIST_DIR}/../../..)
file(READ ${SOURCE}/LICENSE LICENSE)
string(REGEX REPLACE "^MIT License\n\n(Copyright [^\n]*)\n\n" "" LICENSE "${LICENSE}")
set(HOLDER "${CMAKE_MATCH_1}")
string(REGEX REPLACE "^Copyright (\\(c\\) )?" "" HOLDER "${HOLDER}")
string(STRIP "${LICENSE}" LICENSE)
string(REPLACE "\n\n" "\n.\n" LICENSE "${LICENSE}")
string(REPLACE "\n" "\n " LICENSE " ${LICENSE}")
set(VERSION ${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})
string(TIMESTAMP DATE "%a, %d %b %Y %H:%M:%S +0000" UTC) # of $SOURCE_DATE_EPOCH where it is set

foreach(component IN LISTS CPACK_COMPONENTS_ALL)
  string(TOUPPER ${component} COMPONENT)
  set(share ${CPACK_TEMPORARY_DIRECTORY}/${component}${CPACK_PACKAGING_INSTALL_PREFIX}/share)
  set(doc ${share}/doc/${CPACK_DEBIAN_${COMPONENT}_PACKAGE_NAME})
  if(EXISTS ${share}/doc/vitrine AND NOT EXISTS ${doc})
    file(RENAME ${share}/doc/vitrine ${doc})
  endif()
  file(REMOVE ${doc}/LICENSE)
  configure_file(${CMAKE_CURRENT_LIST_DIR}/copyright.in ${doc}/copyright @ONLY)
  file(WRITE ${doc}/changelog.Debian "vitrine (${VERSION}) unstable; urgency=medium\n\n"
    "  * Version ${CPACK_PACKAGE_VERSION}.\n\n -- ${CPACK_PACKAGE_CONTACT}  ${DATE}\n")
  execute_process(COMMAND gzip -9nf ${doc}/changelog.Debian COMMAND_ERROR_IS_FATAL ANY)
  file(GLOB pages ${share}/man/man1/*.1)
  if(pages)
    execute_process(COMMAND gzip -9nf ${pages} COMMAND_ERROR_IS_FATAL ANY)
  endif()
  # Where Debian's zsh looks.
  if(EXISTS ${share}/zsh/site-functions)
    file(RENAME ${share}/zsh/site-functions ${share}/zsh/vendor-completions)
  endif()
  # Whatever the umask is.
  file(CHMOD_RECURSE ${share} FILE_PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ
       DIRECTORY_PERMISSIONS ${CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS})
endforeach()
