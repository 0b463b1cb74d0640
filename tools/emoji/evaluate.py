#!/usr/bin/env python3
"""Measure a model on real picture files, the way a user's picture reaches it.

    evaluate.py --config config.json --weights model.safetensors \\
                --png png --sizes 64 96 128 160 192 224 256

The 256 px PNGs that render.py kept go through the ordinary evaluation pipeline:
alpha over white, Pillow's bicubic resize of the short edge to the model's size,
centre crop, mean = std = 0.5; then the network in fp32 on the F16 weights.
Prints Markdown tables: every style at the native size, then the sizes.
"""
import argparse
import json
import pathlib

import numpy as np
import torch
from PIL import Image

import vit
from render import STYLES
from train import TRAIN_STYLES


def load(path):
    """A picture file as RGB, transparent parts white."""
    picture = Image.open(path).convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB")


def prepare(picture, size):
    """timm's evaluation transform for crop_pct = 1: uint8 [size, size, 3]."""
    short = min(picture.size)
    if short != size:
        wide, high = (int(size * edge / short) for edge in picture.size)
        picture = picture.resize((wide, high), Image.BICUBIC)
    left, top = (round((edge - size) / 2) for edge in picture.size)
    return np.asarray(picture.crop((left, top, left + size, top + size)))


@torch.inference_mode()
def hits(model, pictures, labels, size):
    """Two bool arrays: is the label the top class, and is it among the top five."""
    first, fifth = [], []
    for start in range(0, len(pictures), 128):
        part = np.stack([prepare(p, size) for p in pictures[start:start + 128]])
        x = torch.from_numpy(part).permute(0, 3, 1, 2).float() / 255
        top = model((x - 0.5) / 0.5).topk(5, 1)[1].numpy()
        hit = top == labels[start:start + 128, None]
        first.append(hit[:, 0])
        fifth.append(hit.any(1))
    return np.concatenate(first), np.concatenate(fifth)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--config", type=pathlib.Path, required=True, help="the model's config.json")
    add("--weights", type=pathlib.Path, required=True, help="its model.safetensors")
    add("--png", type=pathlib.Path, required=True, help="folder of CLASS_STYLE.png")
    add("--sizes", type=int, nargs="*", default=[],
        help="other sizes to measure the training styles at (default: none)")
    add("--threads", type=int, default=2)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    config = json.loads(args.config.read_text())
    native = config["model_args"]["img_size"]
    model = vit.build(config, args.weights).eval()

    pictures, labels, styles = [], [], []
    for path in sorted(args.png.glob("*.png")):
        number, style = path.stem.split("_", 1)
        pictures.append(load(path))
        labels.append(int(number))
        styles.append(style)
    labels, styles = np.array(labels), np.array(styles)
    seen = np.isin(styles, TRAIN_STYLES)

    first, fifth = hits(model, pictures, labels, native)

    def row(name, chosen, kind):
        print(f"| {name} | {kind} | {chosen.sum()} "
              f"| {100 * first[chosen].mean():.1f}% | {100 * fifth[chosen].mean():.1f}% |")

    print("| style | | drawings | top-1 | top-5 |\n|---|---|--:|--:|--:|")
    for style in STYLES:
        kind = "trained on" if style in TRAIN_STYLES else "never seen"
        row(style, styles == style, kind)
    row("all six", seen, "trained on")

    if args.sizes:
        print("\n| size | top-1 | top-5 |\n|--:|--:|--:|")
        chosen = [p for p, s in zip(pictures, seen) if s]
        for size in args.sizes:
            one, five = hits(model, chosen, labels[seen], size)
            print(f"| {size} | {100 * one.mean():.1f}% | {100 * five.mean():.1f}% |", flush=True)


if __name__ == "__main__":
    main()
