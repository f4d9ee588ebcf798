"""Run a GGUF file of this model with torch: weights, vocabulary and greedy answers."""

import gguf
import numpy as np
import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from bpe import SPLIT
from chatml import CONTROL, END, prompt
from model import Config, Llama


def field(reader, key):
    """One value of the file's header."""
    return reader.get_field(key).contents()


def load_model(reader):
    """The model with the weights of the file, dequantised."""
    key = "llama."
    heads = field(reader, key + "attention.head_count")
    config = Config(
        vocab=len(field(reader, "tokenizer.ggml.tokens")), width=field(reader, key + "embedding_length"),
        layers=field(reader, key + "block_count"), heads=heads, kv_heads=field(reader, key + "attention.head_count_kv"),
        head_dim=field(reader, key + "rope.dimension_count"), hidden=field(reader, key + "feed_forward_length"),
        context=field(reader, key + "context_length"), theta=field(reader, key + "rope.freq_base"),
        eps=field(reader, key + "attention.layer_norm_rms_epsilon"))
    model = Llama(config)
    weights = {}
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        weights[tensor.name] = torch.from_numpy(np.array(values, dtype=np.float32))
    model.load_state_dict(weights)
    return model.eval()


def load_tokenizer(reader):
    """The vocabulary and merges of the file."""
    tokens = field(reader, "tokenizer.ggml.tokens")
    merges = [tuple(m.split(" ")) for m in field(reader, "tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(CONTROL)
    return tokenizer


class Assistant:
    """Greedy answers from a GGUF file."""

    def __init__(self, path):
        reader = gguf.GGUFReader(path)
        self.model = load_model(reader)
        self.tokenizer = load_tokenizer(reader)
        self.end = self.tokenizer.token_to_id(END)

    def encode(self, messages):
        """The tokens of the prompt that these (role, text) messages make."""
        return self.tokenizer.encode(prompt(messages)).ids

    @torch.no_grad()
    def answers(self, chats, limit=80, rows=32):
        """The answers to conversations; prompts of similar length run together."""
        prompts = [self.encode(chat) for chat in chats]
        order = sorted(range(len(chats)), key=lambda i: len(prompts[i]))
        out = [""] * len(chats)
        for start in range(0, len(order), rows):
            part = order[start:start + rows]
            for i, text in zip(part, self.run([prompts[i] for i in part], limit)):
                out[i] = text
        return out

    def run(self, prompts, limit):
        """Greedy continuation; the room after each prompt does not change what is before it."""
        ends = torch.tensor([len(ids) for ids in prompts])
        width = min(self.model.config.context, int(ends.max()) + limit)
        tokens = torch.full((len(prompts), width), self.end)
        for row, ids in enumerate(prompts):
            tokens[row, :len(ids)] = torch.tensor(ids)
        begun, rows = ends.clone(), torch.arange(len(prompts))
        live = ends < width
        while live.any():
            state = self.model.hidden(tokens[:, :int(ends.max())])[rows, ends - 1]
            best = self.model.logits(state).argmax(-1)
            live &= best != self.end
            tokens[rows[live], ends[live]] = best[live]
            ends[live] += 1
            live &= ends < torch.clamp(begun + limit, max=width)
        return [self.tokenizer.decode(tokens[i, begun[i]:ends[i]].tolist()) for i in range(len(prompts))]
