#!/bin/sh
# SPDX-License-Identifier: MIT
#
# test_scale.sh VITRINE ROOT: runs the commands of docs/SCALE.md as they stand there, and compares what
# they leave with what one process says. Ends with 77 (skipped) where GNU parallel is not installed, having
# run the commands that need none.
set -eu

vitrine=$1
root=$(cd "$2" && pwd)
manual=$root/docs/SCALE.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
    echo "$1" >&2
    exit 1
}

# ---- what the commands find --------------------------------------------------------------------------

mkdir bin home
ln -s "$vitrine" bin/vitrine
ln -s "$root/tests/data/golden/timm_vit_token" MODEL
PATH=$work/bin:$PATH HOME=$work/home VITRINE_MODEL=MODEL LC_ALL=C
export PATH HOME VITRINE_MODEL LC_ALL
unset PARALLEL || true

# 42 files, two of which are no pictures.
make_pictures() {
    mkdir -p "pictures/a folder/deep"
    for i in 1 2 3 4 5 6 7 8 9 10; do
        cp "$root/images/photos/chelsea.png" "pictures/cat $i.png"
        cp "$root/images/photos/rocket.jpg" "pictures/a folder/\"rocket\" \$$i.jpg"
        cp "$root/images/emoji/rainbow_noto_224.png" "pictures/a folder/deep/r'$i\\.png"
        cp "$root/images/photos/coffee.png" "pictures/café $i.png"
    done
    echo "no picture" >"pictures/bad one.png"
    : >pictures/empty.png
}

# Results without what differs from run to run.
plain() {
    sed 's/, "ms": {[^}]*}//' "$@"
}

# What one process says of the names on standard input.
expect() {
    vitrine classify -q -t 1 --format json "$@" --files-from - >raw 2>/dev/null || [ $? -eq 1 ]
    plain raw >expected
    [ "$(grep -c '"predictions"' expected)" -eq 40 ] || fail "expected 40 pictures with results"
}

expect_same() {
    cmp -s "$2" "$3" && return
    diff "$2" "$3" | head -5 >&2
    fail "docs/SCALE.md, $1: not what one process says"
}

# ---- the commands ------------------------------------------------------------------------------------

# The block behind <!-- run: NAME -->.
block() {
    awk -v mark="<!-- run: $1 -->" '
        $0 == mark { wanted = 1; next }
        wanted && /^```sh$/ { inside = 1; next }
        inside && /^```$/ { exit }
        inside' "$manual"
}

# Runs it; a picture that could not be read is no reason to fail, and each is named once.
run() {
    block "$1" >block.sh
    [ -s block.sh ] || fail "docs/SCALE.md has no commands named $1"
    sh block.sh 2>errors || [ $? -le 2 ] || fail "docs/SCALE.md, $1: $(cat errors)"
}

in_order() {
    rm -f out.jsonl
    run "$1"
    plain out.jsonl >found
    expect_same "$1" found expected
}

in_any_order() {
    rm -f out.jsonl
    run "$1"
    plain out.jsonl | sort >found
    sort expected >sorted
    expect_same "$1" found sorted
}

# Half of the results, and half a line.
cut_off() {
    head -n 20 raw
    sed -n '21s/^\(.\{60\}\).*/\1/p' raw | tr -d '\n'
}

check_one() {
    in_order one
    cut_off >out.jsonl
    run one
    plain out.jsonl | sort -u >found
    sort expected >sorted
    expect_same one found sorted
}

run_array() {
    for SLURM_ARRAY_TASK_ID in 0 1 2; do
        SLURM_ARRAY_TASK_COUNT=3 SLURM_CPUS_PER_TASK=1
        export SLURM_ARRAY_TASK_ID SLURM_ARRAY_TASK_COUNT SLURM_CPUS_PER_TASK
        run array
    done
    plain results/*.jsonl | sort -u >found
    sort expected >sorted
    expect_same array found sorted
}

check_array() {
    cp names list
    run_array
    size=$(wc -c <results/1.jsonl)
    head -c $((size / 2)) results/1.jsonl >half # what a task had that was ended there
    mv half results/1.jsonl
    run_array
}

check_resume() {
    cp names list
    cut_off >out.jsonl
    run resume
    [ "$(grep -vc '}$' out.jsonl)" -eq 1 ] || fail "resume: one line was cut off, and no other"
    grep '}$' out.jsonl | plain | sort -u >found
    sort expected >sorted
    expect_same resume found sorted
    cp out.jsonl before
    run resume # failures alone are left
    [ "$(grep -c predictions out.jsonl)" -eq "$(grep -c predictions before)" ] ||
        fail "resume: what was done is done again"
}

marks=$(grep -c '^<!-- run: ' "$manual")
[ "$marks" -eq "$(grep -c '^```sh$' "$manual")" ] || fail "a block of docs/SCALE.md has no name"
[ "$marks" -eq 8 ] || fail "docs/SCALE.md has $marks blocks, and 8 are run here"

make_pictures
find pictures -type f | sort >names
expect <names
check_one
check_array
in_order pack

if ! parallel --version 2>/dev/null | grep -q '^GNU parallel'; then
    echo "skipped: GNU parallel is not installed (Debian: parallel)"
    exit 77
fi
in_any_order pipe
in_order order
check_resume
mv "pictures/cat 1.png" "pictures/two
lines.png"
find pictures -type f -print0 >list0
expect -0 <list0
in_any_order null
in_order operands
