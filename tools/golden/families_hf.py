# SPDX-License-Identifier: MIT
"""transformers' models of families.py: MAE, BEiT, and DINOv2 with Meta's names and rules."""
import json
import math

import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import save_file

from golden_case import Case, watch_blocks, watch_result

TINY = dict(image_size=24, patch_size=4, hidden_size=24, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=48)
SIZES = [(24, 24), (32, 32), (16, 28)]
REFERENCE = f"transformers {transformers.__version__}"


def finish(seen, handles, undo):
    for handle in handles:
        handle.remove()
    undo()
    order = ("pos", "embeddings", "block0", "block1", "block2", "features", "pooled", "logits")
    return {stage: seen[stage] for stage in order if stage in seen}


# ---- MAE -----------------------------------------------------------------------------------------------------


def mae(randomise):
    config = transformers.ViTMAEConfig(**TINY, decoder_hidden_size=16, decoder_num_hidden_layers=1,
                                       decoder_num_attention_heads=2, decoder_intermediate_size=16, mask_ratio=0.0)
    model = randomise(transformers.ViTMAEForPreTraining(config))

    def stages(model, image):
        """The encoder on all patches in their order: nothing is masked, the noise does not shuffle."""
        seen = {}
        embeddings = model.vit.embeddings
        handles = watch_blocks(model.vit.encoder.layer, seen)
        undo = watch_result(embeddings, "interpolate_pos_encoding", seen, "pos")
        patches = image.shape[2] // 4 * (image.shape[3] // 4)
        output = model.vit(image, noise=torch.arange(patches)[None], interpolate_pos_encoding=True)
        seen["features"] = output.last_hidden_state
        return finish(seen, handles, undo)

    def save(folder):
        model.save_pretrained(folder)
        config = json.loads((folder / "config.json").read_text())
        config["mask_ratio"] = 0.75  # as published; for training
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")

    return Case(family="MAE: the encoder, a table of sines and cosines", reference=REFERENCE,
                source_file="src/transformers/models/vit_mae/modeling_vit_mae.py", model=model, save=save,
                sizes=SIZES, picture_stages=stages)


# ---- BEiT ----------------------------------------------------------------------------------------------------


def beit_shared(randomise):
    config = transformers.BeitConfig(**TINY, num_labels=10, use_absolute_position_embeddings=True,
                                     use_shared_relative_position_bias=True, use_relative_position_bias=False,
                                     use_mean_pooling=False, layer_scale_init_value=0.1, use_mask_token=True)
    config._attn_implementation = "eager"
    model = randomise(transformers.BeitForImageClassification(config))

    def stages(model, image):
        seen = {}
        handles = watch_blocks(model.beit.encoder.layer, seen)
        undo = watch_result(model.beit.embeddings, "interpolate_pos_encoding", seen, "pos")
        output = model.beit(image, interpolate_pos_encoding=True)
        seen["features"], seen["pooled"] = output.last_hidden_state, output.pooler_output
        seen["logits"] = model.classifier(seen["pooled"])
        return finish(seen, handles, undo)

    return Case(family="BEiT with a table of positions and one of relative positions for all blocks",
                reference=REFERENCE, source_file="src/transformers/models/beit/modeling_beit.py", model=model,
                save=model.save_pretrained, sizes=SIZES, picture_stages=stages)


# ---- Meta's DINOv2 -------------------------------------------------------------------------------------------

META_NAMES = {  # transformers' own conversion, src/transformers/models/dinov2/convert_dinov2_to_hf.py
    "embeddings.cls_token": "cls_token",
    "embeddings.mask_token": "mask_token",
    "embeddings.register_tokens": "register_tokens",
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.patch_embeddings.projection.": "patch_embed.proj.",
    "layernorm.": "norm.",
}
META_BLOCK_NAMES = {
    "attention.output.dense.": "attn.proj.",
    "layer_scale1.lambda1": "ls1.gamma",
    "layer_scale2.lambda1": "ls2.gamma",
    "mlp.weights_in.": "mlp.w12.",
    "mlp.weights_out.": "mlp.w3.",
}


