"""A byte-level transformer whose only moving part is how it knows positions.

`Config` is the checkpoint's config.json, `ByteLM` the network, `load` and
`save` read and write a checkpoint directory.
"""
import dataclasses
import json
import math
import pathlib

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file, save_file


@dataclasses.dataclass
class Config:
    position_embedding_type: str = "rope"   # learned, sinusoidal, t5, alibi, rope
    model_type: str = "byte_lm"
    vocab_size: int = 256
    hidden_size: int = 128
    num_hidden_layers: int = 5
    num_attention_heads: int = 4
    intermediate_size: int = 512
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-5
    max_position_embeddings: int = 256
    # Embeddings are stored small, for the output that shares them, and enter
    # the network times sqrt(hidden_size): components of about 1, the size of
    # the sinusoids that are added to them.
    embed_scale: float = math.sqrt(128)
    rope_theta: float = 10000.0
    rope_scaling: dict | None = None
    sliding_window: int | None = None       # counts the token itself
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128
    norm_first: bool = True
    tie_word_embeddings: bool = True

    @property
    def head_size(self):
        return self.hidden_size // self.num_attention_heads


def sinusoids(length, size):
    """The table of "Attention Is All You Need": sines and cosines interleaved."""
    angle = torch.arange(length)[:, None] / 10000 ** (torch.arange(0, size, 2) / size)
    return torch.stack([angle.sin(), angle.cos()], 2).flatten(1)


def t5_buckets(length, config):
    """The bucket of each distance 0..length-1 back from the query (T5's decoder):
    one each for the near half, then logarithmic up to the maximum distance."""
    exact = config.relative_attention_num_buckets // 2
    distance = torch.arange(length)
    far = torch.log(distance.clamp(min=1).float() / exact)
    far = far / math.log(config.relative_attention_max_distance / exact) * exact
    far = (exact + far.long()).clamp(max=config.relative_attention_num_buckets - 1)
    return torch.where(distance < exact, distance, far)


def alibi_slopes(heads):
    return 2.0 ** (-8.0 * torch.arange(1, heads + 1) / heads)


