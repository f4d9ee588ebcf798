"""What is read and written: inputs that are not replaced, own descriptors, limits, interruptions."""

import os
import resource
import signal
import struct
import subprocess
import time

from cli_case import ROOT, SHARED, SLM, STORIES, Case, Gguf, Result, main, slm, start
from test_cli_quantize import ONE_B, metadata, tensors, tiny_model, write_gguf

HEARTH = ROOT / "examples/models/hearth.gguf"
ROWS = 2 * 512 * 4


def limited(*args, limit=None, size=None, user=None, stdout=subprocess.PIPE, stdin=b"",
            timeout=120):
    """Runs the program with a limit on its address space or on its files, or as a user."""
    def begin():
        if limit:
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        if size:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        if user:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
    pipes = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
    p = subprocess.run([SLM, *map(str, args)], stdout=stdout, stderr=subprocess.PIPE,
                       preexec_fn=begin, timeout=timeout, check=False, **pipes)
    return Result(p.returncode, p.stdout, p.stderr)


def parts(folder, whole=ONE_B):
    """A model in two files."""
    keys, held = metadata(whole), list(tensors(whole).items())
    half = len(held) // 2
    names = []
    for part, some in enumerate((held[:half], held[half:])):
        split = {"split.no": struct.pack("<IH", 2, part), "split.count": struct.pack("<IH", 2, 2),
                 "split.tensors.count": struct.pack("<Ii", 5, len(held))}
        names.append(folder / f"m-{part + 1:05}-of-00002.gguf")
        write_gguf(names[-1], {**(keys if part == 0 else {}), **split}, some)
    return names


def half_floats(size):
    noise = bytearray(os.urandom(size))  # below 2
    noise[1::2] = noise[1::2].translate(bytes(i & 0xbb for i in range(256)))
    return bytes(noise)


class Inputs(Case):
    def unchanged(self, path, *args, stdin=b""):
        before = path.read_bytes()
        self.fails(limited(*args, stdin=stdin), 2, path.name)
        self.assertEqual(path.read_bytes(), before)

    def test_a_model_is_not_replaced_by_its_logits(self):
        model = self.file("m.gguf", STORIES.read_bytes())
        (self.dir / "link").symlink_to(model)
        for out in (model, self.dir / "link"):
            self.unchanged(model, "logits", model, "--ids", "1,2", "-o", out)
        first, second = parts(self.dir)
        for out in (first, second):
            self.unchanged(out, "logits", first, "--ids", "1,2", "-o", out)

    def test_a_list_of_ids_is_not_replaced(self):
        ids = self.file("ids", b"1 2")
        self.unchanged(ids, "logits", STORIES, "--ids-file", ids, "-o", ids)
        with open(ids, "rb") as f:
            before = ids.read_bytes()
            self.fails(limited("logits", STORIES, "--ids-file", "-", "-o", ids, stdin=f), 2,
                       "standard input")
        self.assertEqual(ids.read_bytes(), before)

    def test_no_part_is_replaced_by_quantize(self):
        first, second = parts(self.dir)
        for out in (first, second):
            self.unchanged(out, "quantize", first, out, "Q8_0")

    def test_what_is_no_file_may_be_both(self):
        r = slm("logits", STORIES, "--ids-file", "/dev/null", "-o", "/dev/null")
        self.fails(r, 1, "/dev/null", "no ids")

    def test_input_without_an_end(self):
        out = self.dir / "out"
        self.fails(slm("logits", STORIES, "--ids-file", "/dev/zero", "-o", out), 1, "/dev/zero")
        large = self.file("large", b"")
        os.truncate(large, (1 << 30) + 1)
        for args in (["logits", STORIES, "--ids-file", large, "-o", out],
                     ["perplexity", STORIES, large]):
            self.fails(slm(*args), 1, "large: got 1073741825 bytes, wanted at most 1073741824")
        self.assertFalse(out.exists())

    def test_names(self):
        for args in (["run", "", "hello"], ["logits", "", "--ids", "1", "-o", "out"],
                     ["quantize", STORIES, "", "Q8_0"], ["quantize", "", "out", "Q8_0"]):
            self.fails(slm(*args), 2, "empty name")
        self.done(slm("run", STORIES, "--raw", "-n", "1", "--temp", "0", ""))
        r = slm("inspect", self.dir / "nonexist")
        self.fails(r, 1, "nonexist: cannot open: No such file")
        self.assertEqual(r.err.count(b"nonexist"), 1)


