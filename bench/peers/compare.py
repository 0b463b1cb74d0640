#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""vitrine and other engines on one model with the same weights and input, taking turns.

    python3 bench/peers/compare.py --arch vit_base_patch16_224 --threads 2 --rounds 5 --runs 10

Every engine is a process of its own, ready and waiting; in a turn one of them passes the input twice
and reports the second time, while the others sleep. A round is `--runs` turns of each. Prints a table
in Markdown: medians, spread, how ours compares (the ratio of medians; the least and the greatest of the
rounds), and how far scores lie from eager PyTorch's. Only the standard library and NumPy are needed here; see
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

# What each engine is made of. Another precision of vitrine's goes here, as vitrine_peer's first argument.
PRECISIONS = {OURS: "f32"}
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
    parser.add_argument("--csv", metavar="FILE", help="write every single time there")
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
    # A thread for each that is asked for, also where a library reads only the environment; as many
    # as that spin no longer than a pause lasts.
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
    """Of all runs' medians, and the least and the greatest of the rounds'."""
    rounds = [statistics.median(a) / statistics.median(b) for a, b in zip(ours.times, peer.times)]
    whole = statistics.median(all_times(ours)) / statistics.median(all_times(peer))
    return whole, min(rounds), max(rounds)


def print_table(peers, scores):
    ours = peers[0]
    print("| engine | version | median ms | p5..p95 | ours / theirs (min..max of rounds) | peak MB | "
          "max score difference |")
    print("|---|---|--:|--:|--:|--:|--:|")
    for peer in peers:
        times = all_times(peer)
        low, high = np.percentile(times, [5, 95])
        ratio = "" if peer is ours else "{:.3f} ({:.3f}..{:.3f})".format(*ratios(ours, peer))
        print(f"| {peer.name} | {peer.version} | {statistics.median(times):.2f} | {low:.2f}..{high:.2f} | "
              f"{ratio} | {peer.peak_mb():.0f} | {difference(scores, peer.name)} |")


def difference(scores, name):
    if REFERENCE not in scores:
        return "not compared"
    return f"{np.abs(scores[name] - scores[REFERENCE]).max():.2g}" if name != REFERENCE else "reference"


def describe_scores(scores):
    if REFERENCE not in scores:
        return
    reference = scores[REFERENCE]
    same = [name for name in scores if name != REFERENCE
            and (scores[name].argmax(-1) == reference.argmax(-1)).all()]
    print(f"\nScores {list(reference.shape)} of PyTorch lie in {reference.min():.3f}..{reference.max():.3f}; "
          f"the largest is the same one in {', '.join(same) or 'none of the others'}.")


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


def write_csv(path, peers):
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
        print_table(peers, scores)
        describe_scores(scores)
        if args.csv:
            write_csv(args.csv, peers)
        for peer in peers:
            peer.close()


if __name__ == "__main__":
    main()
