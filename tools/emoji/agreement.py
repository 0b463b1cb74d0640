#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How far runs of vitrine classify agree with the first of them.

    for r in 0 2 4 8; do
        build/vitrine classify -q -k650 --merge $r --format=csv tests/data/emoji/pictures >/tmp/merge$r.csv
    done
    python3 tools/emoji/agreement.py tests/data/emoji/pictures/expected.jsonl /tmp/merge[0248].csv

Each run names all classes of all pictures. Prints for each: pictures whose best class is the true one, and
whose best is the first run's; the mean |difference| of the probability of the first run's best class, and of
all classes.
"""
import csv
import json
import os
import sys
from collections import defaultdict


def read_scores(path):
    scores = defaultdict(dict)
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            scores[os.path.basename(row["image"])][int(row["index"])] = float(row["score"])
    return scores


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def main() -> None:
    with open(sys.argv[1]) as file:
        truth = {entry["file"]: entry["label"] for entry in map(json.loads, file)}
    runs = [read_scores(path) for path in sys.argv[2:]]
    first = runs[0]
    best = {file: max(scores, key=scores.get) for file, scores in first.items()}
    for path, run in zip(sys.argv[2:], runs):
        found = {file: max(scores, key=scores.get) for file, scores in run.items()}
        print(f"{path}: {len(first)} pictures, right {sum(found[f] == truth[f] for f in first)}, "
              f"as the first run {sum(found[f] == best[f] for f in first)}, "
              f"mean |dp| of its best class {mean(abs(run[f][best[f]] - first[f][best[f]]) for f in first):.4f}, "
              f"of all {mean(abs(run[f][c] - p) for f in first for c, p in first[f].items()):.1e}")


if __name__ == "__main__":
    main()
