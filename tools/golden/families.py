#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Goldens of families of pictures that shared/golden lacks: tests/data/golden, families.json.

Tiny random models in the real classes of timm, transformers and open_clip, saved as each of them publishes,
with what they answer at their own size and at others. Every case is run in float32 and in float64; the float64
answer is stored, and the tolerance of a stage is 8 times what float32 was off, as shared/golden has it.

    python -m venv v && v/bin/pip install torch==2.13.0 numpy safetensors
    v/bin/pip install --no-deps timm==1.0.28 transformers==4.57.6 open_clip_torch==3.3.0   # and what they ask for
    v/bin/python tools/golden/families.py tests/data/golden [CASE...]

torchvision is not needed (torchvision_stub.py).
"""
import copy
import importlib.metadata
import json
import pathlib
import sys
import zlib

import torch
from safetensors.torch import save_file

import torchvision_stub  # noqa: F401  before timm and open_clip
import families_timm
import families_hf
import families_open_clip

FLOORS = {"pos": 1e-5, "rope": 1e-5}  # of tolerances; 1e-6 elsewhere


def random_value(name: str, old: torch.Tensor) -> torch.Tensor:
    """A value that shows when its term is dropped: nothing is zero, no norm or LayerScale is one."""
    noise = torch.randn(old.shape)
    leaf = name.rsplit(".", 1)[-1]
    if leaf in ("logit_scale", "logit_bias"):
        return old
    if leaf == "freqs":  # RoPE-mixed: directions stay, as they were initialised, near enough
        return old + 0.1 * noise
    if leaf.startswith(("gamma", "lambda")):
        return 0.6 + 0.3 * noise
    if leaf.endswith("bias") and "table" not in leaf:
        return 0.2 * noise
    if leaf.endswith("weight") and not name.endswith("token_embedding.weight"):
        return 1 + 0.2 * noise if old.ndim == 1 else 1.2 * noise / (old[0].numel() ** 0.5)
    if leaf in ("proj", "text_projection"):  # open_clip's bare matrices, multiplied from the right
        return noise / old.shape[0] ** 0.5
    return 0.7 * noise  # tokens and tables


def randomise(model: torch.nn.Module) -> torch.nn.Module:
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:  # a fixed table stays
            parameter.data = random_value(name, parameter.data)
    return model.eval()


def run(case, stages_of, size):
    """The stages of one size in float64, and how far float32 is off."""
    image = torch.randn(1, 3, *size[:2]) if size else None
    answers = []
    for dtype in torch.float32, torch.float64:
        model = copy.deepcopy(case.model_at(size) if size else case.model).to(dtype)
        with torch.no_grad():
            answers.append(stages_of(model, image.to(dtype) if size else None))
    single, exact = answers
    off = {stage: (single[stage].double() - exact[stage].double()).abs().max().item() for stage in exact
           if exact[stage].is_floating_point()}
    return image, exact, off


def size_name(size) -> str:
    patch = f"p{size[2]}" if len(size) > 2 else ""
    return f"{size[0]}x{size[1]}{patch}"


def write(root: pathlib.Path, name: str, make) -> dict:
    torch.manual_seed(zlib.crc32(name.encode()))
    case = make(randomise)
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    case.save(folder)
    tensors, deviations = {}, {}
    passes = [(size, case.picture_stages, "." + size_name(size)) for size in case.sizes]
    if case.text_stages:
        passes.append((None, case.text_stages, ""))
    for number, (size, stages_of, suffix) in enumerate(passes):
        image, exact, off = run(case, stages_of, size)
        if size:
            tensors["input" + suffix] = image
        for stage, value in exact.items():
            if number > 1 and stage in ("embeddings", "block0", "block1", "block2"):
                continue  # two sizes show them
            tensors[stage + suffix] = (value.float() if value.is_floating_point() else value).contiguous()
            if stage in off:
                deviations[stage] = max(deviations.get(stage, 0), off[stage])
    save_file(tensors, folder / "expected.safetensors")
    tolerances = {stage: max(FLOORS.get(stage, 1e-6), float(f"{8 * off:.1e}")) for stage, off in deviations.items()}
    return {"case": name, "family": case.family, "reference": case.reference, "source_file": case.source_file,
            "pair": bool(case.text_stages), "suggested_atol": tolerances}


def versions() -> dict:
    return {package: importlib.metadata.version(package)
            for package in ("torch", "timm", "transformers", "open_clip_torch", "numpy", "safetensors")}


def main() -> None:
    root, wanted = pathlib.Path(sys.argv[1]), sys.argv[2:]
    index = root / "families.json"
    known = {entry["case"]: entry for entry in json.loads(index.read_text())["cases"]} if wanted else {}
    for module in families_timm, families_hf, families_open_clip:
        for name, make in module.CASES.items():
            if not wanted or name in wanted:
                known[name] = write(root, name, make)
                print(name, known[name]["suggested_atol"])
    index.write_text(json.dumps({"environment": versions(), "cases": list(known.values())}, indent=1) + "\n")


if __name__ == "__main__":
    main()
