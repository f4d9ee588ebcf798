"""quantize: what is in the new file, what is refused, and what is left behind."""

import os
import signal
import struct
import time
from array import array

from cli_case import SHARED, Case, Gguf, main, slm, start

ONE_B = SHARED / "golden/llama-1b-like/llama-1b-like-f32.gguf"
QUANTIZED = SHARED / "golden/llama-1b-like/llama-1b-like-q4_k_m.gguf"
IDS = "1,5,9,13,17,21,25,29"


def tensors(path):
    """name -> (type, shape, data), in order."""
    g = Gguf(path)
    g.at = g.kv_end
    infos = []
    for _ in range(g.n_tensors):
        name = g.text().decode()
        dims, = g.take("<I")
        shape = g.take(f"<{dims}Q")
        kind, offset = g.take("<IQ")
        infos.append((name, kind, shape, g.data_start + offset))
    out = {}
    for i, (name, kind, shape, at) in enumerate(infos):
        end = infos[i + 1][3] if i + 1 < len(infos) else len(g.data)
        out[name] = (kind, shape, bytes(g.data[at:end]))
    return out


def metadata(path):
    """key -> bytes of type and value."""
    g = Gguf(path)
    out, places = {}, sorted((at, key) for key, (_, at) in g.values.items())
    for i, (at, key) in enumerate(places):
        following = places[i + 1] if i + 1 < len(places) else None
        end = following[0] - 4 - len(following[1].encode()) - 8 if following else g.kv_end
        out[key] = bytes(g.data[at - 4:end])
    return out


def text(s):
    return struct.pack("<Q", len(s.encode())) + s.encode()


