# SPDX-License-Identifier: MIT
"""Stands in for torchvision, which timm and open_clip import beside their models and no model needs: there is
no torchvision for every torch. Import it before them; where torchvision is installed it does nothing.
"""
import importlib.machinery
import importlib.util
import sys
import types


class _Names(type):
    """A class whose attributes are their own names: InterpolationMode.BICUBIC and the like."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return f"{cls.__name__}.{name}"


class _Stub(types.ModuleType):
    __path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Names(name, (), {})


def _install(*names):
    for name in names:
        module = _Stub(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)


if importlib.util.find_spec("torchvision") is None:
    _install("torchvision", "torchvision.ops", "torchvision.ops.misc", "torchvision.transforms",
             "torchvision.transforms.functional", "torchvision.datasets")
