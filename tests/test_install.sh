#!/bin/sh
# SPDX-License-Identifier: MIT
#
# test_install.sh CMAKE GENERATOR SOURCE-FOLDER BUILD-FOLDER VERSION SANITIZE-OPTIONS
# Installs, moves the installed tree elsewhere, and there builds and runs somebody else's programs: found by
# CMake and by pkg-config, C and C++, with the shared library and the static one; then runs the command.
# Moves the tree back, uninstalls, and nothing is left. $CC and $CXX are the compilers, $PYTHON a Python that
# has NumPy, if there is one.
set -eu

cmake=$1 generator=$2 source=$3 build=$4 version=$5 sanitize=$6
unset DESTDIR VITRINE_MODEL PKG_CONFIG_PATH LD_LIBRARY_PATH || true
work=$(mktemp -d)
manifest=$build/install_manifest.txt

# What an installation of the user's own would be uninstalled by is put back.
finish() {
    rm -f "$manifest"
    [ ! -e "$work/manifest" ] || cp "$work/manifest" "$manifest"
    rm -rf "$work"
}
[ ! -e "$manifest" ] || cp "$manifest" "$work/manifest"
trap finish EXIT
trap 'exit 1' HUP INT TERM

fail() {
    echo "$*"
    exit 1
}

# Output is shown when it matters.
quietly() {
    "$@" >"$work/log" 2>&1 || {
        cat "$work/log"
        fail "failed: $*"
    }
}

build_by_cmake() {
    quietly "$cmake" -S "$work/outside" -B "$work/outside/build" -G "$generator" \
        -D CMAKE_PREFIX_PATH="$prefix" -D WANTED="$version" -D CMAKE_BUILD_TYPE=Release \
        -D CMAKE_C_FLAGS="$sanitize" -D CMAKE_CXX_FLAGS="$sanitize"
    quietly "$cmake" --build "$work/outside/build"
    cp "$work/outside/build"/cmake-* "$work/programs"
}

# build_by_pkg_config COMPILER LANGUAGE: static is all of it, as pkg-config means it. A sanitizer's runtime
# can't be: there the static library alone is taken, and what it needs is the shared libraries.
build_by_pkg_config() {
    program=$work/outside/classify.$2
    export PKG_CONFIG_PATH="$pkgconfig"
    quietly $1 $sanitize "$program" -o "$work/programs/pkg-$2-shared" \
        $(pkg-config --cflags --libs vitrine)
    if [ -z "$sanitize" ]; then
        static="-static $(pkg-config --static --cflags --libs vitrine)"
    else
        static="$(pkg-config --cflags vitrine) -L$libdir -l:libvitrine.a
                $(pkg-config --libs $(pkg-config --print-requires-private vitrine))
                $(sed -n 's/^Libs.private://p' "$pkgconfig/vitrine.pc")"
    fi
    quietly $1 $sanitize "$program" -o "$work/programs/pkg-$2-static" $static
    unset PKG_CONFIG_PATH
}

# Each installed example by the commands in its first lines, and then run. opencv.cpp only where OpenCV is.
build_examples() {
    mkdir "$work/examples" "$work/bin"
    printf '#!/bin/sh\nexec %s %s "$@"\n' "$CC" "$sanitize" >"$work/bin/cc"
    printf '#!/bin/sh\nexec %s %s "$@"\n' "$CXX" "$sanitize" >"$work/bin/c++"
    chmod +x "$work/bin"/*
    cp "$examples"/*.c "$examples"/*.cpp "$work/examples"
    [ -e /usr/include/opencv4/opencv2/core.hpp ] || rm "$work/examples/opencv.cpp"
    cd "$work/examples"
    for example in *.c*; do
        sed -n '/^ \*\/$/q; s/^ \*     //p' "$example" >commands
        quietly env PATH="$work/bin:$PATH" PKG_CONFIG_PATH="$pkgconfig" sh -e commands
        [ -x "${example%.*}" ] || fail "$example was not built by: $(cat commands)"
    done
    cd "$work"
}

expect_rainbow() {
    said=$(LD_LIBRARY_PATH="$libdir" "$@") || fail "$* failed"
    case $said in
    *"% rainbow") ;;
    *) fail "$*: $said" ;;
    esac
}

run_examples() {
    expect_rainbow "$work/examples/classify" "$model" "$picture"
    expect_rainbow "$work/examples/threads" "$model" 600000 "$picture"
    [ ! -e "$work/examples/opencv" ] || expect_rainbow "$work/examples/opencv" "$model" "$picture"
    # a sanitized library can't be loaded into Python just so
    [ -n "$sanitize" ] || [ ! -e "$PYTHON" ] ||
        expect_rainbow "$PYTHON" -B "$examples/vitrine.py" "$model" "$picture"
}

# A program needs libvitrine.so.0 when it is linked with the shared library, and only then.
check_needed() {
    case $(readelf -d "$1") in
    *"[libvitrine.so.0]"*) needed=shared ;;
    *) needed=static ;;
    esac
    [ "$needed" = "${1##*-}" ] || fail "$1 was linked with the $needed library"
}

run_programs() {
    [ "$(ls "$work/programs" | wc -l)" -eq 8 ] || fail "not 8 programs: $(ls "$work/programs")"
    for program in "$work/programs"/*; do
        check_needed "$program"
        expect_rainbow "$program" "$model" "$picture"
        [ "$said" = "${first:=$said}" ] || fail "$program: $said, others: $first"
    done
}

# The command finds the model that was installed with it, wherever that is, and says so with -v.
run_command() {
    command=$1/$2
    said=$("$command" classify -v -k1 --format=csv "$picture" 2>"$work/notes") || fail "$command failed"
    case $said in
    *,rainbow,0.*) ;;
    *) fail "$command: $said" ;;
    esac
    grep -q " $1/.*/emoji-vit opened" "$work/notes" || fail "$command: $(cat "$work/notes")"
}

