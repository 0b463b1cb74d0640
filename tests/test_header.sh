#!/bin/sh
# SPDX-License-Identifier: MIT
#
# test_header.sh INCLUDE-FOLDER CC CXX: vitrine.h, included alone, and each of its _INIT macros used, as
# C11 and C++17 and what came after them, gives no warning; by these compilers, and by clang where it is.
set -eu

both="-fsyntax-only -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wundef
      -Wcast-qual -Wdouble-promotion -Wunused-macros -Werror"
only_c="-Wstrict-prototypes -Wmissing-prototypes -Wc++-compat"
only_cxx="-Wold-style-cast -Wzero-as-null-pointer-constant -Wextra-semi -Wnon-virtual-dtor -Weffc++"

# The header, and a variable made with each VT_SOMETHING_INIT, of the type vt_something.
write_program() {
    echo '#include <vitrine.h>'
    echo 'int use(void); int use(void) { size_t sum = 0;'
    sed -n 's/^#define VT_\([A-Z0-9_]*\)_INIT .*/\1/p' "$1/vitrine.h" | while read -r name; do
        type=vt_$(echo "$name" | tr A-Z a-z)
        echo "{ $type value = VT_${name}_INIT; sum += value.struct_size; }"
    done
    echo 'return sum > 0; }'
}

# Is each of these compilers content with it?
compile() {
    folder=$1 language=$2 options=$3 standards=$4
    shift 4
    write_program "$folder" >"$work/program"
    for compiler in "$@"; do
        for standard in $standards; do
            $compiler -x "$language" -std="$standard" $both $options -I"$folder" "$work/program" ||
                return 1
        done
    done
}

compile_all() {
    compile "$1" c "$only_c" "c11 c17" "$cc" $clang &&
        compile "$1" c++ "$only_cxx" "c++17 c++20" "$cxx" $clangxx
}

# The check itself must see an offence: the header with one more line must not pass.
expect_offence() {
    line=$1
    mkdir -p "$work/bad"
    sed "s|^#pragma GCC visibility pop|$line|" "$include/vitrine.h" >"$work/bad/vitrine.h"
    if compile_all "$work/bad" 2>/dev/null; then
        echo "not noticed: $line"
        exit 1
    fi
}

include=$1 cc=$2 cxx=$3
clang=$(command -v clang || true)
clangxx=$(command -v clang++ || true)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

[ "$(write_program "$include" | grep -c struct_size)" -ge 3 ] || {
    echo "the _INIT macros were not found"
    exit 1
}
expect_offence 'void vt_old_style();'
expect_offence 'static inline int vt_cut(double x) { return x; }'
expect_offence 'void vt_keyword(int class);'
expect_offence 'typedef struct { size_t struct_size; int x; } vt_bad;\
#define VT_BAD_INIT {.struct_size = 8}'

compile_all "$include"
echo "no warning by $cc, $cxx ${clang:-(no clang)} $clangxx"
