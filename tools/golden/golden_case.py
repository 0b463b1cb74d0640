# SPDX-License-Identifier: MIT
"""What families.py is given for a case, and how stages are seen from outside a model."""
import dataclasses
import typing

import torch


@dataclasses.dataclass
class Case:
    family: str  # for people
    reference: str  # package and version
    source_file: str
    model: torch.nn.Module
    save: typing.Callable  # (folder)
    sizes: list  # (height, width) or (height, width, patch); the first is the model's own
    picture_stages: typing.Callable  # (model, image) -> {stage: tensor}
    model_at: typing.Callable = None  # (size) -> the model that takes it; default: the one there is
    text_stages: typing.Callable = None  # (model, None) -> {stage: tensor}

    def __post_init__(self):
        if self.model_at is None:
            self.model_at = lambda size: self.model


def watch_blocks(blocks, seen: dict, batch_first: bool = True) -> list:
    """Puts what goes into the first block, and what comes out of each, into `seen`."""
    def keep(stage):
        def hook(module, inputs, output):
            seen[stage] = output[0] if isinstance(output, tuple) else output
        return hook

    def keep_input(module, inputs, keywords):
        seen["embeddings"] = inputs[0] if inputs else keywords["hidden_states"]

    handles = [blocks[0].register_forward_pre_hook(keep_input, with_kwargs=True)]
    handles += [block.register_forward_hook(keep(f"block{i}")) for i, block in enumerate(blocks)]
    return handles


def watch_result(owner, name: str, seen: dict, stage: str):
    """Has owner.name put what it returns into `seen` too. Returns a function that undoes it."""
    original = getattr(owner, name)

    def wrapper(*args, **kwargs):
        result = original(*args, **kwargs)
        seen[stage] = result.detach()
        return result

    setattr(owner, name, wrapper)
    return lambda: setattr(owner, name, original)
