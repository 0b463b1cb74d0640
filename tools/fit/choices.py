#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the choices in `vitrine fit` change, on the emoji drawings: docs/FIT.md says which were made.

    choices.py [--work build/fit-emoji] [--vitrine build/vitrine]

Fits, with NumPy in float64, to the folders that emoji.sh made, and scores on the styles that are not in
them: as `fit` does, and with one choice made otherwise in each line. "left out" is the share of the
folder's pictures that is right when each is left out; then come top-1 on each style, of all pictures and,
in brackets, the mean over classes. "uneven" is groups-6 with five pictures alone in every second group.
Some minutes.
"""
import argparse
import pathlib
import subprocess

import numpy as np

STRENGTHS = 10.0 ** (np.arange(28) / 3 - 6)
STYLES = ("emojione-v1", "openmoji")


def calibrated_loss(outputs, classes, weight):
    """-log of the probability of the true class, at the best scale of the outputs."""
    count = np.count_nonzero(weight)
    doubt = 1 / (count + 1)
    own = (1 - doubt) * outputs[np.arange(len(classes)), classes] + doubt * outputs.mean(1)
    top = outputs.max(1, keepdims=True)
    low, high = 0.0, np.log(1e8)
    for _ in range(24):
        scale = np.exp((low + high) / 2)
        share = np.exp(scale * (outputs - top))
        total = share.sum(1, keepdims=True)
        mean = (share / total * outputs).sum(1)
        if (weight * (mean - own)).sum() < 0:
            low = np.log(scale)
        else:
            high = np.log(scale)
    loss = np.log(total[:, 0]) + scale * top[:, 0] - scale * own
    return (weight * loss).sum() / weight.sum()


class Fit:
    def __init__(self, x, classes, balanced=True, keep_part=True, criterion="loss"):
        count, sizes = len(x), np.bincount(classes)
        weight = count / (len(sizes) * sizes[classes]) if balanced else np.ones(count)
        y = np.eye(len(sizes))[classes]
        root = np.sqrt(weight)[:, None]
        x_mean, y_mean = weight @ x / count, weight @ y / count
        z, t = root * (x - x_mean), root * (y - y_mean)
        s, v = np.linalg.eigh(z.T @ z)
        s = np.maximum(s, 0)
        a, b, unit = z @ v, (z @ v).T @ t, s.sum() / x.shape[1]
        rows, least = np.arange(count), np.inf
        for strength in STRENGTHS:
            g = 1 / (s + strength * unit)
            h = (a ** 2) @ g + weight / count
            left_out = y - (t - a @ (g[:, None] * b)) / (1 - h)[:, None] / root
            if keep_part:
                left_out[rows, classes] *= sizes[classes] / np.maximum(sizes[classes] - 1, 1)
            if criterion == "loss":
                error = calibrated_loss(left_out, classes, np.where(sizes[classes] > 1, weight, 0))
            else:
                error = (weight * ((y - left_out) ** 2).sum(1)).sum()
            if error <= least:
                least, self.strength = error, strength
                self.weight = v @ (g[:, None] * b)
                self.bias = y_mean - x_mean @ self.weight
                self.left_out = (left_out.argmax(1) == classes).mean()

    def right(self, x, classes):
        good = (x @ self.weight + self.bias).argmax(1) == classes
        return good.mean(), np.mean([good[classes == k].mean() for k in np.unique(classes)])


def standardised(x, like):
    return (x - like.mean(0)) / like.std(0)


def unit_length(x, like):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


CHOICES = {
    "as fit does": {},
    "plain leave-one-out": dict(keep_part=False),
    "plain, by squared error": dict(keep_part=False, criterion="square"),
    "by squared error": dict(criterion="square"),
    "pictures weigh the same": dict(balanced=False),
    "columns of variance 1": dict(change=standardised),
    "vectors of length 1": dict(change=unit_length),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("build/fit-emoji"))
    parser.add_argument("--vitrine", default="build/vitrine")
    args = parser.parse_args()

    subprocess.run([args.vitrine, "embed", "-q", "-o", args.work / "vectors.npy", args.work / "png"],
                   check=True)
    vectors = np.load(args.work / "vectors.npy").astype(np.float64)
    row_of = {path.name: i for i, path in enumerate(sorted((args.work / "png").glob("*.png")))}

    def pictures(folder):
        names = sorted(path.name for path in folder.iterdir())
        found = [(row_of[png.name], k) for k, name in enumerate(names)
                 for png in sorted((folder / name).iterdir())]
        rows, classes = np.array(found).T
        return vectors[rows], classes, names

    for task in ("groups-3", "groups-6", "uneven", "things-3", "things-6"):
        folder = "groups-6" if task == "uneven" else task
        x, classes, names = pictures(args.work / "fit" / folder)
        if task == "uneven":
            kept = [i for i, k in enumerate(classes) if k % 2 == 0 or i - (classes < k).sum() < 5]
            x, classes = x[kept], classes[kept]
        for title, options in CHOICES.items():
            options = dict(options)
            change = options.pop("change", lambda some, like: some)
            fit = Fit(change(x, x), classes, **options)
            scores = []
            for style in STYLES:
                other, other_classes, other_names = pictures(
                    args.work / "score" / folder.split("-")[0] / style)
                wanted = np.array([names.index(name) for name in other_names])[other_classes]
                scores.append("%s %.1f%% (%.1f%%)" % (
                    style, *(100 * share for share in fit.right(change(other, x), wanted))))
            print(f"{task:9} {title:24} strength {fit.strength:8.2g}  left out {100 * fit.left_out:.1f}%  ",
                  "  ".join(scores), flush=True)


if __name__ == "__main__":
    main()
