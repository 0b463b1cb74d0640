#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Goldens of text models that shared/golden lacks: tests/data/text.

byte_lm in every scheme, run by tools/positions/model.py, which trains them; JinaBERT, whose reference is
code on the hub, and GPT-NeoX without the parallel residual, both written down here a second time from
their published definitions (jinaai/jina-bert-implementation, modeling_bert.py; transformers 4.57,
modeling_gpt_neox.py). All in float64; a tolerance is 8 times what float32 was off, at least 1e-5.

    python tools/golden/text.py tests/data/text        # needs torch and safetensors
"""
import json
import math
import pathlib
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "positions"))
import model as positions  # noqa: E402

WIDTH, HEADS, MLP, DEPTH, VOCAB = 24, 3, 40, 2, 61


def byte_lm(name, heads=4, **settings):
    config = positions.Config(vocab_size=VOCAB, hidden_size=WIDTH, num_hidden_layers=DEPTH,
                              num_attention_heads=heads, intermediate_size=MLP,
                              embed_scale=math.sqrt(WIDTH), max_position_embeddings=32, **settings)
    network = positions.ByteLM(config).initialise(1)
    for parameter in network.parameters():  # no term may be zero, nor all norms one
        parameter.data += 0.2 * torch.randn(parameter.shape)
        parameter.data = parameter.data.half().float()

    def run(ids, mask, dtype):
        positions_of = positions.ByteLM(config).to(dtype)
        positions_of.load_state_dict(network.state_dict())
        torch.set_default_dtype(dtype)  # its tables are made in the default type
        with torch.no_grad():
            logits = positions_of.to(dtype)(ids)
        torch.set_default_dtype(torch.float32)
        return {"logits": logits}

    import dataclasses
    weights = {key: value.half() for key, value in network.state_dict().items()}
    learned = settings.get("position_embedding_type") == "learned"
    return name, dataclasses.asdict(config), weights, run, [9, 32] if learned else [9, 70], False


def layer(weights, name, rows, columns, bias=True):
    weights[name + ".weight"] = torch.randn(rows, columns) / math.sqrt(columns)
    if bias:
        weights[name + ".bias"] = 0.2 * torch.randn(rows)


def norm(weights, name):
    weights[name + ".weight"] = 1 + 0.2 * torch.randn(WIDTH)
    weights[name + ".bias"] = 0.2 * torch.randn(WIDTH)


def heads_of(x):
    return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)


def attention(q, k, v, bias):
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + bias
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


def slopes(heads):
    """Those of the power of two below, then every other one of the next."""
    def of_power(n):
        first = 2 ** (-2 ** -(math.log2(n) - 3))
        return [first * first ** i for i in range(n)]
    below = 2 ** math.floor(math.log2(heads))
    return torch.tensor((of_power(below) + of_power(2 * below)[::2])[:heads], dtype=torch.float64)


def jina_bert(name, kind):
    config = {"model_type": "bert", "architectures": ["JinaBertModel"], "hidden_size": WIDTH,
              "num_hidden_layers": DEPTH, "num_attention_heads": HEADS, "intermediate_size": MLP,
              "hidden_act": "gelu", "layer_norm_eps": 1e-12, "max_position_embeddings": 8192,
              "position_embedding_type": "alibi", "type_vocab_size": 2, "vocab_size": VOCAB,
              "feed_forward_type": kind}
    w = {"embeddings.word_embeddings.weight": torch.randn(VOCAB, WIDTH),
         "embeddings.token_type_embeddings.weight": torch.randn(2, WIDTH)}
    norm(w, "embeddings.LayerNorm")
    layer(w, "pooler.dense", WIDTH, WIDTH)
    for i in range(DEPTH):
        at = f"encoder.layer.{i}."
        for part in "query", "key", "value":
            layer(w, at + "attention.self." + part, WIDTH, WIDTH)
        layer(w, at + "attention.output.dense", WIDTH, WIDTH)
        norm(w, at + "attention.output.LayerNorm")
        if kind == "original":
            layer(w, at + "intermediate.dense", MLP, WIDTH)
            layer(w, at + "output.dense", WIDTH, MLP)
            norm(w, at + "output.LayerNorm")
        else:
            layer(w, at + "mlp.gated_layers", 2 * MLP, WIDTH, bias=False)
            layer(w, at + "mlp.wo", WIDTH, MLP)
            norm(w, at + "mlp.layernorm")

    def run(ids, mask, dtype):
        t = {key: value.to(dtype) for key, value in w.items()}
        def linear(x, key):
            return F.linear(x, t[key + ".weight"], t.get(key + ".bias"))
        def normed(x, key):
            return F.layer_norm(x, (WIDTH,), t[key + ".weight"], t[key + ".bias"], 1e-12)
        at = torch.arange(ids.shape[1])
        bias = -slopes(HEADS).to(dtype)[:, None, None] * (at[:, None] - at).abs()
        bias = bias[None].expand(len(ids), -1, -1, -1)
        if mask is not None:
            bias = bias.masked_fill(mask[:, None, None, :] == 0, -math.inf)
        x = t["embeddings.word_embeddings.weight"][ids] + t["embeddings.token_type_embeddings.weight"][0]
        x = normed(x, "embeddings.LayerNorm")
        out = {"embeddings": x}
        for i in range(DEPTH):
            key = f"encoder.layer.{i}."
            q, k, v = (heads_of(linear(x, key + "attention.self." + part))
                       for part in ("query", "key", "value"))
            y = linear(attention(q, k, v, bias), key + "attention.output.dense")
            x = normed(x + y, key + "attention.output.LayerNorm")
            if kind == "original":
                y = linear(F.gelu(linear(x, key + "intermediate.dense")), key + "output.dense")
                x = normed(x + y, key + "output.LayerNorm")
            else:
                gate, value = linear(x, key + "mlp.gated_layers").chunk(2, -1)
                act = F.gelu if kind == "geglu" else F.relu
                x = normed(x + linear(act(gate) * value, key + "mlp.wo"), key + "mlp.layernorm")
            out[f"block{i}"] = x
        kept = torch.ones_like(ids) if mask is None else mask
        kept = kept[..., None].to(dtype)
        return {**out, "hidden": x, "pooled": (x * kept).sum(1) / kept.sum(1)}

    return name, config, w, run, [9, 33], True


def gpt_neox(name):
    size, turned = WIDTH // HEADS, 4
    config = {"model_type": "gpt_neox", "architectures": ["GPTNeoXForCausalLM"], "hidden_size": WIDTH,
              "num_hidden_layers": DEPTH, "num_attention_heads": HEADS, "intermediate_size": MLP,
              "hidden_act": "gelu", "layer_norm_eps": 1e-5, "max_position_embeddings": 64,
              "rotary_pct": 0.5, "rotary_emb_base": 5000, "use_parallel_residual": False,
              "tie_word_embeddings": False, "vocab_size": VOCAB}
    w = {"gpt_neox.embed_in.weight": torch.randn(VOCAB, WIDTH)}
    layer(w, "embed_out", VOCAB, WIDTH, bias=False)
    norm(w, "gpt_neox.final_layer_norm")
    for i in range(DEPTH):
        at = f"gpt_neox.layers.{i}."
        norm(w, at + "input_layernorm")
        norm(w, at + "post_attention_layernorm")
        layer(w, at + "attention.query_key_value", 3 * WIDTH, WIDTH)
        layer(w, at + "attention.dense", WIDTH, WIDTH)
        layer(w, at + "mlp.dense_h_to_4h", MLP, WIDTH)
        layer(w, at + "mlp.dense_4h_to_h", WIDTH, MLP)

    def run(ids, mask, dtype):
        t = {key: value.to(dtype) for key, value in w.items()}
        def linear(x, key):
            return F.linear(x, t[key + ".weight"], t.get(key + ".bias"))
        def normed(x, key):
            return F.layer_norm(x, (WIDTH,), t[key + ".weight"], t[key + ".bias"], 1e-5)
        at = torch.arange(ids.shape[1]).to(dtype)
        angle = at[:, None] * 5000.0 ** (-torch.arange(0, turned, 2).to(dtype) / turned)
        angle = torch.cat([angle, angle], -1)
        def rotate(x):
            head, rest = x[..., :turned], x[..., turned:]
            a, b = head.chunk(2, -1)
            return torch.cat([head * angle.cos() + torch.cat([-b, a], -1) * angle.sin(), rest], -1)
        bias = torch.zeros(len(at), len(at), dtype=dtype).masked_fill(at[:, None] < at, -math.inf)
        x = t["gpt_neox.embed_in.weight"][ids]
        out = {}
        for i in range(DEPTH):
            key = f"gpt_neox.layers.{i}."
            qkv = linear(normed(x, key + "input_layernorm"), key + "attention.query_key_value")
            q, k, v = qkv.unflatten(-1, (HEADS, 3 * size)).transpose(1, 2).chunk(3, -1)
            x = x + linear(attention(rotate(q), rotate(k), v, bias), key + "attention.dense")
            y = F.gelu(linear(normed(x, key + "post_attention_layernorm"), key + "mlp.dense_h_to_4h"))
            x = x + linear(y, key + "mlp.dense_4h_to_h")
            out[f"block{i}"] = x
        x = normed(x, "gpt_neox.final_layer_norm")
        return {**out, "hidden": x, "logits": linear(x, "embed_out")}

    return name, config, w, run, [9, 33], False


def cases():
    yield byte_lm("byte_lm_learned", position_embedding_type="learned")
    yield byte_lm("byte_lm_sinusoidal", position_embedding_type="sinusoidal")
    yield byte_lm("byte_lm_t5", position_embedding_type="t5")
    yield byte_lm("byte_lm_alibi", position_embedding_type="alibi")
    yield byte_lm("byte_lm_rope")
    yield byte_lm("byte_lm_rope_window", sliding_window=9)
    yield byte_lm("byte_lm_rope_postln", norm_first=False)
    for rule in "linear", "ntk", "dynamic", "yarn":
        yield byte_lm("byte_lm_rope_" + rule, rope_scaling={"rope_type": rule, "factor": 4.0})
    for kind in "geglu", "reglu", "original":
        yield jina_bert("jina_bert_" + kind, kind)
    yield gpt_neox("gpt_neox_sequential")


def write(root, name, config, weights, run, lengths, masked):
    (root / name).mkdir(parents=True, exist_ok=True)
    (root / name / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    save_file({key: value.contiguous() for key, value in weights.items()},
              root / name / "model.safetensors", {"format": "pt"})
    tensors, tolerances = {}, {}
    for length in lengths:
        ids = torch.randint(0, VOCAB, (2, length))
        mask = torch.ones_like(ids)
        mask[1, length - length // 3:] = 0
        tensors[f"input_ids.{length}"] = ids
        tensors[f"attention_mask.{length}"] = mask
        for suffix, given in [("", None), (".masked", mask)][:2 if masked else 1]:
            exact, single = run(ids, given, torch.float64), run(ids, given, torch.float32)
            for stage, value in exact.items():
                tensors[f"{stage}.{length}{suffix}"] = value.float().contiguous()
                off = 8 * (value - single[stage]).abs().max().item()
                tolerances[stage] = max(tolerances.get(stage, 1e-5), float(f"{off:.1e}"))
    save_file(tensors, root / name / "expected.safetensors")
    return {"case": name, "suggested_atol": tolerances}


def main():
    root = pathlib.Path(sys.argv[1])
    torch.manual_seed(7)
    found = [write(root, *case) for case in cases()]
    (root / "cases.json").write_text(json.dumps({"cases": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
