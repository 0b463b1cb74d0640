#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What queries make of their keys in small models: the softmax of each block, as timm computes it.

    python3 tools/golden/attention.py tests/data/golden tests/data/attention.safetensors

Needs torch, timm and safetensors; the committed file was made with torch 2.13.0 and timm 1.0.31. timm hands the
softmax to each attention's dropout, whose input is what is kept. The models run in float64. Names:
CASE.block0 [heads][tokens][tokens], of the first picture of the case's input.
"""
import json
import sys
from pathlib import Path

import torchvision_stub  # noqa: F401  before timm
import timm
import torch
from safetensors.torch import load_file, save_file

# A class token; a norm of each head; BEiT's bias; rotations, shared by all heads and each head's own.
CASES = ("timm_vit_token", "timm_vit_qknorm", "timm_beit", "timm_dinov3", "timm_vit_rope_mixed")
SIZES = ("48x48", "24x24")  # the models' own


def open_model(folder: Path) -> torch.nn.Module:
    config = json.loads((folder / "config.json").read_text())
    model = timm.create_model(config["architecture"], pretrained=False, num_classes=config["num_classes"],
                              global_pool=config["global_pool"], **config["model_args"])
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return model.eval().double()


def main() -> None:
    golden, out = Path(sys.argv[1]), {}
    for case in CASES:
        expected = load_file(golden / case / "expected.safetensors")
        model, kept = open_model(golden / case), []
        for block in model.blocks:
            block.attn.fused_attn = False
            block.attn.attn_drop.register_forward_pre_hook(lambda _, args: kept.append(args[0][0]))
        size = next(size for size in SIZES if f"input.{size}" in expected)
        with torch.no_grad():
            logits = model(expected[f"input.{size}"].double())
        known = expected.get(f"logits.{size}")
        if known is not None:
            print(f"{case}: logits differ by {(logits - known.double()).abs().max():.1e} from the stored ones")
        assert len(kept) == len(model.blocks)
        for i, probabilities in enumerate(kept):
            out[f"{case}.block{i}"] = probabilities.float().contiguous()
    save_file(out, sys.argv[2])


if __name__ == "__main__":
    main()
