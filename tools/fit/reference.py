#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Hold a head against scikit-learn's Ridge, in float64, on the same vectors.

    vitrine embed -o vectors.npy FOLDER
    vitrine fit FOLDER -o head.safetensors --format=json > fit.json
    reference.py --folder FOLDER --vectors vectors.npy --head head.safetensors --fit fit.json

Solves the same problem with the strength that `fit` chose, and again without each picture in turn.
Prints the largest differences of weights, of the confusion and of the share that is right. FOLDER must
hold nothing but folders of pictures that can be read. Needs NumPy, scikit-learn and safetensors.
"""
import argparse
import json
import os

import numpy as np
from safetensors.numpy import load_file
from sklearn.linear_model import Ridge


def pictures(folder):
    """Paths and classes, in the order of `embed` and `fit`; copies within a class come once."""
    paths, classes, first = [], [], []
    for number, name in enumerate(sorted(os.listdir(folder), key=os.fsencode)):
        seen = set()
        for file in sorted(os.listdir(os.path.join(folder, name)), key=os.fsencode):
            path = os.path.join(folder, name, file)
            content = open(path, "rb").read()
            paths.append(path)
            classes.append(number)
            first.append(content not in seen)
            seen.add(content)
    return paths, np.array(classes), np.array(first)


def weights_of(classes, count):
    sizes = np.bincount(classes)
    return count / (len(sizes) * sizes[classes])


def ridge(x, y, weight, strength):
    return Ridge(alpha=strength, solver="cholesky", tol=0).fit(x, y, sample_weight=weight)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("folder", "vectors", "head", "fit"):
        parser.add_argument("--" + name, required=True)
    args = parser.parse_args()

    said = json.load(open(args.fit))
    _, classes, first = pictures(args.folder)
    x = np.load(args.vectors).astype(np.float64)[first]
    classes = classes[first]
    count = len(x)
    assert count == said["pictures"], (count, said["pictures"])
    y = np.eye(classes.max() + 1)[classes]
    weight = weights_of(classes, count)
    head = load_file(args.head)

    fit = ridge(x, y, weight, said["lambda"])
    for name, found, expected in (("weight", head["weight"], fit.coef_),
                                  ("bias", head["bias"], fit.intercept_)):
        difference = np.abs(found / said["scale"] - expected).max()
        print(f"{name}: largest {np.abs(expected).max():.4g}, largest difference {difference:.2g}")

    confusion = np.zeros((y.shape[1],) * 2, int)
    sizes = np.bincount(classes)
    for i, own in enumerate(classes):
        others = np.arange(count) != i
        raised = y[others].copy()
        raised[:, own] *= sizes[own] / max(sizes[own] - 1, 1)
        outputs = ridge(x[others], raised, weight[others], said["lambda"]).predict(x[i:i + 1])[0]
        confusion[own, outputs.argmax()] += 1
    print(f"left out, right: {np.trace(confusion) / count:.6f}, fit says {said['left_out_accuracy']:.6f}")
    print(f"confusion: {np.abs(confusion - np.array(said['confusion'])).sum()} pictures elsewhere")


if __name__ == "__main__":
    main()
