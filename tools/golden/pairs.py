#!/usr/bin/env python3
"""Small checkpoints of models of pictures and texts whose code is on the hub and not in a package,
and what they should answer: tests/data/golden-pairs. Written from the published definitions in plain
torch, run in float64; the tolerance of a stage is eight times what float32 deviates from that.

    python tools/golden/pairs.py tests/data/golden-pairs

jina_clip_*: jinaai/jina-clip-implementation (configuration_clip.py, modeling_clip.py, eva_model.py,
    rope_embeddings.py, hf_model.py), jinaai/xlm-roberta-flash-implementation (modeling_xlm_roberta.py,
    mha.py, rotary.py, modeling_lora.py; the copy in github.com/aoncevay/jina-wrapper d3188e6) and, for
    v1's text tower, jinaai/jina-bert-implementation (modeling_bert.py).
nomic_vision: github.com/nomic-ai/contrastors 613ddfd, models/huggingface/modeling_hf_nomic_bert.py.

    python tools/golden/pairs.py --published DIR

holds the references to that published code, as it stands: DIR/contrastors (the folder
src/contrastors/models/huggingface) and DIR/xlm_roberta (xlm-roberta-flash-implementation), each with
an __init__.py; and jina-clip's tower of pictures to timm's Eva, the same one under other names. Needs
transformers 4.57, einops and timm 1.0.28.
"""
import json
import math
import pathlib
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

WIDTH, HEADS, DEPTH, PATCH, SIDE, VOCAB = 48, 3, 2, 8, 48, 67
PAD_TAIL = 5
SMALL = 0.02  # of what goes into the first norm, so that its epsilon shows
SIZES = [(48, 48), (64, 64), (32, 56)]


def layer(w, name, rows, columns, bias=True):
    w[name + ".weight"] = torch.randn(rows, columns) * 1.5 / math.sqrt(columns)
    if bias:
        w[name + ".bias"] = torch.randn(rows) * 0.3


def norm(w, name, n):
    w[name + ".weight"] = 1 + 0.3 * torch.randn(n)
    w[name + ".bias"] = 0.3 * torch.randn(n)


class Tower:
    """The tensors below a prefix, in one type, and the layers that they make."""

    def __init__(self, weights, prefix, dtype):
        self.t = {key[len(prefix):]: value.to(dtype) for key, value in weights.items()
                  if key.startswith(prefix)}
        self.dtype = dtype

    def linear(self, x, name):
        return F.linear(x, self.t[name + ".weight"], self.t.get(name + ".bias"))

    def norm(self, x, name, eps):
        return F.layer_norm(x, x.shape[-1:], self.t[name + ".weight"], self.t[name + ".bias"], eps)


