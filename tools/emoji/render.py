#!/usr/bin/env python3
"""Draw every picked SVG once and pack the pictures into one .npz file.

    render.py --svg svg --out data.npz

Each drawing goes through librsvg's `rsvg-convert` at 256 px with a transparent
ground, is centred on a square, and is kept at three sizes (256, 160 and 96 px,
area-averaged): training at 64 px then samples the 96 px copy, and training at
224 px the 256 px copy, so that neither aliases nor blurs more than a real
picture of that size would.

The arrays in the file:

    x256, x160, x96   uint8 [n, 4, size, size], RGBA with colour already
                      multiplied by alpha (so that it can be resampled)
    label             int64 [n], the class
    style             int64 [n], an index into `styles`
    styles            the names of the styles
"""
import argparse
import json
import pathlib
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

# The order matters to nothing but the tables that evaluate.py prints.
STYLES = ["noto", "noto-v1", "twemoji", "fluent-emoji-flat", "fluent-emoji",
          "emojione", "emojione-v1", "openmoji"]
SIZES = (256, 160, 96)
FULL = SIZES[0]


def draw(svg, png):
    """Rasterise one SVG so that its longer side is FULL pixels."""
    subprocess.run(["rsvg-convert", "--keep-aspect-ratio", "-w", str(FULL),
                    "-h", str(FULL), str(svg), "-o", str(png)],
                   check=True, stderr=subprocess.DEVNULL)


def load(png):
    """Read one PNG as a centred, premultiplied FULL x FULL x 4 picture."""
    picture = Image.open(png).convert("RGBA")
    square = Image.new("RGBA", (FULL, FULL))
    square.paste(picture, ((FULL - picture.width) // 2,
                           (FULL - picture.height) // 2))
    rgba = np.asarray(square).astype(np.float32)
    rgba[..., :3] *= rgba[..., 3:] / 255
    return rgba.round().astype(np.uint8)


def shrink(rgba, size):
    """Area-average a premultiplied picture, one channel at a time."""
    if size == FULL:
        return rgba.transpose(2, 0, 1)
    return np.stack([
        np.asarray(Image.fromarray(channel).resize((size, size), Image.BOX))
        for channel in np.ascontiguousarray(rgba.transpose(2, 0, 1))])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--svg", type=pathlib.Path, required=True,
                        help="folder of CLASS_STYLE.svg, as pick.js writes it")
    parser.add_argument("--out", type=pathlib.Path, required=True,
                        help="the .npz file to write (about 2 GB)")
    parser.add_argument("--png", type=pathlib.Path,
                        help="keep the 256 px PNGs here; evaluate.py reads them")
    parser.add_argument("--jobs", type=int, default=2,
                        help="drawings made at a time (default 2)")
    args = parser.parse_args()

    scratch = tempfile.TemporaryDirectory()
    png_dir = args.png or pathlib.Path(scratch.name)
    png_dir.mkdir(parents=True, exist_ok=True)

    def one(svg):
        png = png_dir / (svg.stem + ".png")
        try:
            if not png.exists():
                draw(svg, png)
            rgba = load(png)
        except (OSError, subprocess.CalledProcessError):
            rgba = None
        if rgba is None or rgba[..., 3].mean() < 8:     # librsvg drew (almost) nothing
            png.unlink(missing_ok=True)
            return None
        return [shrink(rgba, size) for size in SIZES]

    svgs = sorted(args.svg.glob("*.svg"))
    with ThreadPoolExecutor(args.jobs) as pool:
        drawn = list(pool.map(one, svgs))

    kept = [(svg, copies) for svg, copies in zip(svgs, drawn) if copies]
    names = [svg.stem.split("_", 1) for svg, _ in kept]
    arrays = {f"x{size}": np.stack([copies[i] for _, copies in kept])
              for i, size in enumerate(SIZES)}
    np.savez(args.out, **arrays,
             label=np.array([int(number) for number, _ in names]),
             style=np.array([STYLES.index(style) for _, style in names]),
             styles=np.array(STYLES))
    print(f"{len(kept)} drawings kept, {len(svgs) - len(kept)} left out as unreadable or empty")


if __name__ == "__main__":
    main()