def rope_frequencies(config, length):
    """Angle per position of each pair of channels, and the factor on cos and sin.

    The scalings follow Hugging Face's modeling_rope_utils.py, with
    max_position_embeddings as the original length; `ntk` is the dynamic
    scaling's base change at a fixed factor. `length` matters to dynamic only.
    """
    size, base, original = config.head_size, config.rope_theta, config.max_position_embeddings
    scaling = config.rope_scaling or {"rope_type": "default", "factor": 1.0}
    kind, factor = scaling["rope_type"], scaling["factor"]
    exponent = torch.arange(0, size, 2) / size
    if kind == "default":
        return base ** -exponent, 1.0
    if kind == "linear":
        return base ** -exponent / factor, 1.0
    if kind == "ntk":
        return (base * factor ** (size / (size - 2))) ** -exponent, 1.0
    if kind == "dynamic":
        growth = factor * max(length, original) / original - (factor - 1)
        return (base * growth ** (size / (size - 2))) ** -exponent, 1.0
    if kind == "yarn":
        def channel(rotations):
            """The channel that turns this often within the original length."""
            return size * math.log(original / (rotations * 2 * math.pi)) / (2 * math.log(base))
        low = max(math.floor(channel(scaling.get("beta_fast", 32))), 0)
        high = min(math.ceil(channel(scaling.get("beta_slow", 1))), size - 1)
        slow = ((torch.arange(size // 2) - low) / max(high - low, 0.001)).clamp(0, 1)
        plain = base ** -exponent
        return plain / factor * slow + plain * (1 - slow), 0.1 * math.log(factor) + 1
    raise ValueError(f"unknown rope_type {kind}")


def rope_tables(config, length):
    """cos and sin, [length, head_size], for the rotate-half layout."""
    frequency, factor = rope_frequencies(config, length)
    angle = torch.arange(length)[:, None] * frequency
    angle = torch.cat([angle, angle], 1)
    return angle.cos() * factor, angle.sin() * factor


def rotate(x, cos, sin):
    """Rotate queries or keys, [..., length, head_size]."""
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat([-second, first], -1) * sin


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.heads = config.num_attention_heads
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x, bias, rope):
        batch, length, width = x.shape
        q, k, v = (self.qkv(x).view(batch, length, 3, self.heads, width // self.heads)
                   .permute(2, 0, 3, 1, 4))
        if rope is not None:
            q, k = rotate(q, *rope), rotate(k, *rope)
        q = q * q.shape[-1] ** -0.5
        if self.training:               # at short contexts the fastest on CPUs
            dtype = self.proj.weight.dtype
            if torch.is_autocast_enabled("cpu"):
                dtype = torch.get_autocast_dtype("cpu")
            scores = q.to(dtype) @ k.to(dtype).transpose(-1, -2) + bias.to(dtype)
            y = scores.softmax(-1, dtype=dtype) @ v
        else:                           # does not hold all scores at once
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=1.0,
                                               is_causal=bias is None)
        return self.proj(y.transpose(1, 2).reshape(batch, length, width))


class Mlp(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.norm_first = config.norm_first
        self.norm1 = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.attn = Attention(config)
        self.norm2 = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.mlp = Mlp(config)

    def forward(self, x, bias, rope):
        if self.norm_first:
            x = x + self.attn(self.norm1(x), bias, rope)
            return x + self.mlp(self.norm2(x))
        x = self.norm1(x + self.attn(x, bias, rope))
        return self.norm2(x + self.mlp(x))


class ByteLM(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        width, kind = config.hidden_size, config.position_embedding_type
        self.embed = nn.Embedding(config.vocab_size, width)
        if kind == "learned":
            self.pos_embed = nn.Embedding(config.max_position_embeddings, width)
        if kind == "t5":
            self.rel_bias = nn.Embedding(config.relative_attention_num_buckets,
                                         config.num_attention_heads)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        if config.norm_first:
            self.norm = nn.LayerNorm(width, config.layer_norm_eps)
        self.tables = {}

    def initialise(self, seed):
        """Draw the weights; those that all schemes share come out the same."""
        generator = torch.Generator().manual_seed(seed)
        for name, weight in self.named_parameters():
            if name.startswith(("pos_embed", "rel_bias")):
                nn.init.zeros_(weight)          # no random numbers: see above
            elif name == "embed.weight":
                nn.init.normal_(weight, 0, 1 / self.config.embed_scale, generator)
            elif weight.dim() == 2:
                nn.init.normal_(weight, 0, 1 / math.sqrt(weight.shape[1]), generator)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)
        return self

    def positions(self, length):
        """What depends on positions alone, kept from call to call: the sinusoids,
        what is added to scores (mask and ALiBi), T5's buckets, the rotation."""
        if length in self.tables:
            return self.tables[length]
        config = self.config
        kind, window = config.position_embedding_type, config.sliding_window
        added = sinusoids(length, config.hidden_size) if kind == "sinusoidal" else None
        rope = rope_tables(config, length) if kind == "rope" else None
        distance = torch.arange(length)[:, None] - torch.arange(length)
        masked = distance < 0 if window is None else (distance < 0) | (distance >= window)
        bias, bucket = torch.zeros(length, length).masked_fill(masked, -math.inf), None
        if kind == "alibi":
            bias = bias - alibi_slopes(config.num_attention_heads)[:, None, None] * distance
        if kind == "t5":
            bucket = t5_buckets(length, config)[distance.clamp(min=0)]
        self.tables = {length: (added, bias, bucket, rope)}
        return self.tables[length]

    def forward(self, tokens):
        """Logits [batch, length, 256] of tokens [batch, length]."""
        length = tokens.shape[1]
        added, bias, bucket, rope = self.positions(length)
        kind = self.config.position_embedding_type
        x = self.embed(tokens) * self.config.embed_scale
        if kind == "learned":
            x = x + self.pos_embed.weight[:length]
        if added is not None:
            x = x + added
        if bucket is not None:
            bias = bias + self.rel_bias(bucket).permute(2, 0, 1)
        elif kind != "alibi" and self.config.sliding_window is None and not self.training:
            bias = None         # causal and nothing else: attention has a faster way
        for block in self.blocks:
            x = block(x, bias, rope)
        if self.config.norm_first:
            x = self.norm(x)
        return F.linear(x, self.embed.weight)


def save(model, directory):
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    config = dataclasses.asdict(model.config)
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file({name: weight.detach().half().contiguous()
               for name, weight in model.named_parameters()},
              directory / "model.safetensors", {"format": "pt"})


def load(directory, **changes):
    """The F32 network of a checkpoint; `changes` go over its configuration."""
    directory = pathlib.Path(directory)
    config = json.loads((directory / "config.json").read_text())
    model = ByteLM(Config(**{**config, **changes}))
    weights = load_file(directory / "model.safetensors")
    model.load_state_dict({name: weight.float() for name, weight in weights.items()})
    return model.eval()
