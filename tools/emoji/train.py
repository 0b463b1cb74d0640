#!/usr/bin/env python3
"""Train the emoji ViT on a CPU for a given number of minutes.

    train.py --data data.npz --config config.json --out model.safetensors \\
             --minutes 95 [--init start.safetensors]

Everything that changes over the run (learning rate, picture sizes, strength of
the augmentation) is a function of the share of the minutes that has passed, so
a slower machine runs fewer steps of the same schedule. The averaged weights go
to --out, as F16, at every evaluation.

The matrices of the blocks are trained with Muon, everything else with AdamW;
the forward and backward passes run in bfloat16.

Only the drawings of TRAIN_STYLES are trained on. The other styles in the data
are evaluated for the log, and nothing is chosen by them.
"""
import argparse
import json
import math
import os
import pathlib
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

import vit

TRAIN_STYLES = ("noto", "noto-v1", "twemoji", "fluent-emoji-flat", "fluent-emoji", "emojione")

# Classes that their mirror image would turn into another one.
HANDED = ("left", "right", "quarter", "waxing", "waning", "crescent", "clock", "thirty")

# From which share of the run on, which picture sizes are drawn how often.
# Small pictures are cheap and come first; towards the end most have the
# native 128 px, and a few are larger so that other sizes work as well.
SIZES = (
    (0.00, {64: 4, 80: 3, 96: 3}),
    (0.30, {64: 1, 80: 2, 96: 4, 112: 2, 128: 2}),
    (0.65, {64: 2, 96: 3, 112: 2, 128: 11, 160: 2, 192: 1, 224: 1}),
)


class Clock:
    """Minutes trained so far. While the file PAUSE exists, training sleeps;
    such time is not counted, up to `grace` minutes of it in total."""

    def __init__(self, minutes, pause, grace):
        self.minutes, self.pause, self.grace = minutes, pause, grace
        self.start, self.slept = time.time(), 0.0

    def elapsed(self):
        return (time.time() - self.start - min(self.slept, 60 * self.grace)) / 60

    def progress(self):
        """The share of the run that has passed, 0 to 1."""
        while self.pause and self.pause.exists() and self.elapsed() < self.minutes:
            time.sleep(1)
            self.slept += 1
        return min(1.0, self.elapsed() / self.minutes)


class Pictures:
    """The drawings as render.py packed them: RGBA, premultiplied, three sizes."""

    def __init__(self, path):
        data = np.load(path)
        self.copies = {size: torch.from_numpy(data[f"x{size}"]) for size in (96, 160, 256)}
        self.label = torch.from_numpy(data["label"])
        self.style = torch.from_numpy(data["style"])
        self.styles = list(data["styles"])

    def of(self, styles):
        """Indices of the drawings in these styles."""
        wanted = torch.tensor([self.styles.index(style) for style in styles])
        return torch.isin(self.style, wanted).nonzero()[:, 0]

    def sample(self, index, size, theta):
        """Pictures `index` seen through 2x3 maps `theta`, [n, 4, size, size], 0 to 255."""
        copy = 96 if size <= 80 else 160 if size <= 144 else 256
        grid = F.affine_grid(theta, (len(index), 4, size, size), align_corners=False)
        return F.grid_sample(self.copies[copy][index].float(), grid, align_corners=False)


def uniform(n, low, high):
    return torch.empty(n).uniform_(low, high)


def normalise(rgb):
    """0..1 to the network's input range: mean = std = 0.5."""
    return rgb.clamp_(0, 1).mul_(2).sub_(1)


def clean(pictures, index, size):
    """The drawings as they are, on white."""
    theta = torch.eye(2, 3).expand(len(index), 2, 3)
    x = pictures.sample(index, size, theta) / 255
    return normalise(x[:, :3] + (1 - x[:, 3:]))


def random_maps(n, k, mirror):
    """Random affine maps from output to source: scale, aspect, turn, shift, mirror."""
    zoom = 1 / uniform(n, 1 - 0.4 * k, 1.05 + 0.1 * k)
    aspect = torch.exp(torch.randn(n) * 0.1 * k)
    angle = torch.randn(n) * 0.2 * k
    cos, sin = angle.cos(), angle.sin()
    flip = torch.where(mirror & (torch.rand(n) < 0.4 * k), -1.0, 1.0)
    shift = torch.randn(2, n) * 0.1 * k
    return torch.stack([
        torch.stack([flip * zoom * aspect * cos, -zoom * aspect * sin, shift[0]], 1),
        torch.stack([flip * zoom / aspect * sin, zoom / aspect * cos, shift[1]], 1)], 1)


