"""Grow the vocabulary of a trained model by what calls of tools need.

    python grow.py --corpus WORK/train3.jsonl --tokenizer WORK/tokenizer.json \\
        --model WORK/model.pt WORK/model2.pt --out-tokenizer WORK/tokenizer3.json \\
        --out WORK/grown.pt

In a call, words stand behind a quotation mark, where their entries with a blank in front do not
fit: they fall into pieces, and a small model copies them badly.  Byte-pair encoding goes on where
it stopped, over calls, results and the line of tools; what was learned keeps its entries.
"""

import argparse
import json
from collections import Counter

import torch
from tokenizers import Tokenizer

from chatml import call_text, tools_line
from model import mean_of

BLANK = "\u0120"  # as byte-level BPE writes it


def texts(path, limit):
    """What only dialogues with tools have, of the first ones."""
    with open(path, encoding="utf-8") as lines:
        for count, line in enumerate(lines):
            if count >= limit:
                return
            dialogue = json.loads(line)
            if "tools" in dialogue:
                yield tools_line(dialogue["tools"])
            for turn in dialogue["turns"]:
                if "call" in turn:
                    yield call_text(turn["call"])
                    yield json.dumps(turn["result"], ensure_ascii=False)


def segmented(tokenizer, path, limit):
    """How often each pre-token comes, and its pieces."""
    count = Counter()
    for text in texts(path, limit):
        count.update(part for part, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text))
    return [(n, [t.value for t in tokenizer.model.tokenize(part)]) for part, n in count.items()]


def join(pieces, pair):
    """The pieces with each such pair made one."""
    out, i = [], 0
    while i < len(pieces):
        both = tuple(pieces[i:i + 2]) == pair
        out.append("".join(pair) if both else pieces[i])
        i += 1 + both
    return out


def merges(parts, known, wanted):
    """The pairs that come most often, one after the other, until there are enough new entries."""
    out, made = [], set()
    while len(made) < wanted:
        count = Counter()
        for n, pieces in parts:
            for pair in zip(pieces, pieces[1:]):
                count[pair] += n
        best = max(count, key=lambda pair: (count[pair], pair))
        out.append(best)
        made |= {"".join(best)} - known
        parts = [(n, join(pieces, best)) for n, pieces in parts]
    return out


def rows(vocab, new, table):
    """Embeddings of the new entries, each (text, its two parts).

    A word begins as its entry with a blank in front, moved by what lies on average between such
    two; anything else as the mean of its parts.
    """
    twins = [(i, vocab[BLANK + t]) for t, i in vocab.items() if BLANK + t in vocab]
    plain, spaced = (torch.tensor(side) for side in zip(*twins))
    step = (table[plain] - table[spaced]).mean(0)
    made = {t: table[i] for t, i in vocab.items()}
    for text, parts in new:
        twin = made.get(BLANK + text)
        made[text] = sum(made[p] for p in parts) / 2 if twin is None else twin + step
    return torch.stack([made[text] for text, _ in new])


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--model", required=True, nargs="+", help="of several, the mean")
    parser.add_argument("--out-tokenizer", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--size", type=int, default=2560)
    parser.add_argument("--limit", type=int, default=40000, help="dialogues read")
    args = parser.parse_args()
    with open(args.tokenizer, encoding="utf-8") as file:
        saved = json.load(file)
    bpe, model = saved["model"], mean_of(args.model)
    parts = segmented(Tokenizer.from_file(args.tokenizer), args.corpus, args.limit)
    pairs = merges(parts, set(bpe["vocab"]), args.size - len(bpe["vocab"]))
    made = dict.fromkeys("".join(pair) for pair in pairs)
    new = [(text, next(p for p in pairs if "".join(p) == text))
           for text in made if text not in bpe["vocab"]]
    table = model["weights"]["token_embd.weight"]
    model["weights"]["token_embd.weight"] = torch.cat([table, rows(bpe["vocab"], new, table)])
    model["config"]["vocab"] = args.size
    bpe["vocab"] |= {text: len(bpe["vocab"]) + i for i, (text, _) in enumerate(new)}
    bpe["merges"] += [list(pair) for pair in pairs]
    with open(args.out_tokenizer, "w", encoding="utf-8") as file:
        json.dump(saved, file, ensure_ascii=False)
    torch.save(model, args.out)
    print(f"{len(new)} entries: {' '.join(text for text, _ in new)}")


if __name__ == "__main__":
    main()
