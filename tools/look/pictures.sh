#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tools/look/pictures.sh [VITRINE]: the pictures of docs/LOOKING.md, from images/ and the bundled model. Needs gnuplot,
# OpenBLAS and pngquant; a few seconds.
set -eu
cd "$(dirname "$0")/../.."
vitrine=${1-build/vitrine}
out=docs/images
mkdir -p "$out"

"$vitrine" attention images/emoji/lion_noto-v1_160.jpg --size 256 -o "$out/attention-rollout.png"
"$vitrine" attention images/emoji/lion_noto-v1_160.jpg --size 256 --method cam -o "$out/attention-cam.png"
"$vitrine" similar images/emoji/deer_noto-v1_384_pal.png images -k 9 --grid "$out/similar.png"
(cd images/emoji && set -- deer_*.png lion_*.jpg dolphin_*.webp tractor_*.gif metro_*.jpg guitar_*.bmp &&
    for picture; do echo "images/emoji/$picture"; done) |
    "$vitrine" embed --size 320 --pca "$out/embed-pca.png" --files-from -
for picture in attention-rollout attention-cam similar embed-pca; do
    pngquant --force --ext .png "$out/$picture.png" # a third of the bytes
done