def heads_of(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def attend(q, k, v, bias=0):
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + bias
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


def eva_angles(grid_h, grid_w, head, reference, dtype):
    """[patches][head]: the row's angles, then the column's, each for a pair of neighbours."""
    bands = 10000.0 ** (-torch.arange(head // 4).to(dtype) / (head // 4))
    def axis(n):
        at = torch.arange(n).to(dtype)
        return (at / n * reference if reference else at)[:, None] * bands
    y, x = axis(grid_h), axis(grid_w)
    both = torch.cat([y[:, None].expand(-1, grid_w, -1), x[None].expand(grid_h, -1, -1)], -1)
    return both.flatten(0, 1).repeat_interleave(2, -1)


def rotate_neighbours(x, angles):
    """All tokens but the first, which is the class token's."""
    first, rest = x[:, :, :1], x[:, :, 1:]
    turned = torch.stack([-rest[..., 1::2], rest[..., ::2]], -1).flatten(-2)
    return torch.cat([first, rest * angles.cos() + turned * angles.sin()], 2)


def rotate_halves(x, base):
    head = x.shape[-1]
    at = torch.arange(x.shape[2]).to(x.dtype)
    angle = at[:, None] * base ** (-torch.arange(0, head, 2).to(x.dtype) / head)
    angle = torch.cat([angle, angle], -1)
    a, b = x.chunk(2, -1)
    return x * angle.cos() + torch.cat([-b, a], -1) * angle.sin()


def resized(table, grid_h, grid_w, antialias):
    """A table over the class token and a square of patches, for another grid."""
    side = math.isqrt(table.shape[1] - 1)
    if (grid_h, grid_w) == (side, side):
        return table
    patches = table[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2)
    patches = F.interpolate(patches, (grid_h, grid_w), mode="bicubic", antialias=antialias)
    return torch.cat([table[:, :1], patches.flatten(2).transpose(1, 2)], 1)


def unit(x):
    return x / x.norm(dim=-1, keepdim=True)


# ---- jina-clip -----------------------------------------------------------------------------------


def eva_weights(w, config):
    width, hidden = config["width"], int(config["width"] * config["mlp_ratio"])
    patches = (config["image_size"] // config["patch_size"]) ** 2
    w["vision_model.cls_token"] = SMALL * torch.randn(1, 1, width)
    w["vision_model.pos_embed"] = 0.5 * SMALL * torch.randn(1, patches + 1, width)
    side = config["patch_size"]
    w["vision_model.patch_embed.proj.weight"] = SMALL * torch.randn(width, 3, side, side) / side
    w["vision_model.patch_embed.proj.bias"] = 0.3 * SMALL * torch.randn(width)
    norm(w, "vision_model.norm", width)
    for i in range(config["layers"]):
        at = f"vision_model.blocks.{i}."
        norm(w, at + "norm1", width)
        norm(w, at + "norm2", width)
        for part in ("q_proj", "k_proj", "v_proj") if config["subln"] else ("qkv",):
            layer(w, at + "attn." + part, width if config["subln"] else 3 * width, width, bias=False)
        w[at + "attn.q_bias"] = 0.3 * torch.randn(width)
        w[at + "attn.v_bias"] = 0.3 * torch.randn(width)
        layer(w, at + "attn.proj", width, width)
        first = ("w1", "w2") if config["naive_swiglu"] else ("fc1",)
        for part in first:
            layer(w, at + "mlp." + part, hidden, width)
        layer(w, at + ("mlp.w3" if config["naive_swiglu"] else "mlp.fc2"), width, hidden)
        if config["subln"]:
            norm(w, at + "attn.inner_attn_ln", width)
            norm(w, at + "mlp.ffn_ln", hidden)
        if config["ls_init_value"]:
            w[at + "gamma_1"] = 0.5 + 0.3 * torch.randn(width)
            w[at + "gamma_2"] = 0.5 + 0.3 * torch.randn(width)


def run_eva(weights, config, pixels, dtype):
    t = Tower(weights, "vision_model.", dtype)
    heads = config["width"] // config["head_width"]
    grid = [n // config["patch_size"] for n in pixels.shape[2:]]
    reference = config["pt_hw_seq_len"] if config["intp_freq"] else 0
    angles = eva_angles(*grid, config["head_width"], reference, dtype)
    x = F.conv2d(pixels.to(dtype), t.t["patch_embed.proj.weight"], t.t["patch_embed.proj.bias"],
                 config["patch_size"]).flatten(2).transpose(1, 2)
    pos = resized(t.t["pos_embed"], *grid, antialias=False)
    x = torch.cat([t.t["cls_token"], x], 1) + pos
    out = {"pos": pos, "embeddings": x}
    for i in range(config["layers"]):
        at = f"blocks.{i}."
        y = t.norm(x, at + "norm1", 1e-6)
        if config["subln"]:
            q, k, v = (t.linear(y, at + f"attn.{part}_proj") for part in "qkv")
        else:
            q, k, v = t.linear(y, at + "attn.qkv").chunk(3, -1)
        q, k, v = (heads_of(part, heads) for part in
                   (q + t.t[at + "attn.q_bias"], k, v + t.t[at + "attn.v_bias"]))
        y = attend(rotate_neighbours(q, angles), rotate_neighbours(k, angles), v)
        if config["subln"]:
            y = t.norm(y, at + "attn.inner_attn_ln", 1e-6)
        x = x + t.t.get(at + "gamma_1", 1) * t.linear(y, at + "attn.proj")
        y = t.norm(x, at + "norm2", 1e-6)
        if config["naive_swiglu"]:
            y, last = F.silu(t.linear(y, at + "mlp.w1")) * t.linear(y, at + "mlp.w2"), "w3"
        else:
            y, last = F.gelu(t.linear(y, at + "mlp.fc1")), "fc2"
        if config["subln"]:
            y = t.norm(y, at + "mlp.ffn_ln", 1e-6)
        x = x + t.t.get(at + "gamma_2", 1) * t.linear(y, at + "mlp." + last)
        out[f"block{i}"] = x
    x = t.norm(x, "norm", 1e-6)
    return {**out, "features": x, "pooled": x[:, 0]}


def jina_bert_weights(w, prefix, width, hidden):
    w[prefix + "embeddings.word_embeddings.weight"] = SMALL * torch.randn(VOCAB, width)
    w[prefix + "embeddings.token_type_embeddings.weight"] = SMALL * torch.randn(2, width)
    norm(w, prefix + "emb_ln", width)
    for i in range(DEPTH):
        at = f"{prefix}encoder.layers.{i}."
        layer(w, at + "mixer.Wqkv", 3 * width, width)
        layer(w, at + "mixer.out_proj", width, width)
        layer(w, at + "mlp.gated_layers", 2 * hidden, width, bias=False)
        layer(w, at + "mlp.wo", width, hidden)
        norm(w, at + "norm1", width)
        norm(w, at + "norm2", width)


def alibi_slopes(n):
    def of_power(n):
        return [2 ** (-8 * (i + 1) / n) for i in range(n)]
    below = 2 ** int(math.log2(n))
    return torch.tensor(of_power(below) + of_power(2 * below)[::2][:n - below], dtype=torch.float64)


def run_bert(t, ids, mask, heads, eps, mlp, turn=lambda x: x, bias=0):
    """Post-LN blocks over word and type embeddings; the mean of the tokens that are no padding."""
    x = t.t["embeddings.word_embeddings.weight"][ids] + t.t["embeddings.token_type_embeddings.weight"][0]
    x = t.norm(x, "emb_ln", eps)
    bias = torch.zeros((), dtype=t.dtype) + bias
    bias = bias.expand(len(ids), heads, ids.shape[1], ids.shape[1])
    bias = bias.masked_fill(mask[:, None, None] == 0, -math.inf)
    out = {"text_embeddings": x}
    for i in range(DEPTH):
        at = f"encoder.layers.{i}."
        q, k, v = (heads_of(part, heads) for part in t.linear(x, at + "mixer.Wqkv").chunk(3, -1))
        y = t.linear(attend(turn(q), turn(k), v, bias), at + "mixer.out_proj")
        x = t.norm(x + y, at + "norm1", eps)
        x = t.norm(x + mlp(x, at + "mlp."), at + "norm2", eps)
        out[f"text_block{i}"] = x
    kept = mask[..., None].to(t.dtype)
    return {**out, "text_features": x, "text_pooled": (x * kept).sum(1) / kept.sum(1)}


def run_jina_bert(weights, prefix, ids, mask, dtype):
    t = Tower(weights, prefix, dtype)
    at = torch.arange(ids.shape[1]).to(dtype)
    bias = -alibi_slopes(HEADS).to(dtype)[:, None, None] * (at[:, None] - at).abs()
    def mlp(x, name):
        gate, value = t.linear(x, name + "gated_layers").chunk(2, -1)
        return t.linear(F.gelu(gate) * value, name + "wo")
    return run_bert(t, ids, mask, HEADS, 1e-12, mlp, bias=bias)


def adapt(w, name, rows, columns, adapters, rank, embeds):
    """A weight as torch's parametrize keeps it, with low-rank adapters beside it."""
    at = name + ".parametrizations.weight."
    w[at + "original"] = w.pop(name + ".weight")
    shapes = [(rows, rank), (rank, columns)] if embeds else [(rank, columns), (rows, rank)]
    for part, shape in zip("AB", shapes):
        w[at + "0.lora_" + part] = (0.1 if embeds else 0.4) * torch.randn(adapters, *shape)


def xlm_weights(w, prefix, width, hidden, adapters, rank):
    w[prefix + "embeddings.word_embeddings.weight"] = SMALL * torch.randn(VOCAB, width)
    w[prefix + "embeddings.token_type_embeddings.weight"] = SMALL * torch.randn(1, width)
    adapt(w, prefix + "embeddings.word_embeddings", VOCAB, width, adapters, rank, True)
    adapt(w, prefix + "embeddings.token_type_embeddings", 1, width, adapters, rank, True)
    norm(w, prefix + "emb_ln", width)
    for i in range(DEPTH):
        at = f"{prefix}encoder.layers.{i}."
        for name, rows, columns in [("mixer.Wqkv", 3 * width, width), ("mixer.out_proj", width, width),
                                    ("mlp.fc1", hidden, width), ("mlp.fc2", width, hidden)]:
            layer(w, at + name, rows, columns)
            adapt(w, at + name, rows, columns, adapters, rank, False)
        norm(w, at + "norm1", width)
        norm(w, at + "norm2", width)


def merged(weights, dtype, adapter, scale):
    """The weights with one adapter added, or with none."""
    out = {}
    for key, value in weights.items():
        name, end = key.removesuffix(".original"), ".parametrizations.weight"
        if not key.endswith(".original"):
            out[key] = value
            continue
        weight = value.to(dtype)
        if adapter is not None:
            a, b = (weights[name + ".0.lora_" + part][adapter].to(dtype) for part in "AB")
            weight = weight + scale * (a @ b if a.shape[0] == weight.shape[0] else b @ a)
        out[name.removesuffix(end) + ".weight"] = weight
    return out


def run_xlm(weights, prefix, ids, mask, dtype, adapter, scale):
    t = Tower(merged(weights, dtype, adapter, scale), prefix, dtype)
    def mlp(x, name):
        return t.linear(F.gelu(t.linear(x, name + "fc1")), name + "fc2")
    return run_bert(t, ids, mask, HEADS, 1e-5, mlp, turn=lambda x: rotate_halves(x, 20000.0))


EVA = {"embed_dim": WIDTH, "width": WIDTH, "image_size": SIDE, "patch_size": PATCH, "layers": DEPTH,
       "head_width": WIDTH // HEADS, "mlp_ratio": 2.6667, "ls_init_value": None, "patch_dropout": 0.1,
       "qkv_bias": True, "post_norm": False, "rope_embeddings": True, "pt_hw_seq_len": 4,
       "intp_freq": True, "naive_swiglu": True, "subln": True, "proj_type": None,
       "model_type": "jina_clip_vision"}


def jina_clip(name, vision, text, resize_mode, text_width, text_hidden, projection, adapters=None):
    config = {"model_type": "jina_clip", "architectures": ["JinaCLIPModel"],
              "add_projections": projection is not None, "projection_dim": projection or WIDTH,
              "logit_scale_init_value": 2.6592, "truncate_dim": None, "vision_config": vision,
              "text_config": {"embed_dim": text_width, "model_type": "jina_clip_text",
                              "pooler_type": "mean_pooler", "proj_bias": False, "proj_type": None,
                              "default_instruction_task": None, **text}}
    preprocessor = {"image_processor_type": "JinaCLIPImageProcessor", "size": SIDE,
                    "resize_mode": resize_mode, "interpolation": "bicubic", "fill_color": 0,
                    "mean": [0.48145466, 0.4578275, 0.40821073],
                    "std": [0.26862954, 0.26130258, 0.27577711]}
    w = {"logit_scale": torch.tensor(1.7)}
    eva_weights(w, vision)
    prefix = "text_model.transformer." + ("roberta." if adapters else "")
    if adapters:
        xlm_weights(w, prefix, text_width, text_hidden, adapters["count"], adapters["rank"])
    else:
        jina_bert_weights(w, prefix, text_width, text_hidden)
    if projection:
        layer(w, "visual_projection", projection, WIDTH, bias=False)
        layer(w, "text_projection", projection, text_width, bias=False)

    def picture(pixels, dtype):
        out = run_eva(w, vision, pixels, dtype)
        x = out["pooled"]
        if projection:
            x = x @ w["visual_projection.weight"].to(dtype).T
        return {**out, "image_embeds": unit(x)}

    def texts(ids, mask, dtype):
        if adapters:
            out = run_xlm(w, prefix, ids, mask, dtype, adapters["used"], adapters["scale"])
        else:
            out = run_jina_bert(w, prefix, ids, mask, dtype)
        x = out["text_pooled"]
        if projection:
            x = x @ w["text_projection.weight"].to(dtype).T
        return {**out, "text_features_projected": x, "text_embeds": unit(x)}

    sizes = SIZES if vision["intp_freq"] else SIZES[:1]
    return name, config, preprocessor, w, picture, texts, sizes


def sizes_of(width, hidden):
    """What differs from the configuration of the published text tower."""
    return {"hidden_size": width, "num_hidden_layers": DEPTH, "num_attention_heads": HEADS,
            "intermediate_size": hidden, "vocab_size": VOCAB}


def jina_clip_v1():
    text = {"hf_model_name_or_path": "jinaai/jina-bert-flash-implementation",
            "default_lora_task": None, "hf_model_config_kwargs": sizes_of(WIDTH, 64)}
    return jina_clip("jina_clip_v1", EVA, text, "shortest", WIDTH, 64, None)


def lora(tasks, default, rank, alpha, width, hidden):
    kwargs = {**sizes_of(width, hidden), "lora_adaptations": tasks, "lora_rank": rank,
              "lora_alpha": alpha, "load_trained_adapters": False}
    used = tasks.index(default) if default else None
    text = {"hf_model_name_or_path": "jinaai/jina-embeddings-v3", "default_lora_task": default,
            "hf_model_config_kwargs": kwargs}
    return text, {"count": len(tasks), "rank": rank, "used": used, "scale": alpha / rank}


def jina_clip_v2():
    """The published one has an adapter; that it is the second here shows that the place counts."""
    text, adapters = lora(["retrieval.passage", "retrieval.query"], "retrieval.query", 2, 3, 36, 60)
    return jina_clip("jina_clip_v2", EVA, text, "squash", 36, 60, 32, adapters)


def jina_clip_plain():
    """What the classes can do besides: no sub-norms, a plain MLP, LayerScale, no adapter in force."""
    vision = {**EVA, "naive_swiglu": False, "subln": False, "ls_init_value": 0.5, "mlp_ratio": 2.0,
              "intp_freq": False, "pt_hw_seq_len": SIDE // PATCH}
    text, adapters = lora(["retrieval.query"], None, 4, 1, WIDTH, 72)
    return jina_clip("jina_clip_plain", vision, text, "longest", WIDTH, 72, None, adapters)


# ---- nomic-embed-vision --------------------------------------------------------------------------


def nomic_vision():
    hidden = 256  # n_inner, rounded up
    config = {"model_type": "nomic_bert", "architectures": ["NomicVisionModel"],
              "activation_function": "swiglu", "n_embd": WIDTH, "n_head": HEADS, "n_layer": DEPTH,
              "n_inner": 96.0, "n_positions": 0, "vocab_size": 0, "layer_norm_epsilon": 1e-6,
              "img_size": SIDE, "patch_size": PATCH, "num_channels": 3, "prenorm": True,
              "parallel_block": False, "use_rms_norm": False, "causal": False, "norm_mlp": True,
              "qkv_proj_bias": True, "mlp_fc1_bias": True, "mlp_fc2_bias": True,
              "patch_embed_bias": True, "rotary_emb_fraction": 0, "use_rotary_pos_emb": True,
              "ref_feat_shape": [4, 4], "use_pos_embed": True, "learned_pos_embedding": False,
              "sinusoidal_pos_embedding": False, "no_embed_class": False, "no_cls_token": False,
              "register_tokens": 0, "mask_token": False, "global_pool": None, "layer_scale": False,
              "prepre_layernom": False, "no_last_ln": True, "attn_pdrop": 0.0, "resid_pdrop": 0.0,
              "embd_pdrop": 0.0, "fused_bias_fc": False, "use_flash_attn": False,
              "initializer_range": 0.02, "fused_dropout_add_ln": False}
    preprocessor = {"image_processor_type": "CLIPImageProcessor", "do_center_crop": True,
                    "crop_size": {"height": SIDE, "width": SIDE}, "size": {"shortest_edge": SIDE}}
    w = {"embeddings.cls_token": SMALL * torch.randn(1, 1, WIDTH),
         "embeddings.pos_embed": 0.5 * SMALL * torch.randn(1, (SIDE // PATCH) ** 2 + 1, WIDTH),
         "selector.attn.latent": torch.randn(1, 1, WIDTH)}
    layer(w, "embeddings.proj", WIDTH, 3 * PATCH * PATCH)
    w["embeddings.proj.weight"] *= SMALL
    w["embeddings.proj.bias"] *= SMALL
    for i in range(DEPTH):
        at = f"layers.{i}."
        layer(w, at + "attn.Wqkv", 3 * WIDTH, WIDTH)
        layer(w, at + "attn.out_proj", WIDTH, WIDTH)
        layer(w, at + "mlp.fc11", hidden, WIDTH)
        w[at + "mlp.fc11.weight"] *= SMALL  # mlp.norm has an epsilon of its own
        w[at + "mlp.fc11.bias"] *= SMALL
        layer(w, at + "mlp.fc12", hidden, WIDTH)
        layer(w, at + "mlp.fc2", WIDTH, hidden)
        norm(w, at + "mlp.norm", hidden)
        norm(w, at + "norm1", WIDTH)
        norm(w, at + "norm2", WIDTH)
    layer(w, "selector.attn.Wq", WIDTH, WIDTH)
    layer(w, "selector.attn.Wkv", 2 * WIDTH, WIDTH)
    layer(w, "selector.attn.out_proj", WIDTH, WIDTH)
    norm(w, "selector.norm1", WIDTH)
    layer(w, "selector.mlp.fc11", hidden, WIDTH)
    layer(w, "selector.mlp.fc12", hidden, WIDTH)
    layer(w, "selector.mlp.fc2", WIDTH, hidden)

    def picture(pixels, dtype):
        t = Tower(w, "", dtype)
        grid = [n // PATCH for n in pixels.shape[2:]]
        angles = eva_angles(*grid, WIDTH // HEADS, 4, dtype)
        x = F.unfold(pixels.to(dtype), PATCH, stride=PATCH).transpose(1, 2)
        x = torch.cat([t.t["embeddings.cls_token"], t.linear(x, "embeddings.proj")], 1)
        pos = resized(t.t["embeddings.pos_embed"], *grid, antialias=True)
        x = x + pos
        out = {"pos": pos, "embeddings": x}
        def gated(x, name):
            return t.linear(x, name + "fc11") * F.silu(t.linear(x, name + "fc12"))
        for i in range(DEPTH):
            at = f"layers.{i}."
            y = t.norm(x, at + "norm1", 1e-6)
            q, k, v = (heads_of(part, HEADS) for part in t.linear(y, at + "attn.Wqkv").chunk(3, -1))
            y = attend(rotate_neighbours(q, angles), rotate_neighbours(k, angles), v)
            x = x + t.linear(y, at + "attn.out_proj")
            y = gated(t.norm(x, at + "norm2", 1e-6), at + "mlp.")
            x = x + t.linear(t.norm(y, at + "mlp.norm", 1e-5), at + "mlp.fc2")
            out[f"block{i}"] = x
        q = heads_of(t.linear(t.t["selector.attn.latent"], "selector.attn.Wq"), HEADS)
        k, v = (heads_of(part, HEADS) for part in t.linear(x, "selector.attn.Wkv").chunk(2, -1))
        y = t.norm(t.linear(attend(q, k, v), "selector.attn.out_proj"), "selector.norm1", 1e-6)
        y = x[:, 0] + t.linear(gated(y, "selector.mlp."), "selector.mlp.fc2")[:, 0]
        return {**out, "features": x, "pooled": y, "image_embeds": unit(y)}

    return "nomic_vision", config, preprocessor, w, picture, None, SIZES


# ---- writing -------------------------------------------------------------------------------------


def both(tensors, tolerances, run, suffix):
    """A run in float64 for the goldens and one in float32 for the tolerances."""
    exact, single = run(torch.float64), run(torch.float32)
    for stage, value in exact.items():
        tensors[stage + suffix] = value.float().contiguous()
        off = 8 * (value - single[stage]).abs().max().item()
        floor = 1e-6 if stage.endswith("_embeds") else 1e-5
        tolerances[stage] = max(tolerances.get(stage, floor), float(f"{off:.1e}"))
    return exact, single


def write(root, name, config, preprocessor, weights, picture, texts, sizes):
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor, indent=1) + "\n")
    save_file({key: value.contiguous() for key, value in weights.items()},
              folder / "model.safetensors", {"format": "pt"})
    tensors, tolerances, said = {}, {}, None
    if texts:
        ids = torch.randint(3, VOCAB, (3, 13))
        mask = torch.ones_like(ids)
        mask[1, -PAD_TAIL:] = 0
        mask[2, -1:] = 0
        tensors["input_ids"], tensors["attention_mask"] = ids, mask
        said = both(tensors, tolerances, lambda dtype: texts(ids, mask, dtype), "")
    for height, width in sizes:
        pixels = torch.randn(1, 3, height, width)
        tensors[f"input.{height}x{width}"] = pixels
        seen = both(tensors, tolerances, lambda dtype: picture(pixels, dtype), f".{height}x{width}")
        if texts:
            logits = [scale * a["image_embeds"] @ b["text_embeds"].T for scale, a, b in
                      zip((weights["logit_scale"].exp().double(), weights["logit_scale"].exp()), seen, said)]
            both(tensors, tolerances, lambda dtype: {"logits_per_image": logits[dtype == torch.float32]},
                 f".{height}x{width}")
    save_file(tensors, folder / "expected.safetensors")
    return {"case": name, "suggested_atol": tolerances}


def cases():
    return [jina_clip_v1(), jina_clip_v2(), jina_clip_plain(), nomic_vision()]


# ---- the published code --------------------------------------------------------------------------


def check_nomic():
    from contrastors.configuration_hf_nomic_bert import NomicBertConfig
    from contrastors.modeling_hf_nomic_bert import NomicVisionModel
    _, config, _, w, picture, _, _ = nomic_vision()
    model = NomicVisionModel(NomicBertConfig(**config)).double().eval()
    model.load_state_dict({key: value.double() for key, value in w.items()})
    pixels = torch.randn(1, 3, SIDE, SIDE, dtype=torch.float64)
    with torch.no_grad():
        theirs = model(pixels).last_hidden_state[:, 0]
    return (picture(pixels, torch.float64)["pooled"] - theirs).abs().max().item()


def check_xlm():
    from unittest import mock
    with mock.patch("transformers.AutoTokenizer.from_pretrained"):
        from xlm_roberta.configuration_xlm_roberta import XLMRobertaFlashConfig
        from xlm_roberta.modeling_lora import XLMRobertaLoRA
        tasks = ["retrieval.passage", "retrieval.query"]
        config = XLMRobertaFlashConfig(
            vocab_size=VOCAB, hidden_size=36, num_hidden_layers=DEPTH, num_attention_heads=HEADS,
            intermediate_size=60, rotary_emb_base=20000.0, use_flash_attn=False, lora_adaptations=tasks,
            task_instructions={task: "" for task in tasks}, lora_rank=2, lora_alpha=3)
        model = XLMRobertaLoRA(config, add_pooling_layer=False).double().eval()
    _, _, _, w, _, texts, _ = jina_clip_v2()
    prefix = "text_model.transformer."
    model.load_state_dict({key[len(prefix):]: value.double() for key, value in w.items()
                           if key.startswith(prefix)})
    ids = torch.randint(3, VOCAB, (2, 13))
    mask = torch.ones_like(ids)
    mask[1, -4:] = 0
    with torch.no_grad():
        theirs = model(input_ids=ids, attention_mask=mask,
                       adapter_mask=torch.ones(2, dtype=torch.int32)).last_hidden_state
    return ((texts(ids, mask, torch.float64)["text_features"] - theirs).abs() * mask[..., None]).max().item()


def check_eva():
    from timm.models.eva import Eva
    model = Eva(img_size=SIDE, patch_size=PATCH, embed_dim=WIDTH, depth=DEPTH, num_heads=HEADS,
                mlp_ratio=EVA["mlp_ratio"], qkv_fused=False, swiglu_mlp=True, scale_mlp=True,
                scale_attn_inner=True, use_rot_pos_emb=True, ref_feat_shape=(4, 4), num_classes=0,
                global_pool="token").double().eval()
    _, _, _, w, picture, _, _ = jina_clip_v1()
    names = [("vision_model.", ""), ("inner_attn_ln", "norm"), ("ffn_ln", "norm"), ("mlp.w1", "mlp.fc1_g"),
             ("mlp.w2", "mlp.fc1_x"), ("mlp.w3", "mlp.fc2"), ("q_bias", "q_proj.bias"), ("v_bias", "v_proj.bias")]
    state = {}
    for key, value in w.items():
        if key.startswith("vision_model."):
            for ours, timms in names:
                key = key.replace(ours, timms)
            state[key] = value.double()
    model.load_state_dict(state)
    pixels = torch.randn(1, 3, SIDE, SIDE, dtype=torch.float64)
    with torch.no_grad():
        theirs = model.forward_features(pixels)
    return (picture(pixels, torch.float64)["features"] - theirs).abs().max().item()


def main():
    torch.manual_seed(11)
    if sys.argv[1] == "--published":
        sys.path[0] = sys.argv[2]  # in place of this folder, which has a tokenizers.py
        print(f"nomic_vision: {check_nomic():.1e} from contrastors")
        print(f"jina_clip_v2: {check_xlm():.1e} from xlm-roberta-flash-implementation")
        print(f"jina_clip_v1: {check_eva():.1e} from timm's Eva")
        return
    root = pathlib.Path(sys.argv[1])
    found = [write(root, *case) for case in cases()]
    (root / "cases.json").write_text(json.dumps({"cases": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
