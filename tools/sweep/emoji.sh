#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tools/sweep/emoji.sh SVG [VITRINE]: what docs/SWEEP.md shows of the emoji drawings. SVG is the folder of
# CLASS_STYLE.svg (tools/emoji/README.md says where they come from). Draws a sample at every size, sweeps the
# bundled model over 64 to 320 px and over the rules that resize its positions at 96 and 224 px, and puts the
# charts into docs/images. Prints the tables. Ten minutes on one core; needs rsvg-convert and gnuplot.
set -eu
svg=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."
vitrine=${2-build/vitrine}
work=build/sweep-emoji
mkdir -p "$work" docs/images

python3 tools/sweep/pictures.py --svg "$svg" --out "$work/pictures" --sizes 64:320:16
"$vitrine" sweep -t 1 --sizes 64:320:16 --labels "$work/pictures/labels.csv" --resume -o "$work/sizes"
"$vitrine" sweep -t 1 --sizes 96,224 --labels "$work/pictures/labels.csv" --resume -o "$work/rules" \
    --pos-resize bicubic-antialias,bicubic,bicubic-offset,bicubic-corners,bilinear,bilinear-antialias,bilinear-corners
"$vitrine" inspect --size 192 --pos-map docs/images/pos-map.png >/dev/null
cp "$work/sizes/sweep.png" docs/images/sweep-emoji.png
tools/sweep/tables.sh "$work/sizes/sweep.csv" "$work/rules/sweep.csv"
