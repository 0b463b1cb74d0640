#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""vitrine and other engines on one model with the same weights and input, taking turns.

    python3 bench/peers/compare.py --arch vit_base_patch16_224 --threads 2 --rounds 5 --runs 10

Every engine is a process of its own, ready and waiting; in a turn one of them passes the input twice
and reports the second time, while the others sleep. A round is `--runs` turns of each. Prints a table
in Markdown: medians, spread, how ours compares (the ratio of each round's medians: its median, least and
greatest), and how far scores lie from eager PyTorch's. Only the standard library and NumPy are needed here; see
README.md for the engines.
"""
import argparse
import csv
import importlib.util
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
OURS = "vitrine"
REFERENCE = "torch"

# What each engine is made of; of ours, vitrine_peer's first argument.
PRECISIONS = {OURS: "f32", OURS + "-int8": "int8"}
MODULES = {"torch": "torch", "torch-compile": "torch", "onnxruntime": "onnxruntime",
           "onnxruntime-int8": "onnxruntime", "openvino": "openvino", "opencv": "cv2"}


class Peer:
    """One engine's process."""

    def __init__(self, name, command):
        self.name, self.times = name, []  # times: one list a round
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, bufsize=1)
        word, _, self.version = self._read().partition(" ")
        if word != "ready":
            raise RuntimeError(f"{name} did not start")

    def _read(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with code {self.process.wait()}")
        return line.strip()

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        return self._read()

    def run(self):
        return float(self.ask("run"))

    def scores(self, folder):
        path = os.path.join(folder, self.name + ".npy")
        self.ask("scores " + path)
        return np.load(path)

    def peak_mb(self):
        """Of the whole process, interpreter and imports included."""
        with open(f"/proc/{self.process.pid}/status") as file:
            return next(int(line.split()[1]) * 1.024e-3 for line in file if "VmHWM" in line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--arch", default="vit_base_patch16_224", help="see models.py")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=10, help="turns of each in a round")
    parser.add_argument("--warmups", type=int, default=1, help="untimed passes in each turn")
    parser.add_argument("--pause", type=float, default=40, metavar="MS",
                        help="between turns, for the last one's threads to stop spinning")
    parser.add_argument("--peers", default=",".join(MODULES), metavar="LIST")
    parser.add_argument("--vitrine", default=os.path.join(HERE, "../../build/bench/vitrine_peer"),
                        metavar="FILE", help="the program that the build makes of vitrine_peer.c")
    parser.add_argument("--csv", metavar="FILE", help="write the table there, too")
    parser.add_argument("--times", metavar="FILE", help="write every single time there")
    return parser.parse_args()


def installed(names):
    for name in names:
        if name not in MODULES:
            sys.exit(f"compare.py: no peer {name!r}: {', '.join(MODULES)}")
        if importlib.util.find_spec(MODULES[name]):
            yield name
        else:
            print(f"{name} is left out: {MODULES[name]} is not installed", file=sys.stderr)


def start_peers(args, folder):
    threads = str(args.threads)
    # For what a library runs before it is told, or where it is told by the environment alone.
    os.environ.update(OMP_NUM_THREADS=threads, MKL_NUM_THREADS=threads)
    commands = {name: [args.vitrine, precision, folder, threads]
                for name, precision in PRECISIONS.items()}
    for name in installed(args.peers.split(",")):
        commands[name] = [sys.executable, os.path.join(HERE, "peer.py"), name, folder, threads]
    peers = []
    for name, command in commands.items():
        try:
            peers.append(Peer(name, command))
        except RuntimeError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    return peers


def take_turns(peers, args):
    for peer in peers:
        peer.times.append([])
    for _ in range(args.runs):
        for peer in peers:
            time.sleep(args.pause * 1e-3)
            for _ in range(args.warmups):
                peer.run()
            peer.times[-1].append(peer.run())


# ---- results -----------------------------------------------------------------------------------


def all_times(peer):
    return [t for times in peer.times for t in times]


def ratios(ours, peer):
    """Of each round's medians: the median, the least and the greatest."""
    rounds = [statistics.median(a) / statistics.median(b) for a, b in zip(ours.times, peer.times)]
    return statistics.median(rounds), min(rounds), max(rounds)


def difference(scores, name):
    """The largest from the reference's, or None."""
    if name == REFERENCE or REFERENCE not in scores:
        return None
    return float(np.abs(scores[name] - scores[REFERENCE]).max())


def summarise(peers, scores):
    """One row an engine, ours first."""
    for peer in peers:
        times = all_times(peer)
        ratio, least, greatest = ratios(peers[0], peer)
        low, high = np.percentile(times, [5, 95])
        yield {"engine": peer.name, "version": peer.version, "median_ms": statistics.median(times),
               "p5_ms": low, "p95_ms": high, "ratio": ratio, "ratio_min": least,
               "ratio_max": greatest, "peak_mb": peer.peak_mb(),
               "score_difference": difference(scores, peer.name)}


def print_table(rows):
    print("| engine | version | median ms | p5..p95 | ours / theirs (min..max of rounds) | peak MB | "
          "score difference |")
    print("|---|---|--:|--:|--:|--:|--:|")
    for row in rows:
        ratio = "{ratio:.3f} ({ratio_min:.3f}..{ratio_max:.3f})".format(**row)
        far = row["score_difference"]
        print("| {engine} | {version} | {median_ms:.2f} | {p5_ms:.2f}..{p95_ms:.2f} |".format(**row),
              "" if row["engine"] == OURS else ratio, f"| {row['peak_mb']:.0f} |",
              "" if far is None else f"{far:.2g}", "|")


def write_table(path, rows):
    with open(path, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(rows[0])
        for row in rows:
            table.writerow(f"{value:.6g}" if isinstance(value, float) else value
                           for value in row.values())


def check_scores(scores):
    """Other scores than PyTorch's would mean that something else was timed."""
    if REFERENCE not in scores:
        return
    reference = scores[REFERENCE]
    same = [name for name in scores if name != REFERENCE
            and (scores[name].argmax(-1) == reference.argmax(-1)).all()]
    print(f"\nPyTorch's {reference.size} scores lie in {reference.min():.3f}..{reference.max():.3f}; "
          f"the largest is the same one in {', '.join(same) or 'none of the others'}.")
    for name in scores:
        if "int8" not in name and (difference(scores, name) or 0) > 1e-4 * np.abs(reference).max():
            print(f"{name} computes something else", file=sys.stderr)


def describe_machine(args):
    processor = platform.processor() or platform.machine()
    with open("/proc/cpuinfo") as file:
        processor = next((line.split(": ")[1].strip() for line in file if "model name" in line),
                         processor)
    load = os.getloadavg()[0]
    print(f"{args.arch} at {args.size}, batch {args.batch}, {args.threads} threads on {processor}, "
          f"{os.cpu_count()} processors, load {load:.2f} before; {args.rounds} rounds of {args.runs} runs.\n")
    if load > 0.5:
        print("the machine is not idle: these times say little", file=sys.stderr)


def write_times(path, peers):
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["engine", "version", "round", "run", "ms"])
        for peer in peers:
            for number, times in enumerate(peer.times):
                for run, ms in enumerate(times):
                    rows.writerow([peer.name, peer.version, number, run, f"{ms:.4f}"])


def main():
    args = parse_arguments()
    describe_machine(args)
    with tempfile.TemporaryDirectory(prefix="vitrine-peers-") as folder:
        subprocess.run([sys.executable, os.path.join(HERE, "models.py"), args.arch, str(args.size),
                        str(args.batch), folder], check=True)
        peers = start_peers(args, folder)
        if not peers or peers[0].name != OURS:
            sys.exit("compare.py: vitrine itself did not start")
        scores = {peer.name: peer.scores(folder) for peer in peers}
        for number in range(args.rounds):
            take_turns(peers, args)
            print(f"round {number + 1} of {args.rounds}", file=sys.stderr)
        rows = list(summarise(peers, scores))
        print_table(rows)
        check_scores(scores)
        if args.csv:
            write_table(args.csv, rows)
        if args.times:
            write_times(args.times, peers)
        for peer in peers:
            peer.close()


if __name__ == "__main__":
    main()
