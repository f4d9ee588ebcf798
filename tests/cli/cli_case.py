"""What the tests of the program share: running it, the reference data, small changes to a model."""

import json
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(os.environ.get("SLM_SOURCE_DIR") or Path(__file__).resolve().parents[2])
SHARED = Path(os.environ.get("SLM_SHARED_DIR") or ROOT.parent / "shared")
SLM = os.environ.get("SLM_BIN") or str(ROOT / "build/release/bin/slm")
STORIES = SHARED / "models/stories260K.gguf"
SKIP = 77

# Threads that wait by spinning would fight for the cores with the tests that run beside these.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

VALUE_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
U32, F32, STRING, ARRAY = 4, 6, 8, 9


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def __repr__(self):
        return f"status {self.status}, output {self.out[:300]!r}, errors {self.err[:600]!r}"


def slm(*args, data=b"", timeout=120, env=None):
    """Runs the program to its end."""
    p = subprocess.run([SLM, *map(str, args)], input=data, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=timeout, env=env, check=False)
    return Result(p.returncode, p.stdout, p.stderr)


def start(*args, **kwargs):
    """Starts it with pipes and gives the process. SIGINT is as a shell gives it to a command."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    pipes.update(kwargs)
    return subprocess.Popen([SLM, *map(str, args)],
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
                            **pipes)


def catches(p, number=signal.SIGINT):
    """Waits until the program has a handler for a signal: before, the signal would end it as any program.
    False where it has ended instead."""
    limit = time.monotonic() + 120
    while p.poll() is None and time.monotonic() < limit:
        status = Path(f"/proc/{p.pid}/status").read_text(encoding="utf-8", errors="replace")
        caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", status, re.MULTILINE)
        if caught and int(caught.group(1), 16) >> (number - 1) & 1:
            return True
        time.sleep(0.01)
    return False


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="slm-cli-")
        self.addCleanup(folder.cleanup)
        self.dir = Path(folder.name)

    def done(self, result, out=None):
        """It succeeded, with this output; nothing but lines of warnings beside it."""
        self.assertEqual(result.status, 0, result)
        if out is not None:
            self.assertEqual(result.out, out, result)
        for line in result.err.decode().splitlines():
            self.assertTrue(line.startswith("slm: warning: "), result)

    def fails(self, result, status, *words):
        """It ended with this status, no output, and one error line that holds the words."""
        self.assertEqual(result.status, status, result)
        self.assertEqual(result.out, b"", result)
        lines = [x for x in result.err.decode().split("\n") if not x.startswith("slm: warning: ")]
        self.assertEqual(lines[1:], [""], result)
        self.assertTrue(lines[0].startswith("slm: "), result)
        self.assertIsNone(re.search(r"[\x00-\x1f\x7f]", lines[0]), result)
        for word in words:
            self.assertIn(word, lines[0], result)

    def file(self, name, data):
        path = self.dir / name
        path.write_bytes(data)
        return path


class Gguf:
    """The places of a GGUF file: enough to change a number or to add a key."""

    def __init__(self, path):
        self.data = bytearray(Path(path).read_bytes())
        self.at = 0
        magic, self.version, self.n_tensors, self.n_kv = self.take("<4sIQQ")
        assert magic == b"GGUF"
        self.kv_start, self.values, alignment = self.at, {}, 32
        for _ in range(self.n_kv):
            key = self.text().decode()
            kind, = self.take("<I")
            self.values[key] = (kind, self.at)
            self.skip(kind)
        if "general.alignment" in self.values:
            alignment, = struct.unpack_from("<I", self.data, self.values["general.alignment"][1])
        self.kv_end = self.at
        for _ in range(self.n_tensors):
            self.text()
            dims, = self.take("<I")
            self.take(f"<{dims}QIQ")
        self.infos_end, self.alignment = self.at, alignment
        self.data_start = -(-self.at // alignment) * alignment

    def take(self, layout):
        values = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return values

    def text(self):
        size, = self.take("<Q")
        self.at += size
        return bytes(self.data[self.at - size:self.at])

    def skip(self, kind):
        if kind == STRING:
            self.text()
        elif kind == ARRAY:
            inner, count = self.take("<IQ")
            if inner == STRING:
                for _ in range(count):
                    self.text()
            else:
                self.at += count * VALUE_BYTES[inner]
        else:
            self.at += VALUE_BYTES[kind]

    def set_u32(self, key, value):
        kind, at = self.values[key]
        assert kind == U32
        struct.pack_into("<I", self.data, at, value)

    def with_text(self, key, value):
        """The file with one more key of type string."""
        return self.with_value(key, struct.pack("<IQ", STRING, len(value.encode())) + value.encode())

    def with_f32(self, key, value):
        """The file with one more key of type f32."""
        return self.with_value(key, struct.pack("<If", F32, value))

    def with_u32(self, key, value):
        """The file with one more key of type u32."""
        return self.with_value(key, struct.pack("<II", U32, value))

    def with_value(self, key, value):
        """The file with one more key; value begins with its type."""
        entry = struct.pack("<Q", len(key.encode())) + key.encode() + value
        head = struct.pack("<4sIQQ", b"GGUF", self.version, self.n_tensors, self.n_kv + 1)
        head += self.data[self.kv_start:self.kv_end] + entry
        head += self.data[self.kv_end:self.infos_end]
        head += bytes(-len(head) % self.alignment)
        return bytes(head + self.data[self.data_start:])


def long_stories():
    """The small trained model with a context in which generation takes long."""
    g = Gguf(STORIES)
    g.set_u32("llama.context_length", 1 << 17)
    return bytes(g.data)


CHATML = ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + "
          "message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
          "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


def chat_model():
    """A tiny model with random weights and a chat template."""
    return Gguf(SHARED / "golden/qwen2-like/qwen2-like-f32.gguf").with_text(
        "tokenizer.chat_template", CHATML)


def golden_text():
    return json.loads((SHARED / "models/stories260K.golden.json").read_text())


def main(needs_data=True):
    if not os.access(SLM, os.X_OK):
        sys.exit(f"no program: {SLM} (SLM_BIN)")
    if needs_data and not STORIES.exists():
        print(f"no reference data: {STORIES} is absent (SLM_SHARED_DIR)", file=sys.stderr)
        sys.exit(1 if os.environ.get("CI") == "true" else SKIP)
    unittest.main(verbosity=2)
