# SPDX-License-Identifier: MIT
"""timm's models of families.py, saved as timm pushes them to the hub."""
import timm
import timm.models.beit
import timm.models.eva
import timm.models.vision_transformer
import torch
from safetensors.torch import save_file
from timm.models._hub import save_config_for_hf

from golden_case import Case, watch_blocks, watch_result

TINY = dict(img_size=24, patch_size=4, embed_dim=24, depth=2, num_heads=2, mlp_ratio=2.0, num_classes=10)
SIZES = [(24, 24), (32, 32), (16, 28)]


def stages(model, image):
    seen = {}
    module = __import__(type(model).__module__, fromlist=["_"])
    handles = watch_blocks(model.blocks, seen)
    undo = []
    if getattr(model, "pos_embed", None) is not None:
        seen["pos"] = model.pos_embed.detach()
        undo.append(watch_result(module, "resample_abs_pos_embed", seen, "pos"))
    if getattr(model, "rope", None) is not None:
        undo.append(watch_result(model.rope, "get_embed", seen, "rope"))
    seen["features"] = model.forward_features(image)
    seen["pooled"] = model.forward_head(seen["features"], pre_logits=True)
    if model.num_classes:
        seen["logits"] = model.forward_head(seen["features"])
    for handle in handles:
        handle.remove()
    for restore in undo:
        restore()
    return {stage: seen[stage] for stage in ("pos", "rope", "embeddings", "block0", "block1", "features",
                                             "pooled", "logits") if stage in seen}


def case_of(architecture, source_file, family, sizes=SIZES, dynamic=True, **arguments):
    arguments = {**TINY, **({"dynamic_img_size": True} if dynamic else {}), **arguments}
    arguments = {key: value for key, value in arguments.items() if value is not None}

    def make(randomise):
        model = randomise(timm.create_model(architecture, **arguments))

        def save(folder):
            side = arguments["img_size"]
            model.pretrained_cfg = {**model.pretrained_cfg, "input_size": (3, side, side),
                                    "num_classes": model.num_classes}
            model_args = {key: value for key, value in arguments.items() if key != "num_classes"}
            save_file(model.state_dict(), folder / "model.safetensors")
            save_config_for_hf(model, folder / "config.json", model_args=model_args)

        return Case(family=family, reference=f"timm {timm.__version__}", source_file=source_file, model=model,
                    save=save, sizes=sizes, picture_stages=stages)

    return make


def flexivit(randomise):
    """Other patches as timm gives them to a checkpoint: the state dict is resized on its way into a new model."""
    case = case_of("flexivit_small", "timm/models/vision_transformer.py",
                   "FlexiViT, run with other patches")(randomise)

    def model_at(size):
        if len(size) == 2:
            return case.model
        other = timm.create_model("flexivit_small", **{**TINY, "img_size": size[:2], "patch_size": size[2]})
        state = timm.models.vision_transformer.checkpoint_filter_fn(case.model.state_dict(), other)
        other.load_state_dict(state)
        return other.eval()

    case.model_at = model_at
    case.sizes = [(24, 24), (32, 32), (24, 24, 6), (16, 32, 8), (18, 21, 3)]
    return case


def eva(architecture, family, **arguments):
    return case_of(architecture, "timm/models/eva.py", family, **arguments)


def vit(architecture, family, **arguments):
    return case_of(architecture, "timm/models/vision_transformer.py", family, **arguments)


CASES = {
    "timm_vit_mae": vit("vit_base_patch16_224.mae", "MAE as timm has it: a ViT without a head", num_classes=0),
    "timm_vit_rpn": vit("vit_base_patch16_rpn_224", "norms at the end of the branches"),
    "timm_vit_gap_heads": vit("vit_base_patch16_gap_224", "heads that are not 64 wide, by the name", embed_dim=32,
                              num_heads=None),
    "timm_vit_intern": vit("vit_intern300m_patch14_448", "InternViT: no norm after the last block"),
    "timm_vit_map_prefix": vit("test_vit3", "attention pooling over the registers too"),
    "timm_aimv2": vit("aimv2_large_patch14_224", "AIMv2: a norm between patches and positions, RMSNorm, SwiGLU"),
    "timm_flexivit": flexivit,
    "timm_eva02_enormous": eva("eva02_enormous_patch14_clip_224", "EVA-02-CLIP-E: norms at the end of the branches"),
    "timm_vit_rope_reg": eva("vit_betwixt_patch16_rope_reg4_gap_256", "timm's ViT with rotary positions, registers",
                             ref_feat_shape=(6, 6)),
    "timm_vit_rope": eva("vit_small_patch16_rope_224", "RoPE-ViT, axial"),
    "timm_vit_rope_ape": eva("vit_base_patch16_rope_ape_224", "RoPE-ViT, axial, and a table"),
    "timm_vit_rope_mixed": eva("vit_small_patch16_rope_mixed_224", "RoPE-ViT, mixed: learned frequencies"),
    "timm_vit_rope_mixed_ape": eva("vit_base_patch16_rope_mixed_ape_224", "RoPE-ViT, mixed, and a table"),
    "timm_vit_pe_core": eva("vit_pe_core_base_patch16_224", "Perception Encoder, attention pooling",
                            ref_feat_shape=(6, 5)),
    "timm_vit_pe_core_gigantic": eva("vit_pe_core_gigantic_patch14_448", "Perception Encoder G: no class token",
                                     mlp_ratio=8960 / 1536),
    "timm_vit_pe_lang": eva("vit_pe_lang_large_patch14_448", "Perception Encoder for language: no final norm"),
    "timm_vit_pe_spatial": eva("vit_pe_spatial_base_patch16_512", "Perception Encoder, dense", num_classes=0),
    "timm_beit_both": case_of("beit_base_patch16_224", "timm/models/beit.py",
                              "BEiT with a table of positions, and of relative ones in each block and for all",
                              sizes=[(24, 24)], dynamic=False, use_abs_pos_emb=True, use_rel_pos_bias=True,
                              use_shared_rel_pos_bias=True),
}
