"""Train the model on the corpus, on the processor.

    python train.py --corpus WORK/train.jsonl --tokenizer WORK/tokenizer.json --out WORK/model.pt

Samples of similar length share a batch, each from its own position 0, so nothing is
packed across conversations; the loss is that of the assistant's tokens alone.
"""

import argparse
import json
import math
import os
import random
import time
from dataclasses import asdict

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from chatml import pieces
from model import Config, Llama
from muon import Muon


def encode(path, tokenizer, context):
    """Dialogues as (tokens, learned) arrays."""
    with open(path, encoding="utf-8") as lines:
        dialogues = [pieces(json.loads(line)) for line in lines]
    samples = []
    for start in range(0, len(dialogues), 4096):
        part = dialogues[start:start + 4096]
        coded = iter(tokenizer.encode_batch([text for d in part for text, _ in d]))
        for dialogue in part:
            tokens, learned = [], []
            for _, mark in dialogue:
                ids = next(coded).ids
                tokens += ids
                learned += [mark] * len(ids)
            samples.append((np.array(tokens[:context], np.int16), np.array(learned[:context])))
    return samples


def padded(length):
    """Widths come in few sizes, so that the products of one shape recur."""
    return (length + 15) // 16 * 16 + 1


def batches(samples, budget, rng):
    """Endless batches of about `budget` tokens, of samples of similar length."""
    while True:
        order = list(range(len(samples)))
        rng.shuffle(order)
        for start in range(0, len(order), 8192):
            part = sorted(order[start:start + 8192], key=lambda i: -len(samples[i][0]))
            groups = []
            while part:
                rows = max(1, budget // padded(len(samples[part[0]][0])))
                groups.append(part[:rows])
                part = part[rows:]
            rng.shuffle(groups)
            for group in groups:
                yield collate([samples[i] for i in group])


def collate(group):
    """Tokens padded on the right, and the places whose next token is learned."""
    width = padded(max(len(tokens) for tokens, _ in group))
    tokens = torch.zeros(len(group), width, dtype=torch.long)
    learned = torch.zeros(len(group), width, dtype=torch.bool)
    for row, (ids, marks) in enumerate(group):
        tokens[row, :len(ids)] = torch.from_numpy(ids)
        learned[row, :len(ids)] = torch.from_numpy(marks)
    return tokens[:, :-1], tokens[:, 1:], learned[:, 1:]


def rate(done, warm=0.02, floor=0.02):
    """Share of the peak learning rate at this share of the training: warm-up, then cosine."""
    if done < warm:
        return max(done, 0.0005) / warm
    progress = min(1.0, (done - warm) / (1 - warm))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))


def optimisers_for(model, peak):
    """Muon for the matrices of the layers, AdamW for the embeddings and the norms."""
    muon = Muon([p for p in model.blk.parameters() if p.dim() == 2], peak)
    norms = [p for p in model.parameters() if p.dim() == 1]
    groups = [
        {"params": [model.token_embd.weight], "weight_decay": 0.02},
        {"params": norms, "weight_decay": 0.0},
    ]
    adam = torch.optim.AdamW(groups, lr=peak / 8, betas=(0.9, 0.95), fused=True)
    for group in muon.param_groups + adam.param_groups:
        group["peak"] = group["lr"]
    return muon, adam


class Tail:
    """The mean of the weights over the last steps: each counts less, the longer it is past."""

    def __init__(self, model, steps):
        self.model, self.steps, self.seen = model, steps, 0
        self.mean = {name: value.clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def step(self):
        """Takes the weights as they are now; the first ones are a plain mean."""
        self.seen += 1
        share = 1 / min(self.seen, self.steps)
        for name, value in self.model.state_dict().items():
            self.mean[name].lerp_(value, share)


def save(model, weights, path):
    """Weights and sizes, replaced in one step."""
    torch.save({"config": asdict(model.config), "weights": weights}, path + ".part")
    os.replace(path + ".part", path)


def loss_of(model, batch, half):
    """Mean loss over the learned tokens."""
    tokens, targets, learned = batch
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        scores = model.logits(model.hidden(tokens)[learned])
    return F.cross_entropy(scores.float(), targets[learned])


def train(args):
    """Run the training for a number of tokens, or until the time is up."""
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    tokenizer = Tokenizer.from_file(args.tokenizer)
    model = Llama(Config(vocab=tokenizer.get_vocab_size()))
    if args.start:
        model.load_state_dict(torch.load(args.start, weights_only=True)["weights"])
    print(f"{sum(p.numel() for p in model.parameters())} weights", flush=True)
    samples = encode(args.corpus, tokenizer, model.config.context)
    print(f"{len(samples)} samples, {sum(len(t) for t, _ in samples)} tokens", flush=True)
    optimisers = optimisers_for(model, args.rate)
    if args.compile:
        model.hidden = torch.compile(model.hidden, dynamic=True)
        loss_of(model, next(batches(samples, args.batch, random.Random(0))), args.half).backward()
        model.zero_grad(set_to_none=True)
    stream = batches(samples, args.batch, random.Random(args.seed))
    tail = Tail(model, args.mean)
    begun, kept = time.process_time(), time.time()
    seen, step, mean = 0, 0, None
    while True:
        spent = (time.process_time() - begun) / args.threads
        done = max(seen / args.tokens, spent / (60 * args.minutes))
        if done >= 1:
            break
        for group in (g for o in optimisers for g in o.param_groups):
            group["lr"] = group["peak"] * rate(done, floor=args.floor)
        batch = next(stream)
        loss = loss_of(model, batch, args.half)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
        model.zero_grad(set_to_none=True)
        tail.step()
        seen += batch[0].numel()
        step += 1
        mean = loss.item() if mean is None else 0.98 * mean + 0.02 * loss.item()
        if step % 50 == 0:
            print(f"step {step} loss {mean:.4f} tokens {seen} done {done:.3f} "
                  f"{seen / spent:.0f} tokens/s", flush=True)
        if time.time() - kept > 60:
            save(model, tail.mean, args.out)
            kept = time.time()
    save(model, tail.mean, args.out)
    print(f"{step} steps, {seen} tokens, {spent / 60:.1f} minutes, loss {mean:.4f}", flush=True)


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--start", help="weights to go on from")
    parser.add_argument("--tokens", type=int, default=30_000_000, help="length of the training")
    parser.add_argument("--minutes", type=float, default=47, help="most time of the processor that it may take on each thread")
    parser.add_argument("--batch", type=int, default=4096, help="tokens in a batch")
    parser.add_argument("--rate", type=float, default=0.02)
    parser.add_argument("--floor", type=float, default=0.02, help="share of the rate at the end")
    parser.add_argument("--mean", type=int, default=1,
                        help="steps whose weights the saved ones are the mean of")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True,
                        help="compiled layers (wants a C++ compiler)")
    parser.add_argument("--half", action=argparse.BooleanOptionalAction, default=True,
                        help="bfloat16 products")
    train(parser.parse_args())


if __name__ == "__main__":
    main()