def meta_state_dict(model) -> dict:
    state, out = model.state_dict(), {}
    for name, value in state.items():
        if name.startswith("encoder.layer."):
            block, rest = name[len("encoder.layer."):].split(".", 1)
            if rest.startswith("attention.attention."):
                kind, suffix = rest.split(".")[-2:]
                if kind == "query":
                    parts = [state[name.replace("query", other)] for other in ("query", "key", "value")]
                    out[f"blocks.{block}.attn.qkv.{suffix}"] = torch.cat(parts)
                continue
            for old, new in META_BLOCK_NAMES.items():
                rest = rest.replace(old, new)
            out[f"blocks.{block}.{rest}"] = value
        else:
            for old, new in META_NAMES.items():
                if name.startswith(old):
                    out[name.replace(old, new)] = value
    return {name: value.contiguous() for name, value in out.items()}


def meta_positions(embeddings, patches, height, width):
    """interpolate_pos_encoding of dinov2/models/vision_transformer.py, interpolate_offset 0.1, no antialiasing."""
    table = embeddings.position_embeddings
    side = int(math.sqrt(table.shape[1] - 1))
    rows, columns = height // embeddings.patch_size, width // embeddings.patch_size
    if rows * columns == side * side and height == width:
        return table
    grid = table[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    scale = ((rows + 0.1) / side, (columns + 0.1) / side)
    grid = F.interpolate(grid, scale_factor=scale, mode="bicubic")
    assert grid.shape[-2:] == (rows, columns)
    return torch.cat([table[:, :1], grid.permute(0, 2, 3, 1).flatten(1, 2)], 1)


def meta_dinov2(architecture, registers=0, swiglu=False, head_layers=0, depth=2):
    """transformers' port of Meta's model under Meta's names. head_layers: of the linear classifier
    (dinov2/hub/classifiers.py, _LinearClassifierWrapper), on the class tokens of so many blocks and the mean of
    the last one's patches."""
    def make(randomise):
        settings = {**TINY, "num_hidden_layers": depth}
        del settings["intermediate_size"]
        if registers:
            config = transformers.Dinov2WithRegistersConfig(**settings, num_register_tokens=registers,
                                                            use_swiglu_ffn=swiglu)
            model = transformers.Dinov2WithRegistersModel(config)
        else:
            model = transformers.Dinov2Model(transformers.Dinov2Config(**settings, use_swiglu_ffn=swiglu))
        model.linear_head = torch.nn.Linear((1 + head_layers) * 24, 10) if head_layers else None
        randomise(model)

        def stages(model, image):
            seen = {}
            embeddings = model.embeddings
            if not registers:
                embeddings.interpolate_pos_encoding = meta_positions.__get__(embeddings)
            handles = watch_blocks(model.encoder.layer, seen)
            undo = watch_result(embeddings, "interpolate_pos_encoding", seen, "pos")
            seen["features"] = model(image).last_hidden_state
            seen["pooled"] = seen["features"][:, 0]
            if head_layers:
                last = [model.layernorm(seen[f"block{i}"])[:, 0] for i in range(depth - head_layers, depth)]
                mean = seen["features"][:, 1 + registers:].mean(1)
                seen["logits"] = model.linear_head(torch.cat([*last, mean], 1))
            return finish(seen, handles, undo)

        def save(folder):
            state = meta_state_dict(model)
            arguments = {"num_heads": 2}
            if head_layers:
                state = {"backbone." + name: value for name, value in state.items()}
                state.update({"linear_head." + name: value for name, value in model.linear_head.state_dict().items()})
            save_file(state, folder / "model.safetensors")
            config = {"architecture": architecture, "model_args": arguments}
            (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")

        kind = "dinov2_with_registers" if registers else "dinov2"
        return Case(family=f"Meta's {architecture}" + (f", a head on {head_layers} blocks" if head_layers else ""),
                    reference=REFERENCE + ", renamed; positions and head as facebookresearch/dinov2 has them",
                    source_file=f"src/transformers/models/{kind}/modeling_{kind}.py", model=model, save=save,
                    sizes=SIZES, picture_stages=stages)

    return make


CASES = {
    "hf_vit_mae": mae,
    "hf_beit_shared": beit_shared,
    "meta_dinov2": meta_dinov2("dinov2_vits14"),
    "meta_dinov2_reg_swiglu": meta_dinov2("dinov2_vitg14_reg", registers=4, swiglu=True),
    "meta_dinov2_reg_lc": meta_dinov2("dinov2_vits14_reg_lc", registers=4, head_layers=1),
    "meta_dinov2_lc4": meta_dinov2("dinov2_vits14_lc", head_layers=4, depth=4),
}
