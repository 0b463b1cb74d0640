"""The network: a plain ViT under timm's parameter names (train.py, evaluate.py)."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        depth = width // self.heads
        q, k, v = (self.qkv(x).view(batch, tokens, 3, self.heads, depth)
                   .permute(2, 0, 3, 1, 4).unbind(0))
        # Written out rather than F.scaled_dot_product_attention: for 65 bf16
        # tokens on a CPU that one's backward pass takes seven times as long.
        weights = (q @ k.transpose(-2, -1) * depth ** -0.5).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(batch, tokens, width))


class Mlp(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    def __init__(self, width, patch):
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)

    def forward(self, x):
        return self.proj(x)


class ViT(nn.Module):
    """timm's VisionTransformer with a class token and dynamic_img_size."""

    def __init__(self, img_size, patch_size, embed_dim, depth, num_heads, num_classes, **_):
        super().__init__()
        self.grid = img_size // patch_size
        self.patch_embed = PatchEmbed(embed_dim, patch_size)
        self.cls_token = nn.Parameter(torch.randn(1, 1, embed_dim) * 1e-6)
        self.pos_embed = nn.Parameter(torch.randn(1, self.grid ** 2 + 1, embed_dim) * 0.02)
        self.blocks = nn.ModuleList(Block(embed_dim, num_heads) for _ in range(depth))
        self.norm = nn.LayerNorm(embed_dim, eps=1e-6)
        self.head = nn.Linear(embed_dim, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def positions(self, rows, cols):
        """The position table for a grid of this size, resized as timm does it."""
        if rows == cols == self.grid:
            return self.pos_embed
        cls, table = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        table = table.view(1, self.grid, self.grid, -1).permute(0, 3, 1, 2)
        table = F.interpolate(table, size=(rows, cols), mode="bicubic", antialias=True)
        return torch.cat([cls, table.flatten(2).transpose(1, 2)], dim=1)

    def forward(self, x):
        x = self.patch_embed(x)
        rows, cols = x.shape[-2:]
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1)
        x = x + self.positions(rows, cols)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x[:, 0]))


def build(config, weights=None):
    """The ViT that a config.json describes, with the weights of a file if given."""
    model = ViT(**config["model_args"])
    if weights:
        model.load_state_dict({k: v.float() for k, v in load_file(weights).items()})
    return model
