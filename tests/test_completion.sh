#!/bin/sh
# SPDX-License-Identifier: MIT
#
# test_completion.sh COMMAND SCRIPTS-FOLDER MAN-FOLDER
# What the completions of bash, zsh and fish answer, and whether mandoc (else man) finds fault with the man
# pages. A program that is not installed is left out, and named.
set -eu

command=$1 scripts=$2 pages=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export HF_HUB_CACHE="$work/cache" LC_ALL=C HOME="$work"
snapshot=cache/models--org--m/snapshots/0123456789012345678901234567890123456789
mkdir -p "$snapshot" cache/models--org--m/refs "a folder"
touch "$snapshot/model.safetensors" "cat's.png" dog.png
echo 0123456789012345678901234567890123456789 >cache/models--org--m/refs/v2
mkdir bin
ln -s "$command" bin/vitrine
PATH=$work/bin:$PATH

fail() {
    echo "$*"
    exit 1
}

has() {
    command -v "$1" >/dev/null || {
        echo "left out: $1 is not installed"
        return 1
    }
}

# expect LINE ANSWER…: what $ask says to the line, in one line and sorted.
expect() {
    line=$1
    shift
    said=$($ask "$line" | LC_ALL=C sort | tr '\n' ' ')
    [ "$said" = "$*${*:+ }" ] || fail "$ask: '$line': '$said' where '$*' was expected"
}

# Words are cut as readline cuts them, at the marks in $COMP_WORDBREAKS.
cat >bash-ask <<'END'
source "$SCRIPTS/vitrine.bash"
COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=() rest=$1
while [[ $rest =~ ^[[:blank:]]*([=:@]+|[^=:@[:blank:]]+) ]]; do
    COMP_WORDS+=("${BASH_REMATCH[1]}")
    rest=${rest#"${BASH_REMATCH[0]}"}
done
[[ -z $rest && $1 == *[^[:blank:]] ]] || COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_vitrine
[[ ${#COMPREPLY[@]} -eq 0 ]] || printf '%s\n' "${COMPREPLY[@]}"
END
ask_bash() {
    SCRIPTS=$scripts bash --norc bash-ask "$1"
}

# zsh's own functions are those of its line editor: they say here what they were asked for.
cat >zsh-ask <<'END'
compset() { IPREFIX=${PREFIX[1,$2]}; PREFIX=${PREFIX[$2+1,-1]}; }
_describe() {
    local candidate
    for candidate in "${(@P)4}"; do
        candidate=${candidate%%:*}
        [[ $candidate == "$PREFIX"* ]] && print -r -- "$IPREFIX$candidate"
    done
}
_files() { print -r -- "files:$*:$PREFIX"; }
words=("${(@s: :)1}") CURRENT=$#words PREFIX=$words[-1] IPREFIX=
source "$SCRIPTS/_vitrine"
END
ask_zsh() {
    SCRIPTS=$scripts zsh -f zsh-ask "$1"
}

ask_fish() {
    SCRIPTS=$scripts fish -c 'source $SCRIPTS/vitrine.fish; complete -C $argv[1]' "$1" | cut -f1
}

if has bash; then
    bash -n "$scripts/vitrine.bash"
    ask=ask_bash
    expect "vitrine clas" classify
    expect "vitrine classify --form" --format=
    expect "vitrine classify --format=" csv json text
    expect "vitrine classify --format=c" csv
    expect "vitrine classify --format c" csv
    expect "vitrine classify -m o" org/m@v2
    expect "vitrine classify -m org/m@" v2
    expect "vitrine classify --model=org/" org/m@v2
    expect "vitrine classify -mor" -morg/m@v2
    expect "vitrine classify -md" -mdog.png
    expect "vitrine classify dog.png --pos-resize=bilinear-a" bilinear-antialias
    expect "vitrine bench --kernels=s" scalar
    expect "vitrine help env" environment
    expect "vitrine classify d" # paths are left to readline
    expect "vitrine classify --nothing-of-ours"
    expect "vitrine nothing-of-ours --"
    expect "~/bin/vitrine insp" inspect
    expect "./no-such-vitrine insp"
fi

if has zsh; then
    zsh -n "$scripts/_vitrine"
    ask=ask_zsh
    expect "vitrine clas" classify
    expect "vitrine classify --form" --format=
    expect "vitrine classify --format=" --format=csv --format=json --format=text
    expect "vitrine classify --format c" csv
    expect "vitrine classify -m o" files::o org/m@v2
    expect "vitrine classify --model=o" --model=org/m@v2 files::o
    expect "vitrine classify d" files::d
    expect "vitrine pack --output=d" files:-/:d
    expect "vitrine help env" environment
fi

if has fish; then
    fish --no-execute "$scripts/vitrine.fish"
    ask=ask_fish
    expect "vitrine clas" classify
    expect "vitrine classify --form" --format=
    expect "vitrine classify --format=" --format=csv --format=json --format=text
    expect "vitrine classify --format c" csv
    expect "vitrine classify -m o" org/m@v2
    expect "vitrine classify --model=o" --model=org/m@v2
    expect "vitrine classify d" dog.png
    expect "vitrine classify --labels=d" --labels=dog.png
    expect "vitrine classify --head cat" "cat's.png"
    expect "vitrine pack --output=a" "--output=a folder/"
    expect "vitrine help env" environment
fi

[ -e "$pages/vitrine.1" ] && [ "$(ls "$pages" | wc -l)" -gt 10 ] || fail "no man pages in $pages"
for page in "$pages"/*; do
    name=$(basename "$page" .1)
    [ "$name" = vitrine ] || vitrine help "${name#vitrine-}" >/dev/null 2>&1 || fail "a page too many: $page"
done
for name in $(vitrine --complete "" | sed -n '2,$s/\t.*//p'); do
    [ -s "$pages/vitrine-$name.1" ] || fail "no page of $name"
done
if command -v mandoc >/dev/null; then
    mandoc -T lint "$pages"/*
elif has man; then
    for page in "$pages"/*; do
        faults=$(man --warnings -E UTF-8 -l "$page" 2>&1 >/dev/null)
        [ -z "$faults" ] || fail "$page: $faults"
    done
fi
