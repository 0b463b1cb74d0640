#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every ViT, DeiT, BEiT and EVA architecture of timm, one random block at its real width, against `vitrine dump`:
whether a name's heads, epsilon, activation, pooling and positions are what timm takes them for. No part of the
tests, which need neither Python nor the gigabyte that passes through here.

    python tools/golden/sweep.py build/vitrine [--widest 1800] [ARCHITECTURE...]

Needs what families.py needs. Prints what differs or is refused, and the counts; takes some minutes.
"""
import argparse
import collections
import pathlib
import re
import subprocess
import tempfile

import torch
from safetensors.torch import load_file, save_file

import torchvision_stub  # noqa: F401  before timm
import timm
from timm.models._hub import save_config_for_hf
from timm.models._registry import _model_to_module

from families import randomise

MODULES = ("vision_transformer", "deit", "beit", "eva")
TOLERANCE = 2e-5  # of the largest value


def make(name: str):
    """The model, of one block and 3 x 3 patches, and the arguments that make it so."""
    patch = re.search(r"patch(\d+)", name)
    arguments = {"depth": 1, "img_size": 3 * (int(patch.group(1)) if patch else 16)}
    return timm.create_model(name, num_classes=3, **arguments), arguments


def compare(vitrine: str, folder: pathlib.Path, model, arguments: dict):
    """None, or what is wrong."""
    randomise(model)
    model.pretrained_cfg = {**model.pretrained_cfg, "num_classes": 3}
    pixels = torch.randn(1, 3, arguments["img_size"], arguments["img_size"])
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / "model.safetensors")
    save_config_for_hf(model, folder / "config.json", model_args=dict(arguments))
    save_file({"pixels": pixels}, folder / "in.safetensors")
    run = subprocess.run([vitrine, "dump", "-m", folder, "--input", folder / "in.safetensors", "--output",
                          folder / "out.safetensors"], capture_output=True, text=True)
    if run.returncode or run.stderr.strip():
        return "refused" if "no known family" in run.stderr else run.stderr.strip()
    with torch.no_grad():
        features = model.forward_features(pixels)
        expected = {"features": features, "pooled": model.forward_head(features, pre_logits=True),
                    "logits": model(pixels)}
    found = load_file(folder / "out.safetensors")
    off = {stage: ((found[stage] - value).abs().max() / value.abs().max()).item()
           for stage, value in expected.items()}
    return None if max(off.values()) <= TOLERANCE else str(off)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vitrine")
    parser.add_argument("--widest", type=int, default=1800)
    parser.add_argument("architectures", nargs="*")
    options = parser.parse_args()
    names = options.architectures or [n for n in timm.list_models() if _model_to_module[n] in MODULES]
    counts = collections.Counter()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            model, arguments = make(name)
            if model.embed_dim > options.widest:
                counts["too wide"] += 1
                continue
            wrong = compare(options.vitrine, pathlib.Path(folder), model, arguments)
            counts["same" if not wrong else "refused" if wrong == "refused" else "different"] += 1
            if wrong:
                print(f"{name}: {wrong}", flush=True)
    print(", ".join(f"{count} {what}" for what, count in sorted(counts.items())))


if __name__ == "__main__":
    main()
