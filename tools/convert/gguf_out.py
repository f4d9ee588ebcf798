"""Writing GGUF: metadata and places first, then tensors as they come."""

import struct

ALIGN = 32
F32, F16, BF16 = 0, 1, 30
TYPES = {"F32": F32, "F16": F16, "BF16": BF16}
U32, I32, FLOAT, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
PACK = {U32: "<I", I32: "<i", FLOAT: "<f", BOOL: "<?"}


def text(s):
    data = s.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def scalar(kind, value):
    return text(value) if kind == STRING else struct.pack(PACK[kind], value)


class Writer:
    def __init__(self):
        self.keys, self.tensors = [], []

    def key(self, name, kind, value):
        self.keys.append(text(name) + struct.pack("<I", kind) + scalar(kind, value))

    def array(self, name, kind, values):
        head = text(name) + struct.pack("<IIQ", ARRAY, kind, len(values))
        self.keys.append(head + b"".join(scalar(kind, v) for v in values))

    def tensor(self, name, ne, kind, size, pieces):
        """pieces() gives size bytes of data."""
        self.tensors.append((name, ne, kind, size, pieces))

    def write(self, path):
        head = [struct.pack("<4sIQQ", b"GGUF", 3, len(self.tensors), len(self.keys)), *self.keys]
        offset = 0
        for name, ne, kind, size, _ in self.tensors:
            head.append(text(name) + struct.pack(f"<I{len(ne)}QIQ", len(ne), *ne, kind, offset))
            offset += -(-size // ALIGN) * ALIGN
        head = b"".join(head)
        with open(path, "wb") as f:
            f.write(head + bytes(-len(head) % ALIGN))
            for _, _, _, size, pieces in self.tensors:
                for piece in pieces():
                    f.write(piece)
                f.write(bytes(-size % ALIGN))