# So does the GStreamer element, where it was built. gst-launch-1.0 can't load one that is sanitized.
run_element() {
    element=$(find "$1" -name libgstvitrine.so)
    [ -n "$element" ] || return 0
    [ -n "$(find "$1" -path "*/gstreamer-1.0/gst/vitrine/gstvitrinemeta.h")" ] || fail "no gstvitrinemeta.h"
    [ -z "$sanitize" ] || return 0
    quietly env GST_PLUGIN_PATH="${element%/*}" GST_REGISTRY="$work/registry" GST_DEBUG=vitrine:4 \
        gst-launch-1.0 videotestsrc num-buffers=1 ! vitrine ! fakesink
    grep -q " opened $1/.*/emoji-vit: " "$work/log" || fail "the element: $(cat "$work/log")"
}

# Files and links below a folder, and folders that only vitrine has.
list_left() {
    find "$1" ! -type d
    find "$1" -mindepth 1 -type d -path "*vitrine*"
}

# uninstall FOLDER: nothing of what was installed below it may be left.
uninstall() {
    quietly "$cmake" --build "$build" --target uninstall
    [ -z "$(list_left "$1")" ] || fail "not uninstalled:" $(list_left "$1")
}

# The paths of things, as `cmake --install` has them, below `prefix`.
locate() {
    libdir=$(dirname "$(find "$prefix" -name libvitrine.so)")
    pkgconfig=$(dirname "$(find "$prefix" -name vitrine.pc)")
    model=$(find "$prefix" -name emoji-vit)
    examples=$(dirname "$(find "$prefix" -name vitrine.py)")
    binary=$(find "$prefix" -name vitrine -type f -perm -u+x)
    for file in man/man1/vitrine.1 man/man1/vitrine-classify.1 bash-completion/completions/vitrine \
        zsh/site-functions/_vitrine fish/vendor_completions.d/vitrine.fish; do
        [ -n "$(find "$prefix" -path "*/share/$file")" ] || fail "not installed: $file"
    done
}

mkdir -p "$work/programs"
work=$(cd "$work" && pwd -P)
picture=$source/images/emoji/rainbow_noto_224.png
cp -r "$source/tests/outside" "$work"
cp "$source/examples/classify.c" "$work/outside"

quietly "$cmake" --install "$build" --prefix "$work/installed"
[ -n "$(list_left "$work/installed")" ] || fail "nothing was installed"
prefix="$work/moved elsewhere"
mv "$work/installed" "$prefix"
locate
build_by_cmake
mv "$prefix" "$work/moved"
prefix=$work/moved
locate
build_by_pkg_config "$CC" c
build_by_pkg_config "$CXX" cpp
build_examples
run_programs
run_examples
run_command "$prefix" "${binary#"$prefix"/}"
run_element "$prefix"
mv "$prefix" "$work/installed"
uninstall "$work/installed"

# As a packager does: the prefix that was configured, below DESTDIR.
export DESTDIR="$work/stage"
quietly "$cmake" --install "$build"
prefix=$DESTDIR
locate
run_command "$DESTDIR" "${binary#"$DESTDIR"/}"
uninstall "$DESTDIR"
