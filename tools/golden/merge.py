#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What small timm ViTs answer when their tokens are merged (Bolya et al. 2023, "Token Merging: Your ViT
But Faster"), in float64, from the paper's definition.

    python3 tools/golden/merge.py tests/data/golden tests/data/merge.safetensors
    python3 tools/golden/merge.py --tome TOME tests/data/golden /tmp/merge.safetensors

The second form has the authors' own code do the matching and merging: TOME is a checkout of
https://github.com/facebookresearch/ToMe. With commit af95e4b1befa172dadccd8c81e223b10090f9579 both forms
wrote the same file, bit for bit; that commit's tome.patch.timm on timm 1.0.28's own models gives the
logits of timm_vit_token and timm_deit_distilled to 1.1e-7. Needs torch, numpy and safetensors; the committed file was made
with torch 2.13.0.
"""
import argparse
import importlib.util
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

# case: (heads, prefix tokens, sizes)
CASES = {
    "timm_vit_token": (3, 1, ("48x48", "96x72")),
    "timm_deit_distilled": (2, 2, ("48x48",)),
    "timm_vit_avg_fcnorm": (2, 1, ("48x48", "56x56")),
    "timm_vit_siglip_map": (2, 0, ("48x48",)),
}
PAIRS = (2, 5, 1000)


def merge(x, size, metric, pairs, prefix):
    """Tokens [t, width] and their sizes [t] after one merge; metric [t, head_dim]."""
    t = len(x)
    pairs = min(pairs, (t - prefix) // 2)
    if pairs == 0:
        return x, size
    metric = F.normalize(metric, dim=-1)
    a = [i for i in range(0, t, 2) if i >= prefix]
    b = [i for i in range(1, t, 2) if i >= prefix]
    similarity, partner = (metric[a] @ metric[b].T).max(dim=1)
    ranked = similarity.argsort(descending=True, stable=True).tolist()
    gone, left = ranked[:pairs], ranked[pairs:]
    if prefix:  # the published code sorts for the class token's sake
        left.sort()
    order = list(range(prefix)) + [a[i] for i in left] + b
    place = {token: row for row, token in enumerate(order)}
    weighted, total = (x * size[:, None])[order], size[order]
    for i in gone:
        row = place[b[partner[i]]]
        weighted[row] += x[a[i]] * size[a[i]]
        total[row] += size[a[i]]
    return weighted / total[:, None], total


def merge_as_published(tome):
    spec = importlib.util.spec_from_file_location("tome_merge", Path(tome) / "tome" / "merge.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(x, size, metric, pairs, prefix):
        fn, _ = module.bipartite_soft_matching(metric[None], pairs, prefix > 0, prefix > 1)
        x, size = module.merge_wavg(fn, x[None], size[None, :, None])
        return x[0], size[0, :, 0]

    return run


class Vit:
    def __init__(self, weights, heads, prefix, merge_fn):
        self.w = {name: tensor.double() for name, tensor in weights.items()}
        self.heads, self.prefix, self.merge_fn = heads, prefix, merge_fn
        self.depth = 1 + max(int(n.split(".")[1]) for n in weights if n.startswith("blocks."))

    def linear(self, name, x):
        return F.linear(x, self.w[name + ".weight"], self.w.get(name + ".bias"))

    def norm(self, name, x):
        return F.layer_norm(x, x.shape[-1:], self.w[name + ".weight"], self.w[name + ".bias"], 1e-6)

    def mlp(self, name, x):
        return self.linear(name + ".fc2", F.gelu(self.linear(name + ".fc1", x)))

    def split(self, x):  # [t, width] to [heads, t, head_dim]
        return x.reshape(len(x), self.heads, -1).transpose(0, 1)

    def attend(self, q, k, v, size):
        scores = q @ k.transpose(1, 2) / q.shape[-1] ** 0.5 + size.log()
        return (scores.softmax(-1) @ v).transpose(0, 1).reshape(q.shape[1], -1)

    def block(self, i, x, size, pairs):
        name = f"blocks.{i}"
        q, k, v = map(self.split, self.linear(f"{name}.attn.qkv", self.norm(f"{name}.norm1", x)).chunk(3, -1))
        x = x + self.linear(f"{name}.attn.proj", self.attend(q, k, v, size))
        x, size = self.merge_fn(x, size, k.mean(0), pairs, self.prefix)
        return x + self.mlp(f"{name}.mlp", self.norm(f"{name}.norm2", x)), size

    def embed(self, pixels, pos):
        patches = F.conv2d(pixels[None], self.w["patch_embed.proj.weight"], self.w["patch_embed.proj.bias"],
                           stride=self.w["patch_embed.proj.weight"].shape[-1])[0].flatten(1).T
        prefix = [self.w[n][0] for n in ("cls_token", "dist_token") if n in self.w]
        return torch.cat(prefix + [patches]) + pos

    def attention_pool(self, x, size):
        q = self.linear("attn_pool.q", self.w["attn_pool.latent"][0])
        k, v = self.linear("attn_pool.kv", x).chunk(2, -1)
        y = self.linear("attn_pool.proj", self.attend(self.split(q), self.split(k), self.split(v), size))
        return y[0] + self.mlp("attn_pool.mlp", self.norm("attn_pool.norm", y))[0]

    def head(self, x, size):
        if "head_dist.weight" in self.w:
            x = self.norm("norm", x)
            return (self.linear("head", x[0]) + self.linear("head_dist", x[1])) / 2
        if "attn_pool.latent" in self.w:
            return self.linear("head", self.attention_pool(self.norm("norm", x), size))
        if "fc_norm.weight" in self.w:  # tome/patch/mae.py: the mean is weighted by size
            mean = (x * size[:, None])[self.prefix:].sum(0) / size[self.prefix:].sum()
            return self.linear("head", self.norm("fc_norm", mean))
        return self.linear("head", self.norm("norm", x)[0])

    def __call__(self, pixels, pos, pairs):
        x = self.embed(pixels.double(), pos.double())
        size = torch.ones(len(x), dtype=x.dtype)
        for i in range(self.depth):
            x, size = self.block(i, x, size, pairs)
        return self.head(x, size), size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tome", help="a checkout of the authors' code, to merge with")
    parser.add_argument("golden", type=Path)
    parser.add_argument("out")
    args = parser.parse_args()
    merge_fn = merge_as_published(args.tome) if args.tome else merge
    out = {}
    for case, (heads, prefix, sizes) in CASES.items():
        known = load_file(args.golden / case / "expected.safetensors")
        vit = Vit(load_file(args.golden / case / "model.safetensors"), heads, prefix, merge_fn)
        for size in sizes:
            inputs, pos = known[f"input.{size}"], known[f"pos.{size}"][0]
            plain = torch.stack([vit(pixels, pos, 0)[0] for pixels in inputs])
            drift = (plain - known[f"logits.{size}"]).abs().max()
            assert drift < 1e-5, (case, size, drift)  # unmerged, this is the golden model
            for pairs in PAIRS:
                results = [vit(pixels, pos, pairs) for pixels in inputs]
                for i, what in enumerate(("logits", "sizes")):
                    out[f"{case}.{size}.{pairs}.{what}"] = torch.stack([r[i] for r in results]).float()
    save_file(out, args.out)


if __name__ == "__main__":
    main()
