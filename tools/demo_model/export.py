"""Write the trained model as GGUF: one file of half floats and one of 8-bit blocks.

    python export.py --model WORK/model.pt --tokenizer WORK/tokenizer.json \\
        --full WORK/hearth-f16.gguf --small hearth.gguf

Readers of architecture "llama" rotate adjacent pairs of a head's values.  The model is
trained with that pairing (see model.rotate), so attn_q and attn_k are written as they are.
"""

import argparse
import json

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Kind

from chatml import CONTROL, END, END_OF_TEXT, TEMPLATE
from model import Config, mean_of


def add_facts(writer, config, kind):
    """General keys and the sizes of the model."""
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name("hearth")
    writer.add_description("A small household assistant, trained on a generated corpus.")
    writer.add_license("mit")
    writer.add_languages(["en"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0 if kind == Kind.Q8_0
                         else gguf.LlamaFileType.MOSTLY_F16)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    # So small a model is sure of its best words only: at 0.8 it now and then begins one answer
    # and goes on with another.
    writer.add_float32("general.sampling.temp", 0.2)
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.width)
    writer.add_block_count(config.layers)
    writer.add_feed_forward_length(config.hidden)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_layer_norm_rms_eps(config.eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.theta)
    writer.add_vocab_size(config.vocab)


def add_tokenizer(writer, path):
    """Vocabulary, merges and the chat template."""
    with open(path, encoding="utf-8") as file:
        bpe = json.load(file)["model"]
    tokens = sorted(bpe["vocab"], key=bpe["vocab"].get)
    types = [gguf.TokenType.CONTROL if t in CONTROL else gguf.TokenType.NORMAL for t in tokens]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in bpe["merges"]])
    writer.add_eos_token_id(tokens.index(END))
    writer.add_bos_token_id(tokens.index(END_OF_TEXT))
    writer.add_pad_token_id(tokens.index(END_OF_TEXT))
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)


def write(path, config, weights, tokenizer, kind):
    """One GGUF file; matrices of the given kind, norms as 32-bit floats."""
    writer = gguf.GGUFWriter(path, "llama")
    add_facts(writer, config, kind)
    add_tokenizer(writer, tokenizer)
    for name, tensor in weights.items():
        values = tensor.float().numpy()
        if values.ndim == 1:
            writer.add_tensor(name, values)
        else:
            writer.add_tensor(name, gguf.quants.quantize(np.ascontiguousarray(values), kind),
                              raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, nargs="+", help="of several, the mean")
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--full", required=True)
    parser.add_argument("--small", required=True)
    args = parser.parse_args()
    saved = mean_of(args.model)
    config = Config(**saved["config"])
    write(args.full, config, saved["weights"], args.tokenizer, Kind.F16)
    write(args.small, config, saved["weights"], args.tokenizer, Kind.Q8_0)


if __name__ == "__main__":
    main()