class Descriptors(Case):
    def test_standard_output_in_a_file(self):
        for name in ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
            if not os.path.exists(name):
                continue
            with self.subTest(name):
                out = self.file("out", b"before ")
                with open(out, "ab") as f:
                    inode = os.fstat(f.fileno()).st_ino
                    r = limited("logits", STORIES, "--ids", "1,2", "-o", name, stdout=f)
                    self.assertEqual((r.status, r.err), (0, b""))
                self.assertEqual(out.stat().st_ino, inode)
                self.assertEqual(out.read_bytes()[:7], b"before ")
                self.assertEqual(out.stat().st_size, 7 + ROWS)
                self.assertEqual(os.listdir(self.dir), ["out"])

    def test_quantize_wants_a_file_to_replace(self):
        out = self.file("out", b"before ")
        with open(out, "ab") as f:
            r = limited("quantize", ONE_B, "/dev/stdout", "Q8_0", stdout=f)
        self.assertEqual(r.status, 1, r)
        self.assertIn(b"in use as a standard stream", r.err)
        self.assertEqual(out.read_bytes(), b"before ")


class Replacing(Case):
    def test_quantize_follows_links_and_keeps_the_mode(self):
        target = self.file("target", b"old")
        target.chmod(0o640)
        (self.dir / "link").symlink_to("target")
        self.done(slm("quantize", "-q", ONE_B, self.dir / "link", "Q8_0"), b"")
        self.assertTrue((self.dir / "link").is_symlink())
        self.assertEqual(target.stat().st_mode & 0o777, 0o640)
        self.assertEqual(target.read_bytes()[:4], b"GGUF")
        self.assertEqual(sorted(os.listdir(self.dir)), ["link", "target"])

    def test_a_file_that_may_not_be_written(self):
        user = 65534 if os.geteuid() == 0 else None
        self.dir.chmod(0o777)
        model = self.file("m.gguf", ONE_B.read_bytes())
        out = self.file("out", b"old")
        for path in (model, out):
            path.chmod(0o444)
        try:
            limited("--version", user=user)
        except PermissionError:
            self.skipTest("another user may not run the program")
        for args in (["quantize", model, out, "Q8_0"],
                     ["logits", model, "--ids", "1,2", "-o", out]):
            self.fails(limited(*args, user=user), 1, "out: cannot", "Permission denied")
            self.assertEqual(out.read_bytes(), b"old")
            self.assertEqual(sorted(os.listdir(self.dir)), ["m.gguf", "out"])

    def test_a_limit_on_the_size_of_files(self):
        out = self.file("out", b"old")
        for args in (["quantize", ONE_B, out, "F16"], ["logits", STORIES, "--ids", "1,2", "-o", out]):
            self.fails(limited(*args, size=2048), 1, "out", "File too large")
            self.assertEqual(os.listdir(self.dir), ["out"])
            self.assertEqual(out.read_bytes(), b"old")


