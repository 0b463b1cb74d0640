#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Hold a sweep's accuracy against PyTorch, on the very same files.

    reference.py --labels pictures/labels.csv --sweep sweep.csv --sizes 64 128 224 320

Runs the model of tools/emoji/vit.py (fp32 on the F16 weights, timm's resize of the position table,
Pillow's pictures) over the files that labels.csv names at each size, and prints how many have their
label for the best class and among the best five, beside what the sweep's rows say. Ends with code 1
when a count differs. Needs PyTorch, Pillow, NumPy and safetensors.
"""
import argparse
import csv
import json
import pathlib
import sys

import numpy as np
import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "emoji"))
import vit  # noqa: E402
from evaluate import hits, load  # noqa: E402


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model", type=pathlib.Path, default=ROOT / "weights" / "emoji-vit")
    add("--labels", type=pathlib.Path, required=True)
    add("--sweep", type=pathlib.Path, required=True)
    add("--sizes", type=int, nargs="+", default=[64, 128, 224, 320])
    add("--threads", type=int, default=1)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    config = json.loads((args.model / "config.json").read_text())
    model = vit.build(config, args.model / "model.safetensors").eval()
    rows = read(args.labels)
    labels = np.array([int(row["label"]) for row in rows])
    groups = np.array([row["group"] for row in rows])
    found = {(row["size"], row["group"]): row for row in read(args.sweep)}

    different = 0
    print("| size | group | pictures | top-1, PyTorch | vitrine | top-5, PyTorch | vitrine |")
    print("|--:|---|--:|--:|--:|--:|--:|")
    for size in args.sizes:
        pictures = [load(args.labels.parent / row["file"].replace("{size}", str(size)))
                    for row in rows]
        first, fifth = hits(model, pictures, labels, size)
        for group in ["all", *dict.fromkeys(groups)]:
            chosen = np.full(len(rows), True) if group == "all" else groups == group
            row = found[f"{size}x{size}", group]
            images = int(row["images"])
            ours = [round(float(row[key]) * images) for key in ("top1", "top5")]
            theirs = [int(first[chosen].sum()), int(fifth[chosen].sum())]
            different += ours != theirs or images != chosen.sum()
            print(f"| {size} | {group} | {images} | {theirs[0]} | {ours[0]} "
                  f"| {theirs[1]} | {ours[1]} |", flush=True)
    print(f"\n{different} of these rows differ")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