def random_colours(n, k):
    """Random 3x3 colour matrices: gain of each channel, saturation, hue."""
    grey = torch.full((3, 3), 1 / 3)
    # Hue: a turn about the grey axis (Rodrigues' formula).
    angle = (torch.randn(n) * 0.3 * k)[:, None, None]
    cross = torch.tensor([[0., -1., 1.], [1., 0., -1.], [-1., 1., 0.]]) / math.sqrt(3)
    hue = angle.cos() * torch.eye(3) + (1 - angle.cos()) * grey + angle.sin() * cross
    saturation = uniform(n, 1 - 0.7 * k, 1 + 0.3 * k)
    saturation[torch.rand(n) < 0.1 * k] = 0
    saturation = saturation[:, None, None]
    gain = uniform(n, 1 - 0.3 * k, 1 + 0.2 * k)[:, None] * (1 + torch.randn(n, 3) * 0.1 * k)
    return gain[:, :, None] * (saturation * hue + (1 - saturation) * grey)


def outline(rgb):
    """Redraw as a line drawing: dark edges, fills paler by a random amount."""
    n = len(rgb)
    light = rgb.mean(1, keepdim=True)
    edge = F.max_pool2d(light, 3, 1, 1) + F.max_pool2d(-light, 3, 1, 1)
    ink = (edge * uniform((n, 1, 1, 1), 2, 5)).clamp(0, 1)
    pale = uniform((n, 1, 1, 1), 0, 1)
    return (rgb + (1 - rgb) * pale) * (1 - ink)


