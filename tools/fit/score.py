#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How many pictures are named as the folders that they are in.

    vitrine classify --head HEAD -k 5 --format=json FOLDER | score.py

Prints: pictures, top-1 and top-5 in per cent, and the mean score of the best class. With --numbers a
class is what stands before the first _ of the file's name, the number of a class of the model itself.
"""
import json
import pathlib
import sys

numbers = sys.argv[1:] == ["--numbers"]
count = first = among_five = 0
score = 0.0
for line in sys.stdin:
    picture = json.loads(line)
    path = pathlib.Path(picture["image"])
    best = picture["predictions"][:5]
    found = [p["index"] if numbers else p["label"] for p in best]
    wanted = int(path.name.split("_")[0]) if numbers else path.parent.name
    count += 1
    first += found[0] == wanted
    among_five += wanted in found
    score += best[0]["score"]
print(f"{count} pictures, top-1 {100 * first / count:.1f}%, top-5 {100 * among_five / count:.1f}%, "
      f"mean score {100 * score / count:.1f}%")
