#!/bin/sh
# SPDX-License-Identifier: MIT
#
# test_hardening.sh COMMAND LIBRARY: what the builds of a release are made with. The command runs at an address
# that changes (PIE); tables of addresses are read-only once it runs (RELRO, bound at the start); no memory is
# both writable and executable, the stack is not executable; functions with buffers have canaries, and calls
# of the C library with a known size check it.
set -eu
LC_ALL=C
export LC_ALL

fail() {
    echo "$1: $2"
    exit 1
}

check_file() {
    file=$1
    readelf -hW "$file" | grep -q 'Type: *DYN' || fail "$file" "not position-independent"
    readelf -lW "$file" >"$work/segments"
    grep -q GNU_RELRO "$work/segments" || fail "$file" "no RELRO"
    grep -q GNU_STACK "$work/segments" || fail "$file" "says nothing about its stack"
    ! grep -E '^ *GNU_STACK.* RWE ' "$work/segments" || fail "$file" "an executable stack"
    ! grep -E '^ *LOAD.* RWE ' "$work/segments" || fail "$file" "memory that is writable and executable"
    readelf -dW "$file" | grep -q -E 'BIND_NOW|FLAGS.*NOW' || fail "$file" "not bound at the start"
    nm -D "$file" >"$work/symbols"
    grep -q __stack_chk_fail "$work/symbols" || fail "$file" "no stack protector"
    grep -q -E '__[a-z]+_chk(@|$)' "$work/symbols" || fail "$file" "no FORTIFY_SOURCE"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The check itself must see what is missing: each of these lacks something.
if [ "$#" -eq 3 ]; then
    cc=$3
    all="-O2 -fPIE -pie -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -Wl,-z,relro,-z,now"
    (printf '#include <stdio.h>\n#include <string.h>\nint main(int n, char **a) { char b[64];'
     printf ' strcpy(b, a[n - 1]); return puts(b) < 0; }\n') >"$work/p.c"
    $cc $all -o "$work/good" "$work/p.c"
    (check_file "$work/good") || fail "$work/good" "hardened, and does not pass"
    for lacking in "-no-pie" "-Wl,-z,norelro" "-Wl,-z,lazy" "-Wl,-z,execstack" "-fno-stack-protector" \
        "-U_FORTIFY_SOURCE"; do
        $cc $all $lacking -o "$work/bad" "$work/p.c" 2>/dev/null
        if (check_file "$work/bad") >/dev/null; then
            fail "$work/bad" "passes with $lacking"
        fi
    done
fi

check_file "$1"
check_file "$2"
