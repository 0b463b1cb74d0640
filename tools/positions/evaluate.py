#!/usr/bin/env python3
"""Measure the trained models with PyTorch, as a reference for the engine.

    evaluate.py --weights weights/positions

Reads the checkpoints and heldout.txt in that directory and writes there
  reference.json      bits per byte of every model, scaling and context;
  golden.safetensors  MODEL.logits of the first 64 bytes, MODEL.nll600 (nats)
                      of bytes 2 to 600, also for RoPE scaled at factor 4.
F32 arithmetic on the F16 weights.
"""
import argparse
import json
import math
import pathlib
import time

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

import model as lm
from train import read

MODELS = ("learned", "sinusoidal", "t5", "alibi", "rope", "rope-window", "rope-linear4-ft")
CONTEXTS = (256, 512, 1024, 2048, 4096)
TRAINED = 256

PROTOCOL = (
    "The first `bytes` bytes of the text in windows of `context` bytes, one after the other. "
    "Each window is run on its own and every byte of it but the first is predicted; the "
    "mean of -log2 p over all predicted bytes. The whole window is the sequence whose "
    "length sets the dynamic scaling.")


def scalings():
    """Name and rope_scaling as a function of the context, for the plain RoPE model."""
    def fixed(kind, factor):
        return lambda context: {"rope_type": kind, "factor": factor}

    def fitted(kind):
        return lambda context: {"rope_type": kind, "factor": max(context / TRAINED, 1.0)}

    for kind in ("linear", "ntk", "yarn"):
        yield f"rope + {kind}", fitted(kind)
    for kind in ("linear", "ntk", "dynamic", "yarn"):
        yield f"rope + {kind} 4", fixed(kind, 4.0)


@torch.inference_mode()
def nll(model, window):
    """Nats for each byte but the first of windows [n, context]."""
    logits = model(window)[:, :-1]
    return F.cross_entropy(logits.transpose(1, 2), window[:, 1:], reduction="none")


def measure(model, text, context):
    """Bits per byte, and the same by sixteenths of the window."""
    windows = text[:len(text) // context * context].view(-1, context).long()
    rows = torch.cat([nll(model, part) for part in windows.split(max(1, 4096 // context))])
    rows = rows / math.log(2)
    by_place = [part.mean().item() for part in rows.tensor_split(16, dim=1)]
    return rows.mean().item(), by_place


def write(path, reference):
    """JSON with one result a line."""
    results = ",\n  ".join(json.dumps(row) for row in reference["results"])
    body = json.dumps({**reference, "results": []}, indent=1)
    path.write_text(body.replace("[]", f"[\n  {results}\n ]") + "\n")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True, type=pathlib.Path)
    parser.add_argument("--bytes", type=int, default=65536, help="of the held-out text")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pause", type=pathlib.Path, help="sleep while this file exists")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    text = read(args.weights / "heldout.txt")

    cases = [(name, name, None) for name in MODELS]
    cases += [(name, "rope", scaling) for name, scaling in scalings()]
    rows, golden = [], {}
    for name, directory, scaling in cases:
        line = [f"{name:18}"]
        for context in CONTEXTS:
            changes = {"rope_scaling": scaling(context)} if scaling else {}
            model = lm.load(args.weights / directory, **changes)
            bits = None
            if context <= TRAINED or directory != "learned":
                while args.pause and args.pause.exists():
                    time.sleep(1)
                bits, by_place = measure(model, text[:args.bytes], context)
                rows.append({"name": name, "model": directory, "context": context,
                             "rope_scaling": model.config.rope_scaling,
                             "bits_per_byte": round(bits, 5),
                             "by_sixteenth": [round(place, 4) for place in by_place]})
            line.append(f"{bits:8.4f}" if bits else "     -  ")
        print(*line, flush=True)

        if scaling and not name.endswith("4"):
            continue
        first = text[:TRAINED if directory == "learned" else 600].long()[None]
        key = name.replace(" ", "").replace("+", ".")
        golden[f"{key}.nll600"] = nll(model, first)[0]
        with torch.inference_mode():
            golden[f"{key}.logits"] = model(first[:, :64])

    reference = {"text": "heldout.txt", "bytes": args.bytes, "protocol": PROTOCOL,
                 "trained_context": TRAINED, "results": rows}
    write(args.weights / "reference.json", reference)
    save_file({key: value.clone() for key, value in golden.items()},
              args.weights / "golden.safetensors")


if __name__ == "__main__":
    main()
