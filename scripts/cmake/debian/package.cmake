# SPDX-License-Identifier: MIT
# Debian packages of the components: `cpack -G DEB` in a build folder. scripts/package builds one that
# is configured for it.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/scripts/cmake/debian/docs.cmake)

# Who makes the packages says so, as with Debian's own tools.
set(CPACK_PACKAGE_CONTACT "The vitrine authors <vitrine@vitrine.invalid>")
if(DEFINED ENV{DEBEMAIL} AND DEFINED ENV{DEBFULLNAME})
  set(CPACK_PACKAGE_CONTACT "$ENV{DEBFULLNAME} <$ENV{DEBEMAIL}>")
endif()

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL library development command)
if(TARGET gstvitrine)
  list(APPEND CPACK_COMPONENTS_ALL gstreamer)
endif()
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SOURCE vitrine)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS ON)
# Older versions of CMake call ldconfig from a script instead.
file(WRITE ${PROJECT_BINARY_DIR}/debian/triggers "activate-noawait ldconfig\n")
file(CHMOD ${PROJECT_BINARY_DIR}/debian/triggers PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${PROJECT_BINARY_DIR}/debian/triggers)

set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libvitrine${VT_SOVERSION})
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libvitrine-dev)
set(CPACK_DEBIAN_COMMAND_PACKAGE_NAME vitrine)
set(CPACK_DEBIAN_GSTREAMER_PACKAGE_NAME gstreamer1.0-vitrine)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_COMMAND_PACKAGE_SECTION graphics)
set(CPACK_DEBIAN_GSTREAMER_PACKAGE_SECTION video)
if(CMAKE_LIBRARY_ARCHITECTURE AND CMAKE_INSTALL_LIBDIR MATCHES "/${CMAKE_LIBRARY_ARCHITECTURE}$")
  set(CPACK_DEBIAN_LIBRARY_PACKAGE_MULTIARCH same) # CMake 3.31 on
  set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_MULTIARCH same)
  set(CPACK_DEBIAN_GSTREAMER_PACKAGE_MULTIARCH same)
endif()

# Who links the static library needs what it needs, and pkg-config wants to see it in any case.
set(DEV_PACKAGE_jansson libjansson-dev)
set(DEV_PACKAGE_libpng libpng-dev)
set(DEV_PACKAGE_libjpeg "libjpeg62-turbo-dev | libjpeg-dev")
set(DEV_PACKAGE_libwebp libwebp-dev)
set(DEV_PACKAGE_libutf8proc libutf8proc-dev)
set(DEV_PACKAGE_libpcre2-8 libpcre2-dev)
set(DEV_PACKAGE_openblas libopenblas-dev)
set(DEV_PACKAGE_dnnl libdnnl-dev)
set(CPACK_COMPONENT_DEVELOPMENT_DEPENDS library)
set(DEV_PACKAGES)
foreach(library IN LISTS VT_MODULES VT_LIBRARY_NAMES)
  if(DEV_PACKAGE_${library})
    list(APPEND DEV_PACKAGES ${DEV_PACKAGE_${library}})
  elseif(library IN_LIST VT_MODULES)
    message(FATAL_ERROR "scripts/cmake/debian/package.cmake has to know which Debian package has ${library}.pc")
  endif()
endforeach()
list(JOIN DEV_PACKAGES ", " CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS)
set(CPACK_DEBIAN_COMMAND_PACKAGE_RECOMMENDS libopenblas0) # loaded by `fit` and `embed --pca`
set(CPACK_DEBIAN_COMMAND_PACKAGE_SUGGESTS gnuplot-nox)
# The bundled model is the command's, textoverlay draws.
set(CPACK_DEBIAN_GSTREAMER_PACKAGE_RECOMMENDS "vitrine, gstreamer1.0-x")

# The first line of each description is its own, not the project's.
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")
set(ABOUT "vitrine opens a checkpoint as it was published, prepares a picture exactly as
the model's own pipeline does, and runs it at whatever resolution it is given,
on the processor and without Python.")
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION "vision transformer inference - shared library
${ABOUT}
.
This package has the library that programs need in order to run.")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "vision transformer inference - development files
${ABOUT}
.
This package has the header, the static library, and what CMake and
pkg-config need in order to find both libraries.")
set(CPACK_COMPONENT_COMMAND_DESCRIPTION "names what is in pictures by vision transformers
${ABOUT}
.
This package has the command, and a small model that knows 650 everyday
things, drawn as emoji are.")
set(CPACK_COMPONENT_GSTREAMER_DESCRIPTION "vision transformer inference - GStreamer plugin
${ABOUT}
.
This package has the element vitrine, which names what is in the frames of a
video, attaches the names to them, and posts them as messages.")

include(CPack)
