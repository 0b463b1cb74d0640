#!/bin/sh
# Make the text of the study: the King James Bible as Debian packages it.
#
#   text.sh [DIRECTORY]        (default: the current directory)
#
# writes DIRECTORY/train.txt (Genesis to Colossians) and DIRECTORY/heldout.txt
# (1 Thessalonians to Revelation, the last 5 %): one verse a line without
# its reference, an empty line between chapters.
#
# Needs apt-get, dpkg and awk. Nothing is installed: the two packages are
# unpacked into a temporary directory. Their `bible` program holds the text in
# compressed form and prints any range of verses.
set -eu

case "${1-}" in -h|--help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit ;; esac

mkdir -p "${1-.}"
out=$(cd "${1-.}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

apt-get download bible-kjv bible-kjv-text
for package in *.deb; do dpkg -x "$package" .; done

# Each line is a reference and the verse: "1Cor13:1 Though I speak with ...".
usr/bin/bible -f -p usr/lib/ Gen1:1-Rev22:21 </dev/null | tr -d '\r' | awk -v out="$out" '
    {
        reference = $1
        sub(/^[^ ]+ +/, "")
        chapter = reference
        sub(/:.*/, "", chapter)
        if (chapter ~ /^1Th/) heldout = 1
        file = out (heldout ? "/heldout.txt" : "/train.txt")
        if (file == last && chapter != previous) print "" > file
        print > file
        last = file
        previous = chapter
    }'

wc -c "$out/train.txt" "$out/heldout.txt"
