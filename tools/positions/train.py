#!/usr/bin/env python3
"""Train one of the study's byte-level language models on a CPU.

    train.py --text train.txt --out weights/positions/rope --position rope
    train.py --text train.txt --out weights/positions/rope-linear4-ft \\
             --start weights/positions/rope --linear 4 --context 1024 \\
             --batch 2 --steps 150 --rate 2e-3 --warmup 10

The seed decides the weights to start from and the windows of text in each
step, so that models of the same seed differ in their positions alone. The
matrix products run in bfloat16. The weights are written as F16.
"""
import argparse
import math
import pathlib
import time

import torch
import torch.nn.functional as F

import model as lm


def read(path):
    return torch.frombuffer(bytearray(pathlib.Path(path).read_bytes()), dtype=torch.uint8)


def batches(text, context, batch, seed):
    """Random windows of context + 1 bytes, without end."""
    generator = torch.Generator().manual_seed(seed)
    window = torch.arange(context + 1)
    while True:
        start = torch.randint(len(text) - context, (batch, 1), generator=generator)
        yield text[start + window].long()


def rate_at(step, steps, peak, warmup, decay=True):
    """Linear warm-up, then a cosine to zero or a constant."""
    if step < warmup:
        return peak * (step + 1) / warmup
    if not decay:
        return peak
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))


def train(model, text, *, steps, batch, context, peak, warmup, seed=1, decay=True,
          clip=1.0, weight_decay=0.1, pause=None):
    """Train `model`, yielding the loss of each step in nats per byte."""
    groups = [
        {"params": [p for p in model.blocks.parameters() if p.dim() == 2],
         "weight_decay": weight_decay},
        {"params": [p for n, p in model.named_parameters()
                    if p.dim() == 1 or not n.startswith("blocks.")],
         "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=peak, betas=(0.9, 0.95), fused=True)
    model.train()
    for step, window in zip(range(steps), batches(text, context, batch, seed)):
        while pause and pathlib.Path(pause).exists():
            time.sleep(1)
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, steps, peak, warmup, decay)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(window[:, :-1])
        loss = F.cross_entropy(logits.float().flatten(0, 1), window[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        yield loss.item()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", required=True, help="the file to train on")
    parser.add_argument("--out", required=True, help="the checkpoint directory to write")
    parser.add_argument("--position", default="rope",
                        choices=("learned", "sinusoidal", "t5", "alibi", "rope"))
    parser.add_argument("--window", type=int, help="tokens seen, the token itself included")
    parser.add_argument("--start", help="checkpoint directory to go on from")
    parser.add_argument("--linear", type=float, help="factor of linear RoPE scaling")
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--rate", type=float, default=4e-3, help="peak learning rate")
    parser.add_argument("--warmup", type=int, default=100, help="steps of warm-up")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pause", help="sleep while this file exists")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    scaling = {"rope_type": "linear", "factor": args.linear} if args.linear else None
    if args.start:
        model = lm.load(args.start, rope_scaling=scaling)
    else:
        config = lm.Config(args.position, rope_scaling=scaling, sliding_window=args.window)
        model = lm.ByteLM(config).initialise(args.seed)

    used, recent = time.process_time(), []
    losses = train(model, read(args.text), steps=args.steps, batch=args.batch,
                   context=args.context, peak=args.rate, warmup=args.warmup,
                   seed=args.seed, pause=args.pause)
    for step, loss in enumerate(losses, 1):
        recent.append(loss / math.log(2))
        if step % 100 == 0 or step == args.steps:
            print(f"step {step} of {args.steps}: {sum(recent) / len(recent):.4f} bits per byte, "
                  f"{time.process_time() - used:.0f} s of CPU", flush=True)
            recent = []
    lm.save(model, args.out)


if __name__ == "__main__":
    main()