def write_gguf(path, keys, held):
    """keys: key -> bytes of type and value; held: (name, (type, shape, data)), padded to 32."""
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(held), len(keys))
    head += b"".join(text(k) + v for k, v in keys.items())
    offset = 0
    for name, (kind, shape, data) in held:
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)
        offset += -(-len(data) // 32) * 32
    head += bytes(-len(head) % 32)
    path.write_bytes(head + b"".join(d + bytes(-len(d) % 32) for _, (_, _, d) in held))


def tiny_model(path, weights, kind, size):
    """One matrix of rows of 256 weights of so many bytes."""
    write_gguf(path, {"general.architecture": struct.pack("<I", 8) + text("llama"),
                      "llama.block_count": struct.pack("<II", 4, 1),
                      "llama.attention.head_count": struct.pack("<II", 4, 4)},
               [("blk.0.ffn_up.weight", (kind, (256, len(weights) // size // 256), weights))])


class Quantize(Case):
    def setUp(self):
        super().setUp()
        self.out = self.dir / "out.gguf"

    def quantize(self, source, kind, *options):
        r = slm("quantize", source, self.out, kind, *options)
        self.assertEqual((r.status, r.out), (0, b""), r)
        return tensors(self.out)

    def nothing_left(self, *others):
        self.assertEqual(sorted(os.listdir(self.dir)), sorted(others))

    def test_types_of_a_mix(self):
        got, want = self.quantize(ONE_B, "Q4_K_M"), tensors(QUANTIZED)
        self.assertEqual([(n, t[0], t[1]) for n, t in got.items()],
                         [(n, t[0], t[1]) for n, t in want.items()])

    def test_the_rest_stays(self):
        before, after = metadata(ONE_B), None
        got = self.quantize(ONE_B, "q8_0")
        after = metadata(self.out)
        self.assertEqual(after.pop("general.file_type"), struct.pack("<II", 4, 7))
        self.assertEqual(after.pop("general.quantization_version"), struct.pack("<II", 4, 2))
        before.pop("general.file_type", None)
        before.pop("general.quantization_version", None)
        self.assertEqual(before, after)
        source = tensors(ONE_B)
        self.assertEqual(list(source), list(got))
        for name, (kind, shape, data) in source.items():
            if len(shape) == 1:
                self.assertEqual(got[name], (kind, shape, data))
        self.nothing_left("out.gguf")

    def test_q8_0_by_its_definition(self):
        kind, shape, data = self.quantize(ONE_B, "Q8_0")["blk.0.attn_q.weight"]
        source = array("f", tensors(ONE_B)["blk.0.attn_q.weight"][2])
        self.assertEqual(kind, 8)
        n = shape[0] * shape[1]
        for block in range(n // 32):
            x = source[32 * block:32 * block + 32]
            d, *q = struct.unpack_from("<e32b", data, 34 * block)
            exact = max(map(abs, x)) / 127
            self.assertLessEqual(abs(d - exact), exact / 2048)
            for value, code in zip(x, q):
                self.assertLessEqual(abs(value / exact - code), 0.5 + 1e-4)

    def test_f16_and_back(self):
        got = self.quantize(ONE_B, "F16")["blk.0.attn_q.weight"]
        source = array("f", tensors(ONE_B)["blk.0.attn_q.weight"][2])
        n = got[1][0] * got[1][1]
        self.assertEqual(got[2][:2 * n], struct.pack(f"<{n}e", *source[:n]))
        half, back = self.dir / "half.gguf", self.dir / "back.gguf"
        os.rename(self.out, half)
        self.assertEqual(slm("quantize", half, back, "F32").status, 0)
        wide = tensors(back)["blk.0.attn_q.weight"]
        self.assertEqual(array("f", wide[2])[:n].tolist(),
                         list(struct.unpack(f"<{n}e", got[2][:2 * n])))
        self.assertEqual(slm("quantize", half, self.out, "Q4_K_M").status, 0)
        same = self.dir / "same.gguf"
        self.assertEqual(slm("quantize", back, same, "Q4_K_M").status, 0)
        self.assertEqual(self.out.read_bytes(), same.read_bytes())

    def test_it_runs_and_is_near(self):
        def logits(path):
            out = self.dir / "logits.f32"
            self.done(slm("logits", path, "--ids", IDS, "-o", out, "--kv", "f32"), b"")
            return array("f", out.read_bytes())
        want = logits(ONE_B)
        power = sum(x * x for x in want)
        # twice what was measured
        for kind, most in (("BF16", 1e-4), ("Q8_0", 2e-3), ("Q6_K", 0.014), ("Q5_K_M", 0.03),
                           ("Q4_K_M", 0.12), ("Q4_0", 0.19), ("IQ4_NL", 0.14), ("IQ4_XS", 0.16),
                           ("Q3_K_L", 0.21), ("Q2_K", 0.9)):
            with self.subTest(kind):
                self.quantize(ONE_B, kind)
                got = logits(self.out)
                error = sum((x - y) ** 2 for x, y in zip(got, want)) / power
                self.assertLess(error, most)
                self.assertGreater(error, 0)

    def test_threads_change_nothing(self):
        first = None
        for threads in (1, 2, 5):
            self.quantize(ONE_B, "Q3_K_M", "-t", threads)
            first = first or self.out.read_bytes()
            self.assertEqual(self.out.read_bytes(), first)

    def test_quantized_already(self):
        self.fails(slm("quantize", QUANTIZED, self.out, "Q8_0"), 1, "quantized already (",
                   "--allow-requantize")
        self.nothing_left()
        got = self.quantize(QUANTIZED, "Q8_0", "--allow-requantize")
        self.assertEqual(got["blk.0.attn_q.weight"][0], 8)
        # what already has its type is copied
        self.quantize(QUANTIZED, "Q4_K_M")
        self.assertEqual(tensors(self.out), tensors(QUANTIZED))

    def test_the_same_file(self):
        copy, link = self.dir / "copy.gguf", self.dir / "link.gguf"
        copy.write_bytes(ONE_B.read_bytes())
        os.symlink(copy, link)
        for out in (copy, link, self.dir / "../" / self.dir.name / "copy.gguf"):
            self.fails(slm("quantize", copy, out, "Q8_0"), 2, "the same file")
        self.assertEqual(copy.read_bytes(), ONE_B.read_bytes())

    def test_command_line(self):
        self.fails(slm("quantize", ONE_B, self.out, "Q4_K_X"), 2, '"Q4_K_X"', "Q4_K_M")
        self.fails(slm("quantize", ONE_B, self.out), 2)
        self.fails(slm("quantize", ONE_B, self.out, "Q8_0", "more"), 2)
        self.fails(slm("quantize", ONE_B, self.out, "Q8_0", "-t", "0"), 2)
        self.nothing_left()

    def test_bad_input(self):
        out = self.file("out.gguf", b"what was there")
        data = ONE_B.read_bytes()
        cases = [(data[:len(data) - 5000], "cut.gguf"), (data[:200], "head.gguf"),
                 (b"not a model", "text.gguf")]
        for content, name in cases:
            self.fails(slm("quantize", self.file(name, content), out, "Q8_0"), 1, name)
        self.fails(slm("quantize", SHARED / "vocab/phi3.gguf", out, "Q8_0"), 1, "no tensors")
        self.fails(slm("quantize", self.dir / "none", out, "Q8_0"), 1, "none")
        self.assertEqual(out.read_bytes(), b"what was there")
        self.fails(slm("quantize", ONE_B, self.dir / "no" / "out.gguf", "Q8_0"), 1)
        self.fails(slm("quantize", ONE_B, self.dir, "Q8_0"), 1)

    def test_weights_that_are_not_finite(self):
        weights = array("f", [0.5] * (256 * 40))
        source = self.dir / "in.gguf"
        for kind, value in (("Q8_0", float("nan")), ("Q4_K_S", float("-inf")),
                            ("F16", float("inf"))):
            weights[256 * 31 + 7] = value
            tiny_model(source, weights.tobytes(), 0, 4)
            self.fails(slm("quantize", source, self.out, kind), 1,
                       "row 31 of tensor 'blk.0.ffn_up.weight' holds NaN or infinity")
            self.nothing_left("in.gguf")

    def test_interrupted(self):
        noise = bytearray(os.urandom(64 << 20))  # half floats below 2
        noise[1::2] = noise[1::2].translate(bytes(i & 0xbb for i in range(256)))
        source = self.dir / "in.gguf"
        tiny_model(source, bytes(noise), 1, 2)
        self.out.write_bytes(b"what was there")
        p = start("quantize", source, self.out, "IQ4_XS", "-t", "1")
        deadline = time.monotonic() + 60
        while len(os.listdir(self.dir)) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=60)
        self.assertEqual((p.returncode, out, err), (130, b"", b""))
        self.assertEqual(self.out.read_bytes(), b"what was there")
        self.nothing_left("in.gguf", "out.gguf")

    def test_parts_become_one(self):
        keys, all_tensors = metadata(ONE_B), list(tensors(ONE_B).items())
        half = len(all_tensors) // 2
        for part, held in enumerate((all_tensors[:half], all_tensors[half:])):
            split = {"split.no": struct.pack("<IH", 2, part),
                     "split.count": struct.pack("<IH", 2, 2),
                     "split.tensors.count": struct.pack("<Ii", 5, len(all_tensors))}
            write_gguf(self.dir / f"m-{part + 1:05}-of-00002.gguf",
                       {**(keys if part == 0 else {}), **split}, held)
        self.quantize(ONE_B, "Q5_K_M")
        whole = self.out.read_bytes()
        self.quantize(self.dir / "m-00001-of-00002.gguf", "Q5_K_M")
        self.assertEqual(self.out.read_bytes(), whole)


if __name__ == "__main__":
    main()
