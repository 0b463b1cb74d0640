# SPDX-License-Identifier: MIT
"""OpenCLIP's models of families.py, saved as open_clip pushes them to the hub."""
import copy

import open_clip
import torch
import torch.nn.functional as F
from open_clip.model import resize_pos_embed, set_model_preprocess_cfg
from open_clip.push_to_hf_hub import save_config_for_hf
from safetensors.torch import save_file

from golden_case import Case, watch_blocks

SIZES = [(24, 24), (32, 32), (16, 28)]
IDS = torch.tensor([[60, 3, 17, 8, 61, 0, 0, 0], [60, 44, 61, 0, 0, 0, 0, 0], [60, 1, 2, 3, 4, 5, 6, 61]])
PREPROCESS = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD,
              "interpolation": "bicubic", "resize_mode": "shortest"}


def text_tower(model):
    """Every stage of the text tower, as CLIP.encode_text goes through them."""
    tower = getattr(model, "text", model)
    x = tower.token_embedding(IDS) + tower.positional_embedding
    x = tower.ln_final(tower.transformer(x, attn_mask=tower.attn_mask))
    pooled = x[torch.arange(len(IDS)), IDS.argmax(-1)]
    embeds = model.encode_text(IDS, normalize=True)
    assert torch.allclose(F.normalize(pooled @ tower.text_projection, dim=-1), embeds)
    return x, pooled, embeds


def text_stages(model, image):
    features, pooled, embeds = text_tower(model)
    return {"input_ids": IDS, "text_features": features, "text_pooled": pooled, "text_embeds": embeds}


def picture_stages(model, image):
    seen = {}
    visual = model.visual
    handles = watch_blocks(visual.transformer.resblocks, seen)
    handles.append(visual.ln_post.register_forward_hook(
        lambda module, inputs, output: seen.update(features=inputs[0], pooled=output[:, 0])))
    embeds = model.encode_image(image, normalize=True)
    logits = model.get_logits(image, IDS)[0]
    for handle in handles:
        handle.remove()
    return {"pos": visual.positional_embedding[None], "embeddings": seen["embeddings"], "block0": seen["block0"],
            "block1": seen["block1"], "features": seen["features"], "pooled": seen["pooled"],
            "image_embeds": embeds, "logits_per_image": logits}


def clip(family, vision={}, text={}, **settings):
    config = {"embed_dim": 20, "vision_cfg": {"image_size": 24, "layers": 2, "width": 24, "head_width": 12,
                                              "patch_size": 4, **vision},
              "text_cfg": {"context_length": 8, "vocab_size": 62, "width": 20, "heads": 2, "layers": 2, **text}}
    config.update(settings)

    def build(size=None):
        copied = copy.deepcopy(config)
        if size:
            copied["vision_cfg"]["image_size"] = size
        kind = open_clip.CustomTextCLIP if copied.pop("custom_text", False) else open_clip.CLIP
        return kind(**copied)

    def make(randomise):
        model = randomise(build())
        set_model_preprocess_cfg(model, PREPROCESS)

        def model_at(size):
            """As open_clip gives a checkpoint another size: the table is resized on its way into a new model."""
            other = build(size)
            state = dict(model.state_dict())
            resize_pos_embed(state, other)
            other.load_state_dict(state)
            return other.eval()

        def save(folder):
            save_file(model.state_dict(), folder / "open_clip_model.safetensors")
            save_config_for_hf(model, folder / "open_clip_config.json", config)

        return Case(family=family, reference=f"open_clip_torch {open_clip.__version__}",
                    source_file="src/open_clip/model.py, transformer.py", model=model, model_at=model_at, save=save,
                    sizes=SIZES, picture_stages=picture_stages, text_stages=text_stages)

    return make


CASES = {
    "open_clip_quickgelu": clip("OpenCLIP as ViT-B-32-quickgelu", quick_gelu=True),
    "open_clip_custom_text": clip("OpenCLIP with exact GELU, LayerScale, a text tower of its own, a logit bias",
                                  vision={"ls_init_value": 0.1}, text={"ls_init_value": 0.1}, custom_text=True,
                                  init_logit_bias=-3.0),
}
