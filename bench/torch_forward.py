#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The pass of bench_forward in eager PyTorch: ViT-B/16 at 224, batch 1, random weights.

    python3 bench/torch_forward.py [THREADS [RUNS]]

Needs torch. Prints the minimum, median and maximum in milliseconds, after one warm-up.
"""
import statistics
import sys
import time

import torch
import torch.nn.functional as F

WIDTH, HEADS, DEPTH, TOKENS, PATCH, CLASSES = 768, 12, 12, 197, 16, 1000


def layer(outputs, inputs):
    return torch.randn(outputs, inputs) * 0.02, torch.zeros(outputs)


def make_block():
    return {"norm1": (torch.ones(WIDTH), torch.zeros(WIDTH)), "qkv": layer(3 * WIDTH, WIDTH),
            "proj": layer(WIDTH, WIDTH), "norm2": (torch.ones(WIDTH), torch.zeros(WIDTH)),
            "fc1": layer(4 * WIDTH, WIDTH), "fc2": layer(WIDTH, 4 * WIDTH)}


def block_forward(x, block):
    h = F.layer_norm(x, (WIDTH,), *block["norm1"], 1e-6)
    q, k, v = F.linear(h, *block["qkv"]).view(1, TOKENS, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
    attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(1, TOKENS, WIDTH)
    x = x + F.linear(attended, *block["proj"])
    h = F.layer_norm(x, (WIDTH,), *block["norm2"], 1e-6)
    return x + F.linear(F.gelu(F.linear(h, *block["fc1"])), *block["fc2"])


def main():
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 25
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    blocks = [make_block() for _ in range(DEPTH)]
    kernel, bias = torch.randn(WIDTH, 3, PATCH, PATCH) * 0.02, torch.zeros(WIDTH)
    cls, pos = torch.zeros(1, 1, WIDTH), torch.randn(1, TOKENS, WIDTH) * 0.02
    norm, head = (torch.ones(WIDTH), torch.zeros(WIDTH)), layer(CLASSES, WIDTH)
    pixels, times = torch.randn(1, 3, 224, 224), []
    with torch.inference_mode():
        for _ in range(runs + 1):
            start = time.perf_counter()
            x = F.conv2d(pixels, kernel, bias, PATCH).flatten(2).transpose(1, 2)
            x = torch.cat([cls, x], 1) + pos
            for block in blocks:
                x = block_forward(x, block)
            F.linear(F.layer_norm(x, (WIDTH,), *norm, 1e-6)[:, 0], *head)
            times.append(1e3 * (time.perf_counter() - start))
    times = sorted(times[1:])
    print(f"torch {torch.__version__}, {threads} threads: min {times[0]:.1f}, "
          f"median {statistics.median(times):.1f}, max {times[-1]:.1f} ms")


if __name__ == "__main__":
    main()
