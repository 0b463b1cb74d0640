#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One random vision transformer in the form that each contender takes.

    python3 bench/peers/models.py ARCH SIZE BATCH FOLDER

writes to FOLDER
    config.json, model.safetensors   for vitrine, as timm publishes them
    pixels.safetensors               the input, F32 [BATCH, 3, SIZE, SIZE]
    model.onnx                       the same model as a graph
    model.int8.onnx                  its products quantised by onnxruntime (where that is installed)

The modules have timm's names and compute what timm's VisionTransformer does; needs torch and onnx.
"""
import json
import math
import os
import sys
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

HEAD_DIM = 64
SIZES = {"tiny": (192, 12), "small": (384, 12), "base": (768, 12), "large": (1024, 24)}


def describe(arch):
    """What a name says: width, depth, patch, and the kind of model."""
    parts = arch.split("_")
    if parts[0] not in ("vit", "deit") or parts[1] not in SIZES:
        sys.exit(f"models.py: no architecture {arch!r}: vit_, then one of {', '.join(SIZES)}")
    width, depth = SIZES[parts[1]]
    return {"width": width, "depth": depth, "patch": int(parts[2].removeprefix("patch")),
            "layer_scale": "dinov2" in parts, "map": "siglip" in parts,
            "classes": 0 if "dinov2" in parts or "siglip" in parts else 1000}


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.num_heads = width // HEAD_DIM
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.fused = True  # False: spelled out, for graphs

    def forward(self, x):
        b, n, d = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.num_heads, HEAD_DIM).permute(2, 0, 3, 1, 4).unbind(0)
        return self.proj(attend(q, k, v, self.fused).transpose(1, 2).reshape(b, n, d))


def attend(q, k, v, fused):
    if fused:
        return F.scaled_dot_product_attention(q, k, v)
    return torch.softmax(q * HEAD_DIM**-0.5 @ k.transpose(-2, -1), -1) @ v


class Mlp(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class LayerScale(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * self.gamma


class Block(nn.Module):
    def __init__(self, width, layer_scale):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, 1e-6)
        self.attn = Attention(width)
        self.ls1 = LayerScale(width) if layer_scale else nn.Identity()
        self.norm2 = nn.LayerNorm(width, 1e-6)
        self.mlp = Mlp(width)
        self.ls2 = LayerScale(width) if layer_scale else nn.Identity()

    def forward(self, x):
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class AttentionPool(nn.Module):
    """One learned query looks at all tokens (SigLIP)."""

    def __init__(self, width):
        super().__init__()
        self.num_heads = width // HEAD_DIM
        self.latent = nn.Parameter(torch.zeros(1, 1, width))
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, 1e-6)
        self.mlp = Mlp(width)
        self.fused = True

    def forward(self, x):
        b, n, d = x.shape
        q = self.q(self.latent.expand(b, -1, -1)).reshape(b, 1, self.num_heads, HEAD_DIM).transpose(1, 2)
        k, v = self.kv(x).reshape(b, n, 2, self.num_heads, HEAD_DIM).permute(2, 0, 3, 1, 4).unbind(0)
        x = self.proj(attend(q, k, v, self.fused).transpose(1, 2).reshape(b, 1, d))
        return (x + self.mlp(self.norm(x)))[:, 0]


class PatchEmbed(nn.Module):
    def __init__(self, patch, width):
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)

    def forward(self, pixels):
        return self.proj(pixels).flatten(2).transpose(1, 2)


class VisionTransformer(nn.Module):
    def __init__(self, arch, size):
        super().__init__()
        kind = describe(arch)
        width, tokens = kind["width"], (size // kind["patch"]) ** 2
        self.patch_embed = PatchEmbed(kind["patch"], width)
        self.cls_token = None if kind["map"] else nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens + (not kind["map"]), width))
        self.blocks = nn.Sequential(
            *[Block(width, kind["layer_scale"]) for _ in range(kind["depth"])])
        self.norm = nn.LayerNorm(width, 1e-6)
        self.attn_pool = AttentionPool(width) if kind["map"] else None
        self.head = nn.Linear(width, kind["classes"]) if kind["classes"] else nn.Identity()

    def forward(self, pixels):
        x = self.patch_embed(pixels)
        if self.cls_token is not None:
            x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], 1)
        x = self.norm(self.blocks(x + self.pos_embed))
        return self.head(self.attn_pool(x) if self.attn_pool is not None else x[:, 0])

    def spell_out_attention(self):
        for module in self.modules():
            if hasattr(module, "fused"):
                module.fused = False


def randomise(model):
    """Values of trained sizes: gains near 1, everything else of deviation 0.02."""
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        is_gain = "norm" in name and name.endswith("weight") or name.endswith("gamma")
        nn.init.normal_(parameter, 1.0 if is_gain else 0.0, 0.1 if is_gain else 0.02)
    return model.eval().requires_grad_(False)


# ---- safetensors: a length, a JSON header, the bytes --------------------------------------------


def write_safetensors(path, tensors):
    header, offset = {}, 0
    for name, array in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(array.shape),
                        "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in tensors.values():
            file.write(np.ascontiguousarray(array).tobytes())


def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        body = file.read()
    return {name: np.frombuffer(body, np.float32, offset=entry["data_offsets"][0],
                                count=math.prod(entry["shape"])).reshape(entry["shape"])
            for name, entry in header.items()}


def load(folder):
    """The model that prepare() wrote, and its input."""
    with open(os.path.join(folder, "config.json")) as file:
        config = json.load(file)
    model = VisionTransformer(config["architecture"], config["model_args"]["img_size"])
    weights = read_safetensors(os.path.join(folder, "model.safetensors"))
    model.load_state_dict({name: torch.tensor(array) for name, array in weights.items()})
    return model.eval().requires_grad_(False), torch.tensor(load_pixels(folder))


def load_pixels(folder):
    return read_safetensors(os.path.join(folder, "pixels.safetensors"))["pixels"]


# ---- files -------------------------------------------------------------------------------------


def export_onnx(model, pixels, path):
    model.spell_out_attention()
    warnings.simplefilter("ignore", DeprecationWarning)  # of the exporter that needs no onnxscript
    torch.onnx.export(model, (pixels,), path, dynamo=False, opset_version=17,
                      input_names=["pixels"], output_names=["scores"])


def quantise(source, target):
    """Dynamic, as onnxruntime advises for transformers, after its own preparation of the graph."""
    try:
        from onnxruntime.quantization import QuantType, quantize_dynamic
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError:
        return
    quant_pre_process(source, target, skip_symbolic_shape=True)
    quantize_dynamic(target, target, op_types_to_quantize=["MatMul", "Gemm"],
                     weight_type=QuantType.QInt8, per_channel=True)


def prepare(arch, size, batch, folder):
    os.makedirs(folder, exist_ok=True)
    model = randomise(VisionTransformer(arch, size))
    pixels = torch.rand(batch, 3, size, size) * 2 - 1
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump({"architecture": arch, "num_classes": describe(arch)["classes"],
                   "model_args": {"img_size": size}, "pretrained_cfg": {}}, file)
    write_safetensors(os.path.join(folder, "model.safetensors"),
                      {name: tensor.numpy() for name, tensor in model.state_dict().items()})
    write_safetensors(os.path.join(folder, "pixels.safetensors"), {"pixels": pixels.numpy()})
    onnx = os.path.join(folder, "model.onnx")
    export_onnx(model, pixels, onnx)
    quantise(onnx, os.path.join(folder, "model.int8.onnx"))


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    prepare(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