class Quantizing(Case):
    def test_fewer_threads_than_wanted(self):
        # a sanitizer's shadow needs far more than any limit of use
        if os.environ.get("SLM_SANITIZE") or "qemu" in SLM or SLM.endswith("-emulated"):
            self.skipTest("the limit would hit the tool")
        out = self.dir / "out.gguf"
        self.done(slm("quantize", "-q", HEARTH, out, "Q4_0", "--allow-requantize", "-t", "2"))
        want = out.read_bytes()
        out.unlink()
        for kilobytes in (100_000, 200_000, 300_000):
            r = limited("quantize", HEARTH, out, "Q4_0", "--allow-requantize", "-t", "64",
                        limit=kilobytes << 10)
            self.assertEqual(r.status, 0, r)
            self.assertRegex(r.err, rb"\Aslm: warning: got \d+ threads from the system, wanted 64\n")
            self.assertEqual(out.read_bytes(), want)
            self.assertEqual(os.listdir(self.dir), ["out.gguf"])
            out.unlink()
        r = limited("bench", HEARTH, "-p", "0", "-n", "1", "-r", "1", "-t", "64", "--json",
                    limit=2_500_000 << 10)
        self.assertEqual((r.status, b"libgomp" in r.err), (0, False), r)

    def test_counts_stored_as_arrays(self):
        keys, held = metadata(ONE_B), list(tensors(ONE_B).items())
        layers, = struct.unpack("<I", keys["llama.block_count"][4:])
        source, out = self.dir / "in.gguf", self.dir / "out.gguf"
        wanted = {}
        for form in ("number", "array"):
            for key in ("llama.attention.head_count", "llama.attention.head_count_kv"):
                value, = struct.unpack("<I", keys[key][-4:])
                if form == "array":
                    keys[key] = struct.pack(f"<IIQ{layers}I", 9, 4, layers, *[value] * layers)
            write_gguf(source, keys, held)
            self.done(slm("quantize", "-q", source, out, "Q4_K_M"), b"")
            wanted[form] = tensors(out)
        self.assertEqual(wanted["array"], wanted["number"])
        for entries in ([1] * (layers - 1) + [2], [1] * (layers + 1), [0] * layers):
            keys["llama.attention.head_count_kv"] = struct.pack(
                f"<IIQ{len(entries)}I", 9, 4, len(entries), *entries)
            write_gguf(source, keys, held)
            self.fails(slm("quantize", source, out, "Q4_K_M"), 1, "head_count_kv")

    def begin(self):
        self.source, self.out = self.dir / "in.gguf", self.dir / "out.gguf"
        tiny_model(self.source, half_floats(48 << 20), 1, 2)
        p = start("quantize", self.source, self.out, "IQ4_XS", "-t", "1")
        deadline = time.monotonic() + 60
        while len(os.listdir(self.dir)) < 2 and time.monotonic() < deadline:
            time.sleep(0.005)
        return p

    def test_the_input_is_cut_short(self):
        p = self.begin()
        os.truncate(self.source, 4096)
        out, err = p.communicate(timeout=60)
        self.fails(Result(p.returncode, out, err), 1, "in.gguf: got a file that was cut short")
        self.assertNotIn(b"--load", err)
        self.assertEqual(os.listdir(self.dir), ["in.gguf"])

    def test_a_part_of_the_input_is_cut_short(self):
        whole, out = self.dir / "in.gguf", self.dir / "out.gguf"
        tiny_model(whole, half_floats(48 << 20), 1, 2)
        first, second = parts(self.dir, whole)
        p = start("quantize", first, out, "IQ4_XS", "-t", "1")
        deadline = time.monotonic() + 60
        while len(os.listdir(self.dir)) < 4 and time.monotonic() < deadline:
            time.sleep(0.005)
        os.truncate(second, 4096)
        out, err = p.communicate(timeout=60)
        self.fails(Result(p.returncode, out, err), 1,
                   f"slm: {second.name}: got a file that was cut short")

    def test_two_interruptions(self):
        p = self.begin()
        p.send_signal(signal.SIGSTOP)
        p.send_signal(signal.SIGINT)
        p.send_signal(signal.SIGTERM)
        p.send_signal(signal.SIGCONT)
        out, err = p.communicate(timeout=60)
        self.assertEqual((p.returncode, out, err), (130, b"", b""))
        self.assertEqual(os.listdir(self.dir), ["in.gguf"])


# Characters that would break or reorder a line.
UNSAFE = "\x80\x85\x9f\u2028\u2029\u202e\u2066\u2069"


class Characters(Case):
    def test_json(self):
        model = self.file("m.gguf", Gguf(STORIES).with_text("general.description", "a" + UNSAFE + "é"))
        r = slm("inspect", model, "--json")
        self.done(r)
        shown = r.out.decode()
        for c in UNSAFE:
            self.assertNotIn(c, shown)
            self.assertIn(f"\\u{ord(c):04x}", shown)
        self.assertIn("é", shown)

    def test_error_lines(self):
        for c in UNSAFE:
            r = slm("inspect", self.dir / f"no{c}name")
            self.fails(r, 1, "".join(f"\\x{b:02x}" for b in c.encode()))
            self.assertNotIn(c, r.err.decode())

    def test_bytes_that_end_texts(self):
        self.fails(slm("detokenize", STORIES, data=b"1\x002"), 1, '"1\\x002"')
        self.fails(slm("detokenize", STORIES, data=b"\x00" * 40), 1, '"' + "\\x00" * 12 + '"')

    def test_no_table_with_a_plan_that_cannot_be(self):
        for options in ([], ["--json"]):
            self.fails(slm("inspect", STORIES, "--plan", "-c", "2000", *options), 1, "2000")


if __name__ == "__main__":
    main()
