# SPDX-License-Identifier: MIT
# cmake -D "COMMAND=[EMULATOR;]VITRINE" -D FOLDER=FOLDER -P man.cmake
# Writes vitrine.1 and the page of each command that `vitrine --complete` lists into FOLDER, and nothing else
# stays there.
execute_process(COMMAND ${COMMAND} --complete "" OUTPUT_VARIABLE LINES COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "\n[a-z-]+" NAMES "${LINES}") # the first line is no command
list(TRANSFORM NAMES STRIP)
if(NOT NAMES)
  message(FATAL_ERROR "${COMMAND} --complete lists no command")
endif()

file(REMOVE_RECURSE ${FOLDER})
file(MAKE_DIRECTORY ${FOLDER})
foreach(name IN LISTS NAMES)
  execute_process(COMMAND ${COMMAND} help --man ${name} OUTPUT_FILE ${FOLDER}/vitrine-${name}.1
                  COMMAND_ERROR_IS_FATAL ANY)
endforeach()
# Last: it tells the build that all are there.
execute_process(COMMAND ${COMMAND} help --man OUTPUT_FILE ${FOLDER}/vitrine.1 COMMAND_ERROR_IS_FATAL ANY)
