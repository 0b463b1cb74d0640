#!/bin/sh
# SPDX-License-Identifier: MIT
#
# test_one_program.sh ROOT: the program in vitrine.h's head comment, the one in README.md, and
# examples/classify.c behind its own head comment are the same text.
set -eu

from_header() {
    sed -n '/^ \*     #include/,/^ \*     }$/p' "$1/include/vitrine.h" | sed 's/^ \*     //; s/^ \*$//'
}

from_readme() {
    sed -n '/^```c$/,/^```$/{/^```$/q;/^```/!p}' "$1/README.md"
}

from_example() {
    sed -n '/^#include/,$p' "$1/examples/classify.c"
}

check() {
    from_example "$1" >"$work/example"
    grep -q '^int main' "$work/example" || return 1
    for place in header readme; do
        "from_$place" "$1" >"$work/$place"
        diff "$work/example" "$work/$place" || return 1
    done
}

# The check itself must see a difference in each of the three.
expect_offence() {
    mkdir -p "$work/tree/include" "$work/tree/examples"
    for file in include/vitrine.h README.md examples/classify.c; do
        cp "$root/$file" "$work/tree/$file"
    done
    check "$work/tree" >/dev/null || return 0 # said below
    sed -i 's/argc != 3/argc != 4/' "$work/tree/$1"
    if check "$work/tree" >/dev/null; then
        echo "not noticed: a change in $1"
        exit 1
    fi
}

root=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

expect_offence include/vitrine.h
expect_offence README.md
expect_offence examples/classify.c
check "$root"
