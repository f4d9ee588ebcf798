"""Reading a published checkpoint: safetensors in one file or several, its JSON files, its tokenizer."""

import json
import struct
from pathlib import Path

MAX_HEADER = 100 << 20
WIDTH = {"F32": 4, "F16": 2, "BF16": 2}


class Failure(Exception):
    """One line for the user."""


def shown(got):
    """A value as a message has it."""
    spelt = repr(got)
    return spelt if len(spelt) <= 60 else spelt[:57] + "..."


def whole(where, got, low, high):
    if type(got) is not int or not low <= got <= high:  # True is an int of another type
        raise Failure(f"{where}: got {shown(got)}, wanted a whole number from {low} to {high}")
    return got


def text(where, got):
    if not isinstance(got, str) or any("\ud800" <= c <= "\udfff" for c in got):
        raise Failure(f"{where}: got {shown(got)}, wanted a text of Unicode characters")
    return got


def of_type(where, got, kind):
    if not isinstance(got, kind):
        wanted = "an object" if kind is dict else "a list"
        raise Failure(f"{where}: got {shown(got)}, wanted {wanted}")
    return got


class Tensor:
    """A tensor in a file: what it is, and where."""

    def __init__(self, path, name, info, data_start, file_size):
        self.path, self.name = path, name
        try:
            self.dtype, self.shape = info["dtype"], tuple(info["shape"])
            begin, end = info["data_offsets"]
            if any(type(n) is not int or n < 0 for n in (*self.shape, begin, end)):
                raise ValueError
        except (KeyError, TypeError, ValueError) as e:
            raise Failure(f"{path.name}: tensor {name}: got {shown(info)}, wanted dtype, shape and "
                          "data_offsets") from e
        if self.dtype not in list(WIDTH):  # it may be of any type
            raise Failure(f"{path.name}: tensor {name}: got type {shown(self.dtype)}, wanted "
                          f"one of {', '.join(WIDTH)}")
        self.n = 1
        for n in self.shape:
            self.n *= n
        self.bytes = self.n * WIDTH[self.dtype]
        self.at = data_start + begin
        if end - begin != self.bytes or self.at + self.bytes > file_size:
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


def parse_object(where, data):
    try:
        return of_type(where, json.loads(data.decode("utf-8")), dict)
    except (ValueError, RecursionError) as e:
        raise Failure(f"{where}: {e}") from e


def read_json(path):
    try:
        return parse_object(path.name, path.read_bytes())
    except FileNotFoundError as e:
        raise Failure(f"{path} is missing") from e


def read_safetensors(path):
    """name -> Tensor of one file."""
    size = path.stat().st_size
    with open(path, "rb") as f:
        start = f.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(MAX_HEADER, size - 8):
            raise Failure(f"{path.name}: got a header of {length} bytes in a file of {size}")
        header = parse_object(f"{path.name}: its header", f.read(length))
    return {name: Tensor(path, name, info, 8 + length, size)
            for name, info in header.items() if name != "__metadata__"}


def read_tensors(folder):
    """name -> Tensor of all files, each of which is read once."""
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        return read_safetensors(folder / "model.safetensors")
    files, out = {}, {}
    places = of_type(f"{index.name}: weight_map", read_json(index).get("weight_map"), dict)
    for name, file in places.items():
        if not isinstance(file, str) or Path(file).name != file or "\0" in file:
            raise Failure(f"{index.name}: got {shown(file)}, wanted the name of a file beside it")
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
        model = self.member(t, "model", dict)
        if model.get("type") != "BPE":
            raise Failure(f"tokenizer.json: model.type: got {shown(model.get('type'))}, "
                          "wanted 'BPE'")
        self.tokens = [f"[PAD{i}]" for i in range(n_vocab)]
        self.kinds = [self.UNUSED] * n_vocab
        for content, i in self.member(model, "vocab", dict).items():
            self.put(i, content, self.NORMAL)
        for added in self.member(t, "added_tokens", list) if "added_tokens" in t else []:
            of_type("tokenizer.json: added_tokens", added, dict)
            self.put(added.get("id"), added.get("content"),
                     self.CONTROL if added.get("special") else self.USER)
        self.merges = [self.merge(m) for m in self.member(model, "merges", list)]

    @staticmethod
    def member(of, name, kind):
        return of_type(f"tokenizer.json: {name}", of.get(name), kind)

    @staticmethod
    def merge(m):
        where = "tokenizer.json: merges"
        return " ".join(text(where, half) for half in (m if isinstance(m, list) else [m]))

    def put(self, i, content, kind):
        text("tokenizer.json: a token", content)
        whole(f"tokenizer.json: the id of token {shown(content)}", i, 0, len(self.tokens) - 1)
        self.tokens[i], self.kinds[i] = content, kind


def chat_template(folder):
    """The template that the tokenizer's configuration holds, or the file beside it; or None."""
    path = folder / "chat_template.jinja"
    if path.exists():
        try:
            return path.read_text(encoding="utf-8")
        except UnicodeDecodeError as e:
            raise Failure(f"{path.name}: {e}") from e
    path = folder / "tokenizer_config.json"
    got = read_json(path).get("chat_template") if path.exists() else None
    if isinstance(got, list):
        got = next((t.get("template") for t in got
                    if isinstance(t, dict) and t.get("name") == "default"), None)
    return None if got is None else text(f"{path.name}: chat_template", got)
