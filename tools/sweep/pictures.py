#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draw a sample of the emoji drawings at every size of a sweep, with their labels.

    pictures.py --svg svg --out pictures --sizes 64:320:16

Each SVG is drawn by librsvg's `rsvg-convert` at each size on its own, as pictures/SIZE/NAME.png: no
picture is a resized one of another. pictures/labels.csv has the columns file,label,group for
`vitrine sweep --labels`, the file as {size}/NAME.png.

The sample: of each group, the drawings sorted by name (CLASS_STYLE.svg), --held-in (600) or --held-out
(300) of them at equal steps. Groups are "held-in", the six styles that the model was trained on, and
one for each style that it never saw. Left out are the five drawings that are not square, which would
need padding, and what librsvg draws nothing of. Needs nothing but Python and rsvg-convert.
"""
import argparse
import csv
import pathlib
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

TRAINED = ("noto", "noto-v1", "twemoji", "fluent-emoji-flat", "fluent-emoji", "emojione")
HELD_OUT = ("emojione-v1", "openmoji")
EMPTY = 1500  # bytes; the PNG of an empty drawing at the largest size has fewer


def sizes_of(text):
    """64:320:16 with its end, or 64,128."""
    if ":" in text:
        first, last, step = map(int, text.split(":"))
        return range(first, last + 1, step)
    return [int(size) for size in text.split(",")]


def is_square(svg):
    box = re.search(r'viewBox="\S+ \S+ (\S+) (\S+)"', svg.read_text())
    return box is not None and box[1] == box[2]


def draw(svg, png, size):
    if not png.exists():
        subprocess.run(["rsvg-convert", "-w", str(size), "-h", str(size), str(svg), "-o", str(png)],
                       check=True)


def sample(svgs, count):
    count = min(count, len(svgs))
    return [svgs[i * len(svgs) // count] for i in range(count)]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--svg", type=pathlib.Path, required=True, help="folder of CLASS_STYLE.svg")
    add("--out", type=pathlib.Path, required=True, help="folder to fill")
    add("--sizes", type=sizes_of, default=sizes_of("64:320:16"), help="FIRST:LAST:STEP or a list")
    add("--held-in", type=int, default=600, help="drawings of the six styles trained on (600)")
    add("--held-out", type=int, default=300, help="drawings of each style never seen (300)")
    add("--jobs", type=int, default=2)
    args = parser.parse_args()

    largest = max(args.sizes)
    for size in args.sizes:
        (args.out / str(size)).mkdir(parents=True, exist_ok=True)
    svgs = {style: [] for style in TRAINED + HELD_OUT}
    for svg in sorted(args.svg.glob("*.svg")):
        if is_square(svg):
            svgs[svg.stem.split("_", 1)[1]].append(svg)
    groups = [("held-in", sorted(sum((svgs[style] for style in TRAINED), [])), args.held_in)]
    groups += [(style, svgs[style], args.held_out) for style in HELD_OUT]

    rows = []
    with ThreadPoolExecutor(args.jobs) as pool:
        for group, drawings, count in groups:
            chosen = sample(drawings, count)
            targets = [args.out / str(largest) / (svg.stem + ".png") for svg in chosen]
            list(pool.map(draw, chosen, targets, [largest] * len(chosen)))
            for svg, png in zip(chosen, targets):
                if png.stat().st_size > EMPTY:
                    rows.append((svg, group))
        work = [(svg, args.out / str(size) / (svg.stem + ".png"), size)
                for size in args.sizes for svg, _ in rows]
        list(pool.map(lambda item: draw(*item), work))

    with open(args.out / "labels.csv", "w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("file", "label", "group"))
        table.writerows((f"{{size}}/{svg.stem}.png", int(svg.stem.split("_")[0]), group)
                        for svg, group in rows)
    print(f"{len(rows)} drawings at {len(args.sizes)} sizes: {args.out}/labels.csv")


if __name__ == "__main__":
    main()
