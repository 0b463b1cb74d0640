# SPDX-License-Identifier: MIT
# cmake -D MANIFEST=FILE -P uninstall.cmake
# Removes the files that the last `cmake --install` listed, below $DESTDIR as it did, and vitrine's own
# folders that are empty then.
if(NOT EXISTS ${MANIFEST})
  message(FATAL_ERROR "nothing to uninstall: `cmake --install` has not been run here (${MANIFEST} "
                      "is not there)")
endif()
file(STRINGS ${MANIFEST} FILES)

set(FOLDERS)
foreach(file IN LISTS FILES)
  set(path "$ENV{DESTDIR}${file}")
  if(EXISTS ${path} OR IS_SYMLINK ${path})
    message(STATUS "Removing ${path}")
    file(REMOVE ${path})
    if(EXISTS ${path} OR IS_SYMLINK ${path})
      message(FATAL_ERROR "${path} can't be removed")
    endif()
  else()
    message(STATUS "Not there: ${path}")
  endif()
  # share/vitrine/emoji-vit and share/vitrine, but not share.
  cmake_path(GET path PARENT_PATH folder)
  while(folder MATCHES "/vitrine(/|$)")
    list(APPEND FOLDERS ${folder})
    cmake_path(GET folder PARENT_PATH folder)
  endwhile()
endforeach()

# Longest first: a folder comes after those in it.
list(REMOVE_DUPLICATES FOLDERS)
list(SORT FOLDERS ORDER DESCENDING)
foreach(folder IN LISTS FOLDERS)
  file(GLOB left LIST_DIRECTORIES true ${folder}/* ${folder}/.*)
  if(IS_DIRECTORY ${folder} AND NOT left)
    message(STATUS "Removing ${folder}")
    file(REMOVE_RECURSE ${folder})
  endif()
endforeach()
