#!/usr/bin/env python3
"""Log training losses of pre-LN and post-LN, with and without warm-up.

    curves.py --text train.txt --out weights/positions/curves.csv

Four short trainings of the RoPE model: the same first weights, the same text
in the same order, the same learning rate, which is held after the warm-up (if
any) and chosen high. Gradients are not clipped, which would soften what is to
be seen. The CSV has the training loss in bits per byte, each row the mean of
the steps since the row before.
"""
import argparse
import csv
import math

import torch

import model as lm
from train import read, train

RUNS = ("pre_warm", "pre_nowarm", "post_warm", "post_nowarm")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", required=True, help="the file to train on")
    parser.add_argument("--out", required=True, help="the CSV file to write")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate")
    parser.add_argument("--warmup", type=int, default=100, help="steps of warm-up")
    parser.add_argument("--every", type=int, default=5, help="steps to a row")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pause", help="sleep while this file exists")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    text = read(args.text)

    curves = []
    for name in RUNS:
        norm, warm = name.split("_")
        config = lm.Config("rope", norm_first=norm == "pre")
        losses = train(lm.ByteLM(config).initialise(args.seed), text, steps=args.steps,
                       batch=args.batch, context=256, peak=args.rate,
                       warmup=args.warmup if warm == "warm" else 0, decay=False,
                       clip=None, seed=args.seed, pause=args.pause)
        bits = torch.tensor(list(losses)) / math.log(2)
        curves.append(bits.view(-1, args.every).mean(1).tolist())
        print(f"{name:12} first {curves[-1][0]:.3f}, worst {max(curves[-1]):.3f}, "
              f"last {curves[-1][-1]:.3f} bits per byte", flush=True)

    with open(args.out, "w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["step", *RUNS])
        for row, values in enumerate(zip(*curves), 1):
            table.writerow([row * args.every, *(f"{value:.4f}" for value in values)])


if __name__ == "__main__":
    main()
