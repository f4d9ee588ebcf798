"""Take a GGUF file of this model apart again, so that training can go on from it.

    python reopen.py --gguf hearth.gguf --out WORK/model.pt --out-tokenizer WORK/tokenizer.json

The weights are those of the file, of 8 bits where it has 8.
"""

import argparse
from dataclasses import asdict

import gguf
import torch
from tokenizers import AddedToken, Tokenizer, models

from bpe import with_steps
from chatml import CONTROL
from model import Config, Llama


def tokenizer_of(reader):
    """The vocabulary and its merges."""
    tokens = reader.get_field("tokenizer.ggml.tokens").contents()
    merges = reader.get_field("tokenizer.ggml.merges").contents()
    bpe = models.BPE({text: i for i, text in enumerate(tokens)},
                     [tuple(merge.split(" ")) for merge in merges])
    tokenizer = with_steps(Tokenizer(bpe))
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False)
                                  for text in CONTROL])
    return tokenizer


def weights_of(reader, config):
    """The matrices and norms by name, as floats; every one that the model wants."""
    weights = {t.name: torch.from_numpy(gguf.quants.dequantize(t.data, t.tensor_type).copy())
               for t in reader.tensors}
    Llama(config).load_state_dict(weights)
    return weights


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gguf", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--out-tokenizer", required=True)
    args = parser.parse_args()
    reader = gguf.GGUFReader(args.gguf)
    tokenizer = tokenizer_of(reader)
    config = Config(vocab=tokenizer.get_vocab_size())
    torch.save({"config": asdict(config), "weights": weights_of(reader, config)}, args.out)
    tokenizer.save(args.out_tokenizer)


if __name__ == "__main__":
    main()
