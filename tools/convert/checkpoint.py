"""Reading a published checkpoint: safetensors in one file or several, its JSON files, its tokenizer."""

import json
import struct
from pathlib import Path

MAX_HEADER = 100 << 20
WIDTH = {"F32": 4, "F16": 2, "BF16": 2}


class Failure(Exception):
    """One line for the user."""


class Tensor:
    """A tensor in a file: what it is, and where."""

    def __init__(self, path, name, info, data_start, file_size):
        self.path, self.name = path, name
        try:
            self.dtype, self.shape = info["dtype"], tuple(info["shape"])
            begin, end = info["data_offsets"]
        except (KeyError, TypeError, ValueError) as e:
            raise Failure(f"{path.name}: tensor {name}: got {info!r}, wanted dtype, shape and "
                          "data_offsets") from e
        if self.dtype not in WIDTH:
            raise Failure(f"{path.name}: tensor {name}: got type {self.dtype}, wanted one of "
                          f"{', '.join(WIDTH)}")
        self.n = 1
        for n in self.shape:
            self.n *= n
        self.bytes = self.n * WIDTH[self.dtype]
        self.at = data_start + begin
        if end - begin != self.bytes or begin < 0 or self.at + self.bytes > file_size:
            raise Failure(f"{path.name}: tensor {name}: got bytes {begin} to {end} of a file of "
                          f"{file_size}, wanted {self.bytes} of them for shape {self.shape}")

    def pieces(self, size=16 << 20):
        """Its bytes, a piece at a time."""
        with open(self.path, "rb") as f:
            f.seek(self.at)
            left = self.bytes
            while left > 0:
                data = f.read(min(left, size))
                if not data:
                    raise Failure(f"{self.path.name}: ends inside of tensor {self.name}")
                left -= len(data)
                yield data

    def floats(self):
        """Its bytes as F32, for tensors that are small."""
        data = b"".join(self.pieces())
        if self.dtype == "F32":
            return data
        if self.dtype == "F16":
            return struct.pack(f"<{self.n}f", *struct.unpack(f"<{self.n}e", data))
        out = bytearray(4 * self.n)  # the upper half of each float
        out[2::4], out[3::4] = data[0::2], data[1::2]
        return bytes(out)


def read_json(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise Failure(f"{path} is missing") from e
    except (UnicodeDecodeError, json.JSONDecodeError) as e:
        raise Failure(f"{path.name}: {e}") from e


def read_safetensors(path):
    """name -> Tensor of one file."""
    size = path.stat().st_size
    with open(path, "rb") as f:
        start = f.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(MAX_HEADER, size - 8):
            raise Failure(f"{path.name}: got a header of {length} bytes in a file of {size}")
        try:
            header = json.loads(f.read(length))
        except (UnicodeDecodeError, json.JSONDecodeError) as e:
            raise Failure(f"{path.name}: its header: {e}") from e
    return {name: Tensor(path, name, info, 8 + length, size)
            for name, info in header.items() if name != "__metadata__"}


def read_tensors(folder):
    """name -> Tensor of all files, each of which is read once."""
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        return read_safetensors(folder / "model.safetensors")
    files, out = {}, {}
    for name, file in read_json(index)["weight_map"].items():
        if Path(file).name != file:
            raise Failure(f"{index.name}: got {file!r}, wanted the name of a file beside it")
        if file not in files:
            files[file] = read_safetensors(folder / file)
        if name not in files[file]:
            raise Failure(f"{file}: tensor {name} is missing, which {index.name} places there")
        out[name] = files[file][name]
    return out


class Tokenizer:
    """Byte-level BPE as tokenizer.json holds it. kinds are those of GGUF."""

    NORMAL, CONTROL, USER, UNUSED = 1, 3, 4, 5

    def __init__(self, folder, n_vocab):
        t = read_json(folder / "tokenizer.json")
        if t.get("model", {}).get("type") != "BPE":
            raise Failure("tokenizer.json: model.type: wanted BPE")
        self.tokens = [f"[PAD{i}]" for i in range(n_vocab)]
        self.kinds = [self.UNUSED] * n_vocab
        for text, i in t["model"]["vocab"].items():
            self.put(i, text, self.NORMAL)
        for added in t.get("added_tokens", []):
            self.put(added["id"], added["content"],
                     self.CONTROL if added.get("special") else self.USER)
        self.merges = [m if isinstance(m, str) else " ".join(m) for m in t["model"]["merges"]]

    def put(self, i, text, kind):
        if not 0 <= i < len(self.tokens):
            raise Failure(f"tokenizer.json: token {text!r} has id {i}, wanted 0 to "
                          f"{len(self.tokens) - 1}")
        self.tokens[i], self.kinds[i] = text, kind


def chat_template(folder):
    """The template that the tokenizer's configuration holds, or the file beside it; or None."""
    path = folder / "chat_template.jinja"
    if path.exists():
        return path.read_text(encoding="utf-8")
    path = folder / "tokenizer_config.json"
    got = read_json(path).get("chat_template") if path.exists() else None
    if isinstance(got, list):
        got = next((t["template"] for t in got if t.get("name") == "default"), None)
    return got