def augmented(pictures, index, size, k, mirror):
    """Distorted pictures; k, 0 to 1, says by how much and how often.

    All that is linear in RGBA (colours, flat ground) is one matrix product a
    picture. The costlier effects go to a random run of the batch each: the
    batch is in random order, so that is as good as drawing for each picture.
    """
    n = len(index)
    x = pictures.sample(index, size, random_maps(n, k, mirror))

    def some(share):
        count = round(n * share * k)
        first = int(torch.randint(n - count + 1, ()))
        return slice(first, first + count)

    # rgb = colours @ rgb + brightness * alpha + ground * (1 - alpha)
    ground = torch.rand(n, 3, 1)
    ground[torch.rand(n) > 0.5 * k] = 1
    brightness = torch.randn(n, 1, 1) * 0.1 * k
    matrix = torch.cat([random_colours(n, k), brightness - ground], 2) / 255
    rgb = torch.baddbmm(ground, matrix, x.flatten(2)).view(n, 3, size, size)

    part = some(0.25)       # a ground of soft colour patches
    soft = torch.rand(len(rgb[part]), 3, 3, 3)
    if len(soft):
        soft = F.interpolate(soft, size=(size, size), mode="bilinear", align_corners=True)
        rgb[part] += (1 - x[part, 3:] / 255) * (soft - ground[part, :, :, None])

    rgb = rgb.clamp_(0, 1)
    part = some(0.2)
    rgb[part] = outline(rgb[part])
    part = some(0.2)
    rgb[part] = F.avg_pool2d(rgb[part], 3, 1, 1, count_include_pad=False)
    part = some(0.25)
    rgb[part] += torch.randn_like(rgb[part]) * uniform((len(rgb[part]), 1, 1, 1), 0, 0.1)
    for _ in range(4):      # a rectangle painted over
        part = some(0.15)
        high, wide = torch.randint(size // 8, size * 2 // 5, (2,)).tolist()
        top, left = int(torch.randint(size - high, ())), int(torch.randint(size - wide, ()))
        rgb[part, :, top:top + high, left:left + wide] = torch.rand(3, 1, 1)
    return normalise(rgb)


@torch.inference_mode()
def accuracy(model, pictures, index, size=128):
    """Top-1 and top-5 on clean pictures."""
    first = fifth = 0
    for part in index.split(128):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            top = model(clean(pictures, part, size)).topk(5, 1)[1]
        hit = top == pictures.label[part][:, None]
        first += hit[:, 0].sum().item()
        fifth += hit.any(1).sum().item()
    return f"{100 * first / len(index):.1f}/{100 * fifth / len(index):.1f}"


def save(weights, path):
    """Write F16 weights beside the file, then move them there."""
    temporary = path.with_suffix(".tmp")
    save_file({k: v.half().contiguous() for k, v in weights.items()}, temporary,
              metadata={"format": "pt"})
    os.replace(temporary, path)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=pathlib.Path, required=True, help="what render.py wrote")
    add("--config", type=pathlib.Path, required=True, help="the model's config.json")
    add("--out", type=pathlib.Path, required=True, help="the weights to write")
    add("--minutes", type=float, required=True, help="how long to train")
    add("--init", type=pathlib.Path, help="weights to start from (default: random)")
    add("--lr", type=float, default=2e-3, help="peak learning rate (default 2e-3)")
    add("--warmup", type=int, default=200, help="steps until the peak is reached (default 200)")
    add("--weight-decay", type=float, default=0.05)
    add("--batch", type=int, default=128, help="pictures a step; halved above 144 px")
    add("--strength", type=float, nargs=2, default=(1.0, 0.3), metavar=("FIRST", "LAST"),
        help="strength of the augmentation, changing linearly (default 1 0.3)")
    add("--smoothing", type=float, nargs=2, default=(0.1, 0.03), metavar=("FIRST", "LAST"),
        help="label smoothing, changing linearly (default 0.1 0.03)")
    add("--begin", type=float, default=0.0, metavar="SHARE",
        help="enter the schedule of sizes at this share of it (default 0)")
    add("--average", type=float, default=0.998, help="decay of the averaged weights")
    add("--every", type=float, default=4, help="minutes between evaluations (default 4)")
    add("--threads", type=int, default=2)
    add("--seed", type=int, default=0)
    add("--pause", type=pathlib.Path, help="sleep while this file exists")
    add("--grace", type=float, default=15,
        help="minutes of such sleep that do not count as training (default 15)")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    config = json.loads(args.config.read_text())
    pictures = Pictures(args.data)
    mirror = torch.tensor([not any(word in name for word in HANDED)
                           for name in config["label_names"]])
    seen = pictures.of(TRAIN_STYLES)
    sample = seen[torch.randperm(len(seen))[:len(seen) // 3]]     # for the log
    unseen = {s: pictures.of([s]) for s in pictures.styles if s not in TRAIN_STYLES}

    model = vit.build(config, args.init)
    average = vit.build(config).eval().requires_grad_(False)
    average.load_state_dict(model.state_dict())

    matrices = [p for p in model.blocks.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if not any(p is m for m in matrices)]
    decayed = [p for p in others if p.ndim > 1 and len(p) > 1]     # not cls_token, pos_embed
    plain = [p for p in others if not any(p is d for d in decayed)]
    optimisers = [
        torch.optim.Muon(matrices, lr=args.lr, weight_decay=args.weight_decay,
                         adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW([{"params": decayed, "weight_decay": args.weight_decay},
                           {"params": plain, "weight_decay": 0.0}],
                          lr=args.lr, betas=(0.9, 0.98), fused=True)]

    def report(text):
        print(f"{clock.elapsed():6.1f} min  step {step:6d}  {text}", flush=True)

    def evaluate(part):
        scores = {"seen": part} | unseen
        return "  ".join(f"{name} {accuracy(average, pictures, index)}"
                         for name, index in scores.items())

    clock = Clock(args.minutes, args.pause, args.grace)
    step, shown, losses, next_report = 0, 0, 0.0, args.every
    queue = torch.empty(0, dtype=torch.long)
    report(f"{len(seen)} drawings to train on")

    while (progress := clock.progress()) < 1:
        k, smoothing = (first + (last - first) * progress
                        for first, last in (args.strength, args.smoothing))
        rate = args.lr * min(1, (step + 1) / args.warmup) * (1 - progress)
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate

        place = args.begin + (1 - args.begin) * progress
        table = [sizes for start, sizes in SIZES if start <= place][-1]
        size = list(table)[torch.multinomial(torch.tensor(list(table.values())).float(), 1)]
        batch = args.batch if size <= 144 else args.batch // 2
        if len(queue) < batch:      # every drawing once before any comes again
            queue = torch.cat([queue, seen[torch.randperm(len(seen))]])
        index, queue = queue[:batch], queue[batch:]

        label = pictures.label[index]
        x = augmented(pictures, index, size, k, mirror[label])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(x)
        loss = F.cross_entropy(logits.float(), label, label_smoothing=smoothing)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
        step, shown, losses = step + 1, shown + batch, losses + loss.item() * batch

        decay = min(args.average, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)

        if clock.elapsed() >= next_report:
            report(f"loss {losses / shown:.3f}  {shown / args.every / 60:.0f}/s  "
                   f"k {k:.2f}  lr {rate:.1e}  {evaluate(sample)}")
            save(average.state_dict(), args.out)
            shown, losses, next_report = 0, 0.0, clock.elapsed() + args.every

    save(average.state_dict(), args.out)
    report(f"done  {evaluate(seen)}")


if __name__ == "__main__":
    main()
