#!/bin/sh
# SPDX-License-Identifier: MIT
#
# test_layers.sh ROOT: each layer of src/ includes only itself and the layers before it; the command, the
# GStreamer element and the examples include vitrine.h and their own files only; vitrine.h includes the standard library only.
set -eu

layers="base formats kernels vision text nn models"

# "FILE:LINE HEADER" for each include of the C files in a folder, "quotes" or <angles> kept.
list_includes() {
    grep -rnE --include='*.[ch]' '^[[:space:]]*#[[:space:]]*include' "$1" |
        sed -E 's/^([^:]*:[0-9]+):[^"<]*(["<][^">]*[">]).*/\1 \2/'
}

complain() {
    echo "$1: $2 $3"
    echo broken >>"$broken"
}

# Quoted headers may come from this layer, from those before it, or be vitrine.h.
check_layer() {
    layer=$1 allowed=$2
    list_includes "src/$layer" | while read -r place header; do
        case $header in
        '"vitrine.h"' | '<'*) continue ;;
        '"'*/*) from=${header#\"} from=${from%%/*} ;;
        *) from=$layer ;;
        esac
        case " $allowed " in
        *" $from "*) ;;
        *) complain "$place" "$layer may not include" "$header" ;;
        esac
    done
}

# Only vitrine.h, the system's headers, and files in the same folder.
check_outsider() {
    list_includes "$1" | while read -r place header; do
        case $header in
        '"'*/*) complain "$place" "$1 may not include" "$header" ;;
        esac
    done
}

check_public_header() {
    list_includes "include" | while read -r place header; do
        case $header in
        '<stdbool.h>' | '<stddef.h>' | '<stdint.h>') ;;
        *) complain "$place" "vitrine.h may not include" "$header" ;;
        esac
    done
}

check_tree() {
    cd "$1" # so that places are short, and no path has a space in it
    : >"$broken"
    allowed=
    for layer in $layers; do
        allowed="$allowed $layer"
        check_layer "$layer" "$allowed"
    done
    check_outsider src/cli
    check_outsider src/gst
    check_outsider examples
    check_public_header
    [ ! -s "$broken" ]
}

# The check itself must see each kind of offence: a small tree with one of them must not pass.
expect_offence() {
    file=$1 line=$2
    cd "$top"
    rm -rf "$work/tree"
    for layer in $layers cli gst; do
        mkdir -p "$work/tree/src/$layer"
        echo '#include <stdio.h>' >"$work/tree/src/$layer/good.c"
    done
    mkdir -p "$work/tree/examples" "$work/tree/include"
    cp "$work/tree/src/cli/good.c" "$work/tree/examples/good.c"
    echo '#include <stddef.h>' >"$work/tree/include/vitrine.h"
    check_tree "$work/tree" || { echo "a tree in order does not pass"; exit 1; }
    echo "$line" >>"$work/tree/$file"
    if check_tree "$work/tree" >/dev/null; then
        echo "not noticed: $line in $file"
        exit 1
    fi
}

top=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
broken=$work/broken

expect_offence src/base/good.c '#include "formats/image.h"'
expect_offence src/kernels/good.c '#  include "nn/encoder.h"'
expect_offence src/nn/good.c '#include "models/model.h"'
expect_offence src/nn/good.c '#include "elsewhere/model.h"'
expect_offence src/cli/good.c '#include "base/error.h"'
expect_offence src/gst/good.c '#include "base/error.h"'
expect_offence examples/good.c '#include "base/error.h"'
expect_offence include/vitrine.h '#include <stdio.h>'

check_tree "$top"
