"""Train the byte-level BPE vocabulary on the corpus.

    python bpe.py --corpus WORK/train.jsonl --out WORK/tokenizer.json
"""

import argparse
import json

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from chatml import CONTROL

SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def texts(path, limit):
    """The messages of the first dialogues."""
    with open(path, encoding="utf-8") as lines:
        for count, line in enumerate(lines):
            if count >= limit:
                return
            dialogue = json.loads(line)
            yield "system\n" + dialogue["system"]
            for turn in dialogue["turns"]:
                yield "user\n" + turn["user"]
                yield "assistant\n" + turn["bot"]


def with_steps(tokenizer):
    """The tokenizer with the pre-tokenizer of Qwen 2, at work on bytes."""
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def train(path, size, limit):
    """A tokenizer of all 256 bytes and what comes often together."""
    tokenizer = with_steps(Tokenizer(models.BPE()))
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=CONTROL, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), min_frequency=2)
    tokenizer.train_from_iterator(texts(path, limit), trainer)
    return tokenizer


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--limit", type=int, default=60000, help="dialogues read")
    args = parser.parse_args()
    tokenizer = train(args.corpus, args.size, args.limit)
    tokenizer.save(args.out)
    print(f"{tokenizer.get_vocab_size()} tokens")


if __name__ == "__main__":
    main()
