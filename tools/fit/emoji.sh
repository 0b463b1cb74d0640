#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tools/fit/emoji.sh SVG CLASSES [VITRINE]: what docs/FIT.md says of the emoji drawings. SVG is the folder of
# CLASS_STYLE.svg and CLASSES their classes.json (tools/emoji/README.md says where they come from). Sorts the
# drawings into folders, fits to those of some styles, and scores on the styles that are in none of the
# folders; puts the picture of what is taken for what into docs/images. Three minutes on two cores; needs
# Python, rsvg-convert and gnuplot.
set -eu
svg=$(cd "$1" && pwd)
classes=$(realpath "$2")
cd "$(dirname "$0")/../.."
vitrine=${3-build/vitrine}
work=build/fit-emoji
mkdir -p "$work" docs/images

python3 tools/fit/pictures.py --svg "$svg" --classes "$classes" --out "$work"

score() { # SET STYLE [OPTION]...
    set=$1 style=$2
    shift 2
    "$vitrine" classify -q -k 5 --format=json "$@" "$work/score/$set/$style"
}

for folder in groups-3 groups-6 halves-6 things-3 things-6; do
    set=${folder%-*}
    echo "== $folder"
    "$vitrine" fit -q "$work/fit/$folder" -o "$work/$folder.safetensors" \
        --confusion "$work/$folder.png" --unsure 3
    for style in emojione-v1 openmoji; do
        printf '%s: ' "$style"
        score "$set" "$style" --head "$work/$folder.safetensors" | python3 tools/fit/score.py
    done
done
echo "== the model's own classifier"
for style in emojione-v1 openmoji; do
    printf '%s: ' "$style"
    score things "$style" | python3 tools/fit/score.py --numbers
done
cp "$work/groups-6.png" docs/images/fit-confusion.png
