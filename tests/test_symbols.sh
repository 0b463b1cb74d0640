#!/bin/sh
# SPDX-License-Identifier: MIT
#
# test_symbols.sh LIBRARY INCLUDE-FOLDER CC LIST [--update]: the shared library exports the functions that
# vitrine.h declares and nothing else, and these are the ones that the list names. With --update, writes
# the list.
set -eu
LC_ALL=C
export LC_ALL

# Names of the functions that a header declares: of each declaration, the vt_NAME before a parenthesis.
list_declared() {
    echo '#include <vitrine.h>' | "$cc" -E -P -x c -I"$1" - | grep -v "^#" | tr '\n' ' ' | tr ';{}' '\n\n\n' |
        sed -n 's/^[^(]*[ *]\(vt_[a-z0-9_]*\) *(.*/\1/p' | sort
}

list_exported() {
    nm -D --defined-only "$1" | awk '{print $3}' | sort
}

# compare FILE FILE FIRST SECOND: says what is in one and not in the other.
compare() {
    only_first=$(comm -23 "$1" "$2")
    only_second=$(comm -13 "$1" "$2")
    [ -z "$only_first" ] || echo "$3, but not $4:" $only_first
    [ -z "$only_second" ] || echo "$4, but not $3:" $only_second
    [ -z "$only_first$only_second" ]
}

# The check itself must see a declaration of each shape.
expect_declared() {
    mkdir -p "$work/small"
    cat >"$work/small/vitrine.h" <<'END'
#pragma GCC visibility push(default)
typedef void (*vt_log_fn)(void *user, const char *line); /* vt_comment(void); */
typedef struct vt_allocator { void *(*allocate)(void *user); vt_log_fn log; } vt_allocator;
int vt_one(void);
const char *vt_two(const vt_allocator *a,
                   vt_log_fn fn);
unsigned long
vt_three (vt_allocator (*of)(int));
END
    [ "$(list_declared "$work/small" | tr '\n' ' ')" = "vt_one vt_three vt_two " ] || {
        echo "declarations were not found: $(list_declared "$work/small")"
        exit 1
    }
}

library=$1 include=$2 cc=$3 list=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

expect_declared
list_declared "$include" >"$work/declared"
list_exported "$library" >"$work/exported"
compare "$work/declared" "$work/exported" "declared in vitrine.h" "exported by libvitrine.so"
if [ "${5:-}" = --update ]; then
    cp "$work/declared" "$list"
    echo "$list: $(wc -l <"$list") functions"
    exit
fi
compare "$work/declared" "$list" "declared in vitrine.h" "in ${list##*/}" || {
    echo "A function more is a new minor version, one less a new ABI: docs/LIBRARY.md. When it is meant so:"
    echo "    cmake --build $(dirname "$library") --target update-symbols"
    exit 1
}
