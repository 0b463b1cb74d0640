# SPDX-License-Identifier: MIT
# The tests of the GStreamer element: programs that load the plugin, and gst-launch-1.0.
pkg_check_modules(GST_CHECK REQUIRED IMPORTED_TARGET gstreamer-check-1.0 gstreamer-video-1.0
                  gstreamer-pbutils-1.0)

file(GLOB GST_TEST_SOURCES CONFIGURE_DEPENDS test_gst_*.c)
foreach(source ${GST_TEST_SOURCES})
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source} gst_support.c)
  target_link_libraries(${name} PRIVATE test-support PkgConfig::GST_CHECK)
  target_compile_definitions(${name} PRIVATE VT_GST_PLUGIN="$<TARGET_FILE:gstvitrine>"
    VT_GST_REGISTRY="${CMAKE_CURRENT_BINARY_DIR}/gst-registry.bin")
  add_dependencies(${name} gstvitrine)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 300) # a failure may leave a pipeline that does not end
endforeach()

# A module is nothing to link with: what is tested without it is compiled again.
target_sources(test_gst_stream PRIVATE ${PROJECT_SOURCE_DIR}/src/gst/latency.c)

# gst-launch-1.0 can't load a plugin that needs the sanitizers' runtime in the program.
# Nor can it be held to a clock where lines are counted: pictures are dropped then.
if(NOT VT_SANITIZE AND NOT VT_SANITIZE_THREADS AND NOT VT_COVERAGE)
  add_test(NAME test_gst_launch COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/test_gst_launch.sh
    $<TARGET_FILE_DIR:gstvitrine> ${CMAKE_CURRENT_BINARY_DIR}/gst-launch-registry.bin ${PROJECT_SOURCE_DIR})
endif()
