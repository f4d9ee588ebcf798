"""pack: what it writes, that other commands find and use it, what is refused, what is left behind."""

import os
import resource
import signal
import stat
import subprocess
import time
import unittest

from cli_case import SHARED, SLM, Case, Gguf, Result, main, slm, start

QUANTIZED = SHARED / "golden/llama-1b-like/llama-1b-like-q4_k_m.gguf"
FLOATS = SHARED / "golden/llama-1b-like/llama-1b-like-f32.gguf"
IDS = "1,5,9,13,17,21,25,29,33,37,41,45,49,53"


class Pack(Case):
    def setUp(self):
        super().setUp()
        self.model = self.file("m.gguf", QUANTIZED.read_bytes())
        self.beside = self.dir / "m.gguf.packed"

    def logits(self, *options, model=None):
        out = self.dir / "logits.f32"
        r = slm("logits", model or self.model, "--ids", IDS, "-o", out, *options)
        self.done(r, b"")
        data = out.read_bytes()
        out.unlink()
        return data, r.err.decode()

    def left(self, *names):
        self.assertEqual(sorted(os.listdir(self.dir)), sorted(names))

    def pack(self, *args):
        r = slm("pack", *args)
        self.assertEqual((r.status, r.out), (0, b""), r)
        return r.err.decode()

    def test_the_next_start_uses_it(self):
        wanted, err = self.logits("--load", "pack")
        self.assertEqual(err, "")
        self.assertIn("m.gguf.packed: ", self.pack(self.model))
        self.left("m.gguf", "m.gguf.packed")
        for load in ("pack", "auto", "map", "read"):
            self.assertEqual(self.logits("--load", load), (wanted, ""))
        # its weights are used, not those of the model: other ones give other logits
        data = bytearray(self.beside.read_bytes())
        for i in range(4096, len(data) - 60000, 1024):
            data[i] ^= 0x55
        self.beside.write_bytes(data)
        self.assertNotEqual(self.logits("--load", "pack")[0], wanted)
        self.assertEqual(self.logits("--load", "map"), (wanted, ""))

    def test_quiet_and_options_of_every_command(self):
        self.assertEqual(self.pack("-q", "-t", "1", "--kv", "f32", self.model), "")
        first = self.beside.read_bytes()
        out = self.dir / "out"
        self.assertEqual(self.pack(self.model, "-q", "-o", out), "")
        self.assertEqual(out.read_bytes(), first)
        self.assertEqual(self.pack(self.model, "-q", f"--output={out}"), "")
        self.left("m.gguf", "m.gguf.packed", "out")

    def test_what_does_not_fit_is_passed_over(self):
        self.pack(self.model)
        wanted, _ = self.logits("--load", "map")
        whole = self.beside.read_bytes()
        for data, words in ((whole[:-1], " bytes, wanted "), (b"", "bytes, wanted at least"),
                            (b"x" * 5000, "no file of packed weights"),
                            (whole[:20] + b"????" + whole[24:], "checksum")):
            self.beside.write_bytes(data)
            got, err = self.logits("--load", "pack")
            self.assertEqual(got, wanted)
            self.assertIn(words, err)
            self.assertIn("slm: warning: m.gguf.packed", err)
            self.assertEqual(self.logits("-q", "--load", "pack"), (wanted, ""))
        # the model is replaced by another one
        self.beside.write_bytes(whole)
        g = Gguf(QUANTIZED)
        self.model.write_bytes(g.with_text("general.author", "somebody"))
        got, err = self.logits("--load", "pack")
        self.assertEqual(got, wanted)
        self.assertIn("from another model, or before this one changed", err)
        self.pack(self.model)
        self.assertEqual(self.logits("--load", "pack"), (wanted, ""))

    def test_the_model_stays(self):
        link, before = self.dir / "link", self.model.read_bytes()
        os.symlink(self.model, link)
        for out in (self.model, link, self.dir / ".." / self.dir.name / "m.gguf"):
            self.fails(slm("pack", self.model, "-o", out), 2, "the same file")
        os.symlink("m.gguf", self.beside)
        self.fails(slm("pack", self.model), 2, "m.gguf.packed", "the same file")
        self.assertEqual(self.model.read_bytes(), before)

    def test_the_mode_of_the_old_file_stays(self):
        self.beside.write_bytes(b"old")
        self.beside.chmod(0o640)
        self.pack(self.model)
        self.assertEqual(stat.S_IMODE(self.beside.stat().st_mode), 0o640)

    def test_refused(self):
        out = self.file("out", b"what was there")
        for name, data, words in (("cut.gguf", QUANTIZED.read_bytes()[:-5000], ["cut.gguf"]),
                                  ("text.gguf", b"not a model", ["text.gguf"]),
                                  ("f.gguf", FLOATS.read_bytes(), ["no matrix that can be packed"])):
            self.fails(slm("pack", self.file(name, data), "-o", out), 1, *words)
            os.unlink(self.dir / name)
        self.fails(slm("pack", self.dir / "none.gguf", "-o", out), 1, "none.gguf")
        self.assertEqual(out.read_bytes(), b"what was there")
        self.fails(slm("pack", self.model, "-o", self.dir / "no" / "out"), 1)
        self.fails(slm("pack", self.model, "-o", self.dir), 1, "not a regular file")
        self.fails(slm("pack", self.model, "-o", "/dev/null"), 1, "not a regular file")
        self.fails(slm("pack", self.model, "-o", ""), 1)
        self.fails(slm("pack", self.model, "-o"), 2, "--output")
        self.fails(slm("pack", self.model, out), 2, "at most 1")
        self.left("m.gguf", "out")

    @unittest.skipIf(os.geteuid() == 0, "root may write anywhere")
    def test_a_folder_that_cannot_be_written(self):
        self.dir.chmod(0o555)
        try:
            self.fails(slm("pack", self.model), 1, "m.gguf.packed")
        finally:
            self.dir.chmod(0o755)
        self.left("m.gguf")

    def test_no_room(self):
        self.pack(self.model)
        size = self.beside.stat().st_size // 2
        self.beside.write_bytes(b"what was there")
        p = subprocess.run([SLM, "pack", str(self.model)], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, check=False, timeout=60,
                           preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE,
                                                                 (size, size)))
        self.fails(Result(p.returncode, p.stdout, p.stderr), 1, "m.gguf.packed")
        self.assertEqual(self.beside.read_bytes(), b"what was there")
        self.left("m.gguf", "m.gguf.packed")

    def test_interrupted(self):
        self.beside.write_bytes(b"what was there")
        for _ in range(200):
            p = start("pack", self.model)
            deadline = time.monotonic() + 60
            while (len(os.listdir(self.dir)) < 3 and p.poll() is None
                   and time.monotonic() < deadline):
                time.sleep(0.0002)
            p.send_signal(signal.SIGINT)
            out, err = p.communicate(timeout=60)
            self.left("m.gguf", "m.gguf.packed")
            if p.returncode == 130:
                self.assertEqual((out, err), (b"", b""))
                self.assertEqual(self.beside.read_bytes(), b"what was there")
                return
            self.assertEqual((p.returncode, out), (0, b""), err)  # it was done already
            self.beside.write_bytes(b"what was there")
        self.fail("pack was never interrupted while it wrote")


if __name__ == "__main__":
    main()
