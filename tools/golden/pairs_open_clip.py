#!/usr/bin/env python3
"""Small OpenCLIP models with timm's towers inside, and what open_clip itself answers for them:
tests/data/golden-pairs/open_clip_*. The towers are made smaller by handing timm other sizes than the
architecture's; heads follow from the width, 64 channels each.

    python tools/golden/pairs_open_clip.py tests/data/golden-pairs

Needs torch, timm 1.0.28 and open_clip_torch 3.3.0. torchvision is only imported: where it does not go
with torch, the empty modules below stand for it.
"""
import importlib.machinery
import json
import math
import pathlib
import sys
import types

import torch

ROOT = pathlib.Path(sys.argv[1])
sys.path[0] = ""  # this folder has a tokenizers.py, which would be taken for the package


class Stand(types.ModuleType):
    __path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(name, (object,), {"BILINEAR": 2, "BICUBIC": 3, "NEAREST": 0, "BOX": 4, "HAMMING": 5,
                                      "LANCZOS": 1})
        setattr(self, name, made)
        return made


try:
    import torchvision.transforms  # noqa: F401
except Exception:
    for name in ("", ".transforms", ".transforms.functional", ".transforms.v2", ".datasets",
                 ".datasets.folder", ".ops", ".ops.misc", ".models", ".models.feature_extraction"):
        module = Stand("torchvision" + name)
        module.__spec__ = importlib.machinery.ModuleSpec(module.__name__, None)
        sys.modules[module.__name__] = module
        if name:
            parent, _, child = module.__name__.rpartition(".")
            setattr(sys.modules[parent], child, module)

import timm  # noqa: E402
from open_clip.model import CustomTextCLIP  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

WIDTH, DEPTH, PATCH, SIDE, VOCAB = 64, 2, 8, 48, 67
TEXT = {"context_length": 12, "vocab_size": VOCAB, "width": 36, "heads": 3, "layers": 2, "mlp_ratio": 2.0}
SIGLIP_TEXT = {**TEXT, "no_causal_mask": True, "proj_bias": True, "pool_type": "last",
               "norm_kwargs": {"eps": 1e-6}, "act_kwargs": {"approximate": "tanh"}}
CASES = {
    "open_clip_siglip": {
        "embed_dim": WIDTH, "init_logit_bias": -10, "custom_text": True,
        "vision_cfg": {"image_size": SIDE, "timm_model_name": "vit_base_patch16_siglip_224",
                       "timm_model_pretrained": False, "timm_pool": "map", "timm_proj": "none"},
        "text_cfg": SIGLIP_TEXT},
    "open_clip_eva02": {
        "embed_dim": 32, "custom_text": True,
        "vision_cfg": {"image_size": SIDE, "timm_model_name": "eva02_base_patch16_clip_224",
                       "timm_model_pretrained": False, "timm_pool": "token", "timm_proj": None},
        "text_cfg": TEXT},
}


create_model = timm.create_model


def create_small(model_name, **kwargs):
    return create_model(model_name, img_size=SIDE, patch_size=PATCH, embed_dim=WIDTH, depth=DEPTH,
                             num_heads=WIDTH // 64, mlp_ratio=1.5, **kwargs)


def stages_of(model, pixels):
    """What vitrine calls them: timm's pooled vector is what its head takes."""
    trunk, out = model.visual.trunk, {}
    hook = trunk.blocks[0].register_forward_hook(
        lambda block, args, result: out.update(embeddings=args[0], block0=result))
    features = trunk.forward_features(pixels)
    hook.remove()
    image = torch.nn.functional.normalize(model.encode_image(pixels), dim=-1)
    return {**out, "features": features, "pooled": trunk.forward_head(features, pre_logits=True),
            "image_embeds": image}


def texts_of(model, ids):
    kept = {}
    hook = model.text.ln_final.register_forward_hook(lambda m, args, result: kept.update(text_features=result))
    projected = model.encode_text(ids)
    hook.remove()
    return {**kept, "text_features_projected": projected,
            "text_embeds": torch.nn.functional.normalize(projected, dim=-1)}


def both(tensors, tolerances, model, run, suffix):
    exact, single = run(model.double()), run(model.float())
    for stage, value in exact.items():
        tensors[stage + suffix] = value.float().contiguous()
        off = 8 * (value - single[stage]).abs().max().item()
        floor = 1e-6 if stage.endswith("_embeds") else 1e-5
        tolerances[stage] = max(tolerances.get(stage, floor), float(f"{off:.1e}"))


def write(name, config):
    siglip = "init_logit_bias" in config
    timm.create_model = create_small  # as open_clip calls it
    arguments = {key: value for key, value in config.items() if key != "custom_text"}
    model = CustomTextCLIP(**arguments).eval()
    timm.create_model = create_model
    with torch.no_grad():
        for key, value in model.named_parameters():
            if "norm" in key or ".ln_" in key or "_ln" in key:
                value.copy_((1 if key.endswith("weight") else 0) + 0.3 * torch.randn_like(value))
            elif value.ndim >= 2 and "embed" not in key and "token" not in key:
                value.copy_(torch.randn_like(value) * 1.5 / math.sqrt(value[0].numel()))
            elif key not in ("logit_scale", "logit_bias"):
                value.copy_(0.4 * torch.randn_like(value))
        model.logit_scale.fill_(1.6)
        if siglip:
            model.logit_bias.fill_(-0.7)
    folder = ROOT / name
    folder.mkdir(parents=True, exist_ok=True)
    preprocess = {"size": [SIDE, SIDE], "mode": "RGB", "interpolation": "bicubic", "fill_color": 0}
    if siglip:
        preprocess.update(mean=[0.5] * 3, std=[0.5] * 3, resize_mode="squash")
        tokenizer = {"pad_token": "</s>", "added_tokens_decoder": {"1": {"content": "</s>"}}}
        (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer, indent=1) + "\n")
    else:
        preprocess.update(mean=[0.48145466, 0.4578275, 0.40821073],
                          std=[0.26862954, 0.26130258, 0.27577711], resize_mode="shortest")
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": config, "preprocess_cfg": preprocess}, indent=1) + "\n")
    save_file({key: value.contiguous() for key, value in model.state_dict().items()},
              folder / "open_clip_model.safetensors")
    tensors, tolerances = {}, {}
    ids = torch.randint(3, VOCAB - 1, (3, TEXT["context_length"]))
    if siglip:
        ids[1, -4:] = 1  # padding, which is seen
    else:
        for row, end in enumerate((11, 6, 8)):  # the largest id ends a text, zeros follow
            ids[row, end], ids[row, end + 1:] = VOCAB - 1, 0
    tensors["input_ids"] = ids
    pixels = torch.randn(1, 3, SIDE, SIDE)
    size = f".{SIDE}x{SIDE}"
    tensors["input" + size] = pixels
    with torch.no_grad():
        def picture(m):
            return stages_of(m, pixels.to(m.logit_scale.dtype))
        def logits(m):
            return {"logits_per_image": m.get_logits(pixels.to(m.logit_scale.dtype), ids)[0]}
        both(tensors, tolerances, model, lambda m: texts_of(m, ids), "")
        both(tensors, tolerances, model, picture, size)
        both(tensors, tolerances, model, logits, size)
    save_file(tensors, folder / "expected.safetensors")
    return {"case": name, "suggested_atol": tolerances}


def main():
    torch.manual_seed(5)
    path = ROOT / "cases.json"
    found = [case for case in json.loads(path.read_text())["cases"] if case["case"] not in CASES]
    found += [write(name, config) for name, config in CASES.items()]
    path.write_text(json.dumps({"cases": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
