#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Patch kernels resized as FlexiViT and timm's resample_patch_embed do it, by torch and a real
pseudo-inverse of the whole resize matrix, in float64.

    python3 tools/golden/patch_resize.py tests/data/patch_resize.safetensors

Needs torch, numpy and safetensors. The committed file was made with torch 2.13.0.
"""
import argparse

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file


def resize_matrix(old: int, new: int) -> torch.Tensor:
    """[new * new, old * old]: the bicubic, antialiased resize of a patch."""
    basis = torch.eye(old * old, dtype=torch.float64).reshape(old * old, 1, old, old)
    resized = F.interpolate(basis, size=(new, new), mode="bicubic", antialias=True, align_corners=False)
    return resized.reshape(old * old, new * new).T


def resize(kernels: torch.Tensor, new: int) -> torch.Tensor:
    old = kernels.shape[-1]
    inverse = torch.linalg.pinv(resize_matrix(old, new).T)
    flat = kernels.double().reshape(*kernels.shape[:2], old * old)
    return (flat @ inverse.T).reshape(*kernels.shape[:2], new, new)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    torch.manual_seed(0)
    tensors = {}
    for old, sizes in {8: (4, 6, 7, 8, 9, 12, 16), 16: (8, 10, 14, 30), 5: (3, 11)}.items():
        kernels = torch.randn(2, 3, old, old)
        tensors[f"kernels.{old}"] = kernels.numpy()
        for new in sizes:
            tensors[f"resized.{old}.{new}"] = np.ascontiguousarray(resize(kernels, new).float().numpy())
    save_file(tensors, parser.parse_args().out)


if __name__ == "__main__":
    main()
