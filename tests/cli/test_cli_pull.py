"""slm pull against a server that cuts, stalls, lies and changes its mind; what is left behind; and
short names wherever a model is opened."""

import fcntl
import hashlib
import os
import pty
import random
import resource
import select
import shutil
import signal
import stat
import subprocess
import sys
import termios
import time
from pathlib import Path

from cli_case import ROOT, SKIP, SLM, Case, main, slm, start
from pull_server import Server, cut, hold, raw, redirect, slow, status, whole

HEARTH = ROOT / "examples/models/hearth.gguf"
DATA = b"GGUF" + random.Random(1).randbytes(299_996)
OTHER = b"GGUF" + random.Random(2).randbytes(299_996)
HEAD_ONLY = b"HTTP/1.1 %d X\r\nDate: x\r\n"  # no blank line


def digest(data):
    return hashlib.sha256(data).hexdigest()


class Pulling(Case):
    def setUp(self):
        super().setUp()
        self.server = Server()
        self.addCleanup(self.server.close)
        self.models = self.dir / "models"
        self.file_path = self.models / "m.gguf"
        self.part = self.models / "m.gguf.part"
        self.env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        self.env["SLM_MODELS"] = str(self.models)

    def catalogue(self, address, data=DATA, size=None, name="m"):
        return self.file("catalogue", f"# models\n\n{name} {size or len(data)} {digest(data)} MIT "
                                      f"{address}\n".encode())

    def pull(self, address, *options, data=DATA, size=None, **kwargs):
        """`slm pull m` where the catalogue says that m is the data, at the address."""
        return slm("pull", "m", "--catalogue", self.catalogue(address, data, size), "-q",
                   "--retries", "0", *options, env=self.env, **kwargs)

    def pull_address(self, address, *options):
        """`slm pull ADDRESS`, which is called m, without a digest."""
        return slm("pull", "-q", "--url", address, "m", "--retries", "0", *options, env=self.env)

    def pulled(self, result, data=DATA, beside=()):
        self.done(result, f"{self.file_path}\n".encode())
        self.assertEqual(self.file_path.read_bytes(), data)
        self.assertEqual(sorted(os.listdir(self.models)), ["m.gguf", *beside])

    def has_part(self, n):
        self.assertEqual(self.part.stat().st_size, n)
        self.assertEqual(self.part.read_bytes(), DATA[:n])
        self.assertFalse(self.file_path.exists())

    def has_nothing(self):
        self.assertEqual(os.listdir(self.models), [])

    def ranges(self):
        return [request.range_start for request in self.server.requests]


class Whole(Pulling):
    def test_a_file(self):
        self.pulled(self.pull(self.server.route("/m", whole(DATA))))
        self.assertRegex(self.server.requests[0].headers["user-agent"], r"^slm/\d+\.\d+\.\d+$")
        mask = os.umask(0)
        os.umask(mask)
        self.assertEqual(stat.S_IMODE(self.file_path.stat().st_mode), 0o666 & ~mask)

    def test_one_that_is_there_is_checked_and_not_fetched(self):
        address = self.server.route("/m", whole(DATA))
        self.pulled(self.pull(address))
        self.pulled(self.pull(address))
        self.assertEqual(len(self.server.requests), 1)
        self.file_path.write_bytes(OTHER)
        self.pulled(self.pull(address))
        self.assertEqual(len(self.server.requests), 2)

    def test_an_address(self):
        address = self.server.route("/x/m.gguf?download=true", whole(DATA))
        self.pulled(slm("pull", address, "--sha256", digest(DATA).upper(), env=self.env))
        self.pulled(slm("pull", "--url", address, "m", "--sha256", digest(DATA), env=self.env))
        r = slm("pull", address, "--sha256", digest(OTHER), "--retries", "0", "-q", env=self.env)
        self.fails(r, 1, "m: got a file with SHA-256", digest(DATA), digest(OTHER))
        self.assertEqual(self.file_path.read_bytes(), DATA)

    def test_an_address_without_a_digest(self):
        address = self.server.route("/m.gguf", cut(DATA, 1000), whole(DATA))
        slm("pull", address, "--retries", "0", env=self.env)
        self.has_part(1000)
        r = slm("pull", address, env=self.env)
        self.assertIn(f"it is {digest(DATA)}".encode(), r.err)
        self.pulled(slm("pull", "-q", address, env=self.env), beside=["m.gguf.from"])
        self.assertEqual(self.ranges(), [None, 1000])
        self.assertIn(b"it was not checked", slm("pull", address, env=self.env).err)
        self.pulled(slm("pull", address, "--sha256", digest(DATA), env=self.env),
                    beside=["m.gguf.from"])
        address = self.server.route("/m.gguf", whole(OTHER))
        self.pulled(slm("pull", "-q", address, "--sha256", digest(OTHER), env=self.env), OTHER)

    def test_where_models_lie(self):
        address = self.server.route("/m", whole(DATA))
        options = ["m", "--catalogue", self.catalogue(address)]
        del self.env["SLM_MODELS"]
        self.env.update(XDG_DATA_HOME=str(self.dir / "data"), HOME=str(self.dir / "home"))
        for kind, folder in (("absolute", "data/slm/models"), ("", "home/.local/share/slm/models"),
                             ("relative", "home/.local/share/slm/models")):
            if kind != "absolute":
                self.env["XDG_DATA_HOME"] = kind
            r = slm("pull", *options, env=self.env)
            self.done(r, f"{self.dir / folder / 'm.gguf'}\n".encode())
        del self.env["HOME"]
        self.fails(slm("pull", *options, env=self.env), 1, "SLM_MODELS", "HOME")
        self.env["SLM_MODELS"] = "/x" * 2500
        self.fails(slm("pull", *options, env=self.env), 1, "too long")

    def test_digests(self):
        """The examples of FIPS 180-4, and each length around a block."""
        known = {b"abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                 b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq":
                 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
                 b"a" * 1_000_000:
                 "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"}
        known |= {DATA[:n]: digest(DATA[:n]) for n in (1, 55, 56, 63, 64, 65, 119, 120, 128)}
        for data, wanted in known.items():
            address = self.server.route("/m", whole(data))
            self.done(slm("pull", "--url", address, "m", "--sha256", wanted, "-q", env=self.env))
            self.assertEqual(self.file_path.read_bytes(), data)


class Broken(Pulling):
    def test_a_cut_is_gone_on_with(self):
        address = self.server.route("/m", cut(DATA, 100_000), cut(DATA, 50_000), whole(DATA))
        self.fails(self.pull(address), 1, "m: ", "remaining")
        self.has_part(100_000)
        self.fails(self.pull(address), 1, "m: ")
        self.has_part(150_000)
        self.pulled(self.pull(address))
        self.assertEqual(self.ranges(), [None, 100_000, 150_000])
        self.assertEqual([r.headers.get("if-range") for r in self.server.requests],
                         [None, '"one"', '"one"'])

    def test_attempts_in_one_run(self):
        address = self.server.route("/m", cut(DATA, 100_000), whole(DATA))
        self.pulled(self.pull(address, "--retries", "1"))
        self.assertEqual(self.ranges(), [None, 100_000])

    def test_all_was_there_but_the_name(self):
        address = self.server.route("/m", cut(DATA, len(DATA) - 1), whole(DATA))
        self.pull(address)
        with self.part.open("ab") as file:
            file.write(DATA[-1:])
        self.pulled(self.pull(address))
        self.assertEqual(len(self.server.requests), 1)

    def test_ranges_are_ignored(self):
        def no_ranges(request, reply):
            reply.head(200, Content_Length=len(DATA))
            reply.send(DATA)

        address = self.server.route("/m", cut(DATA, 100_000, etag=None), no_ranges)
        self.pull(address)
        self.has_part(100_000)
        self.pulled(self.pull(address))
        self.assertEqual(self.ranges(), [None, 100_000])

    def test_the_file_changed_between(self):
        address = self.server.route("/m", cut(DATA, 100_000), whole(OTHER, etag='"two"'))
        self.pull(address)
        self.has_part(100_000)
        self.pulled(self.pull(address, data=OTHER), OTHER)

    def test_the_file_changed_and_the_server_does_not_say(self):
        def careless(request, reply):
            start = request.range_start or 0
            more = {"Content_Range": f"bytes {start}-{len(OTHER) - 1}/{len(OTHER)}"} if start else {}
            reply.head(206 if start else 200, Content_Length=len(OTHER) - start, **more)
            reply.send(OTHER[start:])

        address = self.server.route("/m", cut(DATA, 100_000), careless)
        self.pull(address)
        self.pulled(self.pull(address, data=OTHER), OTHER)
        self.assertEqual(self.ranges(), [None, 100_000, None])

    def test_the_rest_of_another_version(self):
        def other_version(request, reply):
            start = request.range_start or 0
            if start == 0:
                return whole(DATA, etag='"two"')(request, reply)
            reply.head(206, ETag='"two"', Content_Length=len(DATA) - start,
                       Content_Range=f"bytes {start}-{len(DATA) - 1}/{len(DATA)}")

        address = self.server.route("/m", cut(DATA, 100_000), other_version)
        self.pull(address)
        self.pulled(self.pull(address, "--retries", "1"))

    def test_another_range(self):
        def first_bytes(request, reply):
            if request.range_start is None:
                return whole(DATA)(request, reply)
            reply.head(206, Content_Length=100, Content_Range=f"bytes 0-99/{len(DATA)}")
            reply.send(DATA[:100])

        for wrong in (first_bytes, status(206), status(416)):
            with self.subTest(wrong):
                address = self.server.route("/m", cut(DATA, 100_000), wrong, whole(DATA))
                self.pull(address)
                self.pulled(self.pull(address, "--retries", "1"))
                self.file_path.unlink()

    def test_a_part_from_elsewhere_is_not_used(self):
        self.pull(self.server.route("/m", cut(DATA, 100_000)))
        self.pulled(self.pull(self.server.route("/n", whole(OTHER)), data=OTHER), OTHER)
        self.assertEqual(self.ranges(), [None, None])

    def test_a_part_that_is_too_long(self):
        address = self.server.route("/m", cut(DATA, 100_000), whole(DATA))
        self.pull(address)
        self.part.write_bytes(DATA + b"x")
        self.pulled(self.pull(address))

    def test_a_cut_within_a_head(self):
        for code in (200, 206, 416):
            address = self.server.route("/m", cut(DATA, 100_000), raw(HEAD_ONLY % code),
                                        whole(DATA))
            self.pull(address)
            self.fails(self.pull(address), 1, "within the head")
            self.has_part(100_000)
            self.pulled(self.pull(address))
            self.assertEqual(self.server.requests[-1].range_start, 100_000)
            self.file_path.unlink()

    def test_a_cut_behind_a_head(self):
        address = self.server.route("/m", cut(DATA, 100_000), cut(DATA, 0), raw(
            b"HTTP/1.1 200 X\r\nContent-Length: %d\r\n\r\n" % len(DATA)))
        for _ in range(3):
            self.fails(self.pull(address), 1, "m: ")
        self.has_part(100_000)

    def test_attempts_that_gain_nothing(self):
        data = random.Random(3).randbytes(3_000_000)
        address = self.server.route("/m", *[cut(data, 1_200_000), status(416)] * 8, whole(data))
        self.fails(self.pull(address, "--retries", "2", data=data), 1, "remaining")
        self.assertEqual(self.ranges(), [None, 1_200_000, None])

    def test_a_stall(self):
        address = self.server.route("/m", hold(DATA, 100_000))
        self.fails(self.pull(address, "--stall-timeout", "1"), 1, "m: ", "too slow")
        self.has_part(100_000)

    def test_nobody_is_there(self):
        address = self.server.route("/m", whole(DATA))
        self.server.close()
        self.fails(self.pull(address), 1, "m: ", "onnect")
        self.has_nothing()


class Lies(Pulling):
    def test_wrong_bytes(self):
        address = self.server.route("/m", whole(OTHER))
        self.fails(self.pull(address), 1, digest(OTHER), digest(DATA))
        self.has_nothing()
        self.assertEqual(len(self.server.requests), 1)

    def test_wrong_bytes_behind_right_ones(self):
        address = self.server.route("/m", cut(DATA, 1000), whole(OTHER))
        self.pull(address)
        self.fails(self.pull(address), 1, digest(OTHER))
        self.has_nothing()

    def test_another_length(self):
        for n in (len(DATA) - 1, len(DATA) + 1, 0):
            address = self.server.route("/m", lambda request, reply, n=n: reply.head(
                200, Content_Length=n))
            self.fails(self.pull(address), 1, f"got a file of {n} bytes, wanted {len(DATA)}")
        self.has_nothing()

    def test_another_length_of_the_rest(self):
        def shorter(request, reply):
            start = request.range_start
            reply.head(206, Content_Length=10, Content_Range=f"bytes {start}-{start + 9}/{start + 10}")
            reply.send(DATA[start:start + 10])

        address = self.server.route("/m", cut(DATA, 1000), shorter)
        self.pull(address)
        self.fails(self.pull(address), 1, f"got a file of 1010 bytes, wanted {len(DATA)}")

    def test_no_length(self):
        def until_the_end(data):
            def behave(request, reply):
                reply.head(200)
                reply.send(data)
            return behave

        def chunks(data):
            def behave(request, reply):
                reply.head(200, Transfer_Encoding="chunked")
                for at in range(0, len(data), 70_000):
                    reply.chunk(data[at:at + 70_000])
                reply.send(b"0\r\n\r\n")
            return behave

        for way in until_the_end, chunks:
            self.fails(self.pull(self.server.route("/m", way(DATA + b"x"))), 1,
                       f"got more than {len(DATA)} bytes")
            self.fails(self.pull(self.server.route("/n", way(DATA[:-1]))), 1,
                       f"got {len(DATA) - 1} of {len(DATA)} bytes")
            self.pulled(self.pull(self.server.route("/o", way(DATA))))
            self.file_path.unlink()

    def test_statuses(self):
        for code in (204, 304, 401, 403, 404, 410):
            address = self.server.route("/m", status(code))
            self.fails(self.pull(address, "--retries", "3"), 1, f"got HTTP status {code}, wanted 200")
        self.assertEqual(len(self.server.requests), 6)
        for code in (408, 429, 500, 503):
            address = self.server.route("/m", status(code, Retry_After=1), whole(DATA))
            self.pulled(self.pull(address, "--retries", "1"))
            self.file_path.unlink()

    def test_headers_that_make_no_sense(self):
        endless = lambda request, reply: [reply.send(b"x" * 65536) for _ in range(64)]
        for behave in (endless, lambda request, reply: reply.send(b"\x00\xff\r\n\r\n"),
                       status(200, Content_Length="+5"), status(200, Content_Length="1e9")):
            self.fails(self.pull(self.server.route("/m", behave)), 1, "m: ")
            self.assertFalse(self.file_path.exists())

    def test_a_page_without_end_is_not_read(self):
        def endless(request, reply):
            reply.head(404, Transfer_Encoding="chunked")
            for _ in range(64):
                reply.chunk(b"x" * 65536)

        self.fails(self.pull(self.server.route("/m", endless)), 1, "m: ")


    def test_an_error_with_a_long_page(self):
        head = b"HTTP/1.1 503 X\r\nContent-Length: 2000000\r\n\r\n"
        address = self.server.route("/m", raw(head + b"x" * 2_000_000), whole(DATA))
        self.pulled(self.pull(address, "--retries", "1"))


class Unchecked(Pulling):
    """Addresses without a digest."""

    def test_replies_without_an_end(self):
        vast = b"Content-Length: 18446744073709551615\r\n\r\n"
        chunks = b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n" + DATA[:1000] + b"\r\n"
        ok = b"HTTP/1.1 200 X\r\n"
        for reply, words in ((HEAD_ONLY % 200, "within the head"),
                             (ok + b"\r\n", "without a body"),
                             (ok + b"Content-Length: 0\r\n\r\n", "without a body"),
                             (ok + vast + b"abc", "where it ends"), (ok + vast, "without a body"),
                             (ok + b"\r\n" + DATA, "where it ends"), (ok + chunks, "m: "),
                             (b"HTTP/1.0 200 X\r\n\r\n" + DATA, "where it ends")):
            address = self.server.route("/m", raw(reply), whole(DATA))
            self.fails(self.pull_address(address), 1, words)
            self.assertFalse(self.file_path.exists())
        address = self.server.route("/m", raw(ok + chunks + b"0\r\n\r\n"))
        self.pulled(self.pull_address(address), DATA[:1000], beside=["m.gguf.from"])

    def test_no_model(self):
        for data in (b"<html>log in</html>", b"GGU", b"GGML" + DATA):
            self.fails(self.pull_address(self.server.route("/m", whole(data))), 1, "not a model")
            self.has_nothing()

    def test_a_range_of_a_file_without_a_size(self):
        head = (b'HTTP/1.1 206 X\r\nETag: "one"\r\nContent-Range: bytes 1000-1099/*\r\n'
                b"Content-Length: 100\r\n\r\n")
        address = self.server.route("/m", cut(DATA, 1000), raw(head + DATA[1000:1100]), whole(DATA))
        self.pull_address(address)
        self.fails(self.pull_address(address), 1, "unknown size")
        self.pulled(self.pull_address(address), beside=["m.gguf.from"])
        self.assertEqual(self.ranges(), [None, 1000, None])

    def test_the_file_changed_between_two_attempts(self):
        address = self.server.route("/m", cut(DATA, 1000), whole(OTHER[:250_000], '"two"'))
        self.pulled(self.pull_address(address, "--retries", "1"), OTHER[:250_000], ["m.gguf.from"])
        self.assertEqual(self.ranges(), [None, 1000])

    def test_versions_that_nothing_tells_apart(self):
        for first, second, asked in ((None, '"one"', [None, None]),
                                     ('"one"', None, [None, 1000, None])):
            address = self.server.route("/m", cut(DATA, 1000, first), cut(DATA, 300_000, second),
                                        whole(DATA))
            self.server.requests.clear()
            self.pulled(self.pull_address(address, "--retries", "2"), beside=["m.gguf.from"])
            self.assertEqual(self.ranges(), asked)
            self.file_path.unlink()

    def test_another_file_of_that_name(self):
        first = self.server.route("/a/m.gguf", whole(DATA))
        second = self.server.route("/b/m.gguf", whole(OTHER))
        self.pulled(self.pull_address(first), beside=["m.gguf.from"])
        self.assertEqual(stat.S_IMODE((self.models / "m.gguf.from").stat().st_mode), 0o600)
        for _ in range(2):
            self.fails(self.pull_address(second), 1, "m.gguf: is there", "another NAME")
        self.pulled(self.pull_address(first), beside=["m.gguf.from"])
        (self.models / "m.gguf.from").unlink()
        self.fails(self.pull_address(first), 1, "m.gguf: is there", "another NAME")
        self.file_path.write_bytes(b"my notes")
        self.fails(self.pull_address(first), 1, "m.gguf: is there and is not a model")
        self.assertEqual(self.file_path.read_bytes(), b"my notes")
        self.assertEqual(len(self.server.requests), 1)


class Addresses(Pulling):
    def test_redirections(self):
        last = self.server.route("/m", whole(DATA))
        for code in (301, 302, 303, 307, 308):
            address = self.server.route("/r", redirect("/s", code))
            self.server.route("/s", redirect(last))
            self.pulled(self.pull(address))
            self.file_path.unlink()

    def test_the_rest_is_asked_for_behind_them(self):
        self.server.route("/m", cut(DATA, 1000), whole(DATA))
        address = self.server.route("/r", redirect("/m"))
        self.pull(address)
        self.pulled(self.pull(address))
        self.assertEqual(self.server.requests[-1].range_start, 1000)

    def test_circles(self):
        address = self.server.route("/a", redirect("/b"))
        self.server.route("/b", redirect("/a"))
        self.fails(self.pull(address), 1, "got 11 redirections, wanted at most 10")
        self.assertEqual(len(self.server.requests), 11)

    def test_where_they_may_not_lead(self):
        for target, words in (("ftp://127.0.0.1/m", "ftp"), ("file:///etc/passwd", "address"),
                              ("http://192.0.2.1/m", "192.0.2.1"), ("http://127.0.0.1.example/", "http")):
            self.fails(self.pull(self.server.route("/r", redirect(target))), 1, words, "wanted")
        self.has_nothing()

    def test_http_beyond_this_machine(self):
        for host in ("192.0.2.1", "127.0.0.1.example", "[2001:db8::1]", "localhost.example",
                     "127.0.0.1@192.0.2.1"):
            self.fails(self.pull(f"http://{host}/m.gguf"), 1, "wanted https or --insecure-http")

    def test_proxies(self):
        self.server.route("http://models.example/m", whole(DATA))
        self.env["http_proxy"] = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.pulled(self.pull("http://models.example/m", "--insecure-http"))
        self.assertEqual(self.server.requests[0].target, "http://models.example/m")
        self.file_path.unlink()
        address = self.server.route("/m", whole(DATA))
        self.env.update(http_proxy="http://127.0.0.1:1", no_proxy="127.0.0.1")
        self.pulled(self.pull(address))

    def test_https(self):
        if not shutil.which("openssl"):
            self.skipTest("no openssl to make a certificate with")
        both, key = self.dir / "both.pem", self.dir / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
                        "-keyout", key, "-out", both], check=True, capture_output=True)
        certificate = self.file("ca.pem", both.read_bytes())
        with both.open("ab") as file:
            file.write(key.read_bytes())
        safe = Server(both)
        self.addCleanup(safe.close)
        address = safe.route("/m", whole(DATA))
        self.fails(self.pull(address), 1, "certificate")
        self.pulled(self.pull(address, "--ca-file", certificate))
        self.file_path.unlink()
        safe.route("/m", redirect(self.server.route("/m", whole(DATA))))
        self.fails(self.pull(address, "--ca-file", certificate, "--insecure-http"), 1,
                   "from https to http")
        self.assertEqual(self.server.requests, [])


class Machine(Pulling):
    def begin(self, n=100_000):
        """A pull that has n bytes, and waits for more."""
        address = self.server.route("/m", hold(DATA, n), whole(DATA))
        p = start("pull", "m", "--catalogue", self.catalogue(address), env=self.env)
        self.addCleanup(lambda: (p.poll() is None and p.kill(), p.communicate()))
        deadline = time.monotonic() + 30
        while not (self.part.exists() and self.part.stat().st_size >= n):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        return p, address

    def test_interruptions(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL):
            with self.subTest(number):
                p, address = self.begin()
                p.send_signal(number)
                out, err = p.communicate(timeout=30)
                self.assertEqual((p.returncode, out, err),
                                 (-9 if number == signal.SIGKILL else 130, b"", b""))
                self.has_part(100_000)
                self.pulled(self.pull(address))
                self.assertEqual(self.server.requests[-1].range_start, 100_000)
                self.file_path.unlink()

    def test_two_at_a_time(self):
        p, address = self.begin()
        self.fails(self.pull(address), 1, "m.gguf.part", "another program")
        self.server.released.set()
        out, err = p.communicate(timeout=30)
        self.assertEqual((p.returncode, out, err), (0, f"{self.file_path}\n".encode(), b""))
        self.pulled(self.pull(address))

    def test_disk_full(self):
        address = self.server.route("/m", whole(DATA))

        def limited():
            resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))

        p = subprocess.run([SLM, "pull", "m", "--catalogue", self.catalogue(address)], env=self.env,
                           capture_output=True, preexec_fn=limited, timeout=60, check=False)
        self.assertEqual((p.returncode, p.stdout), (1, b""))
        self.assertRegex(p.stderr, rb"^slm: .*m\.gguf\.part: cannot be written: File too large\n$")
        self.has_part(150_000)
        self.pulled(self.pull(address))
        self.assertEqual(self.server.requests[-1].range_start, 150_000)

    def test_no_room(self):
        address = self.server.route("/m", whole(DATA))
        self.fails(self.pull(address, size=10**18), 1, "got room for", f"wanted {10**18}")
        self.assertEqual(self.server.requests, [])
        vast = self.server.route("/vast.gguf", lambda request, reply: (
            reply.head(200, Content_Length=10**18), reply.send(DATA)))
        self.fails(slm("pull", vast, "-q", "--retries", "0", env=self.env), 1, "got room for")
        self.has_nothing()

    def test_folders_that_cannot_be(self):
        address = self.server.route("/m", whole(DATA))
        self.env["SLM_MODELS"] = str(self.file("plain", b"") / "models")
        self.fails(self.pull(address), 1, "plain/models", "Not a directory")
        self.models.mkdir()
        self.part.symlink_to(self.dir / "elsewhere")
        self.env["SLM_MODELS"] = str(self.models)
        self.fails(self.pull(address), 1, "m.gguf.part: cannot be written")
        self.assertFalse((self.dir / "elsewhere").exists())

    def test_what_is_not_a_file(self):
        address = self.server.route("/m", cut(DATA, 1000), whole(DATA))
        self.models.mkdir()
        for make, remove in ((Path.mkdir, Path.rmdir), (os.mkfifo, Path.unlink)):
            make(self.file_path)
            self.fails(self.pull(address), 1, "m.gguf: is there and is not a file")
            self.fails(self.pull_address(address), 1, "m.gguf: is there and is not a file")
            remove(self.file_path)
        os.mkfifo(self.part)
        self.fails(self.pull(address), 1, "m.gguf.part: cannot be written")
        self.part.unlink()
        self.assertEqual(self.server.requests, [])
        self.pull(address)
        noted = self.models / "m.gguf.part.from"
        noted.unlink()
        os.mkfifo(noted)
        self.fails(self.pull(address), 1, "m.gguf.part.from: cannot be written")
        noted.unlink()
        self.pulled(self.pull(address))


class Names(Pulling):
    def setUp(self):
        super().setUp()
        self.env["SLM_CATALOGUE"] = str(self.catalogue(
            self.server.route("/m", whole(HEARTH.read_bytes())), HEARTH.read_bytes()))

    def slm(self, *args, **kwargs):
        return slm(*args, env=self.env, **kwargs)

    def have_model(self):
        self.models.mkdir()
        shutil.copy(HEARTH, self.file_path)

    def test_a_pulled_model_goes_by_its_name(self):
        self.have_model()
        ids = self.slm("tokenize", "m", data=b"Hello")
        self.assertEqual(ids.out, slm("tokenize", HEARTH, data=b"Hello").out)
        self.done(self.slm("detokenize", "m", data=ids.out), b"Hello")
        self.done(self.slm("inspect", "m", "--json"), slm("inspect", self.file_path, "--json").out)
        self.done(self.slm("run", "m", "-n", "1", "Hello"))
        self.fails(self.slm("pack", "m", "-o", self.file_path), 2, str(self.file_path))
        self.fails(self.slm("quantize", "m", self.file_path, "Q4_0"), 2, "the same file")

    def test_a_file_of_that_name_comes_first(self):
        self.have_model()
        shutil.copy(HEARTH, self.dir / "m")
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        os.chdir(self.dir)
        self.file_path.write_bytes(b"no model")
        self.done(self.slm("tokenize", "m", data=b"Hello"))
        self.fails(self.slm("tokenize", str(self.file_path), data=b"Hello"), 1, "m.gguf")

    def test_one_that_was_not_pulled(self):
        for args in (["run", "m", "Hello"], ["inspect", "m"], ["tokenize", "m"]):
            self.fails(self.slm(*args), 1, "m: got no such file", '"slm pull m"', "3.9 MB")
        self.assertIn(b'"slm pull m"', self.slm("doctor", "m").err)
        for name in ("other", "m.gguf", "./m", "../models/m"):
            r = self.slm("run", name, "Hello")
            self.fails(r, 1, name)
            self.assertNotIn(b"slm pull", r.err)
        self.assertEqual(self.server.requests, [])
        self.assertFalse(self.models.exists())

    def on_terminal(self, answer, *args):
        """The program on a terminal on which somebody types; its status and all that was shown."""
        master, slave = pty.openpty()

        def own_terminal():
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        p = subprocess.Popen([SLM, *args], stdin=slave, stdout=slave, stderr=slave, env=self.env,
                             start_new_session=True, preexec_fn=own_terminal)
        os.close(slave)
        shown, typed, asked, deadline = b"", False, None, time.monotonic() + 60
        while time.monotonic() < deadline:
            if select.select([master], [], [], 0.1)[0]:
                try:
                    shown += os.read(master, 4096)
                except OSError:
                    break  # the end of a terminal
            if b"[y/N]> " in shown and not typed:
                # A line editor, if there is one, shows its prompt before it takes keys one by one.
                asked = asked or time.monotonic()
                is_edited = not termios.tcgetattr(master)[3] & termios.ICANON
                if is_edited or time.monotonic() > asked + 1:
                    typed = True
                    os.write(master, answer)
        os.close(master)
        return p.wait(30), shown

    def test_an_offer_on_a_terminal(self):
        for answer in (b"n\n", b"\n", b"\x04"):
            ended, shown = self.on_terminal(answer, "run", "m", "Hello", "-n", "4")
            self.assertEqual(ended, 1, shown)
            self.assertIn(b"m is not here. Fetch it, 3.9 MB, from 127.0.0.1", shown)
            self.assertRegex(shown, rb"\(licence: MIT\)\?\r\n.*\[y/N\]> ")
            self.assertNotIn(b"[y/N] ", shown)
            self.assertIn(b'"slm pull m"', shown)
        ended, shown = self.on_terminal(b"\x03", "run", "m", "Hello", "-n", "4")
        self.assertEqual(ended, 130, shown)
        self.assertEqual(self.server.requests, [])
        ended, shown = self.on_terminal(b"y\n", "run", "m", "Hello", "-n", "4", "--temp", "0")
        self.assertEqual(ended, 0, shown)
        self.assertEqual(self.file_path.read_bytes(), HEARTH.read_bytes())
        answer = slm("run", HEARTH, "Hello", "-n", "4", "--temp", "0").out.strip()
        self.assertIn(answer, shown)
        ended, shown = self.on_terminal(b"", "run", "m", "Hello", "-n", "4", "--temp", "0")
        self.assertEqual((ended, b"Fetch" in shown, answer in shown), (0, False, True))

    def test_a_bar_on_a_terminal(self):
        self.server.route("/m", slow(HEARTH.read_bytes(), 2))
        ended, shown = self.on_terminal(b"", "pull", "m")
        self.assertEqual(ended, 0, shown)
        self.assertRegex(shown, rb"\r\x1b\[Km \[#+\.+\] +\d+ %, \d+ s left")
        self.assertTrue(shown.endswith(f"{self.file_path}\r\n".encode()), shown)


class Catalogue(Pulling):
    def list(self, text):
        return slm("pull", "--list", "--catalogue", self.file("list", text), env=self.env)

    def test_the_one_that_is_shipped(self):
        r = slm("pull", "--list", env=self.env)
        self.done(r)
        lines = (ROOT / "tools/catalogue.txt").read_text(encoding="utf-8").splitlines()
        entries = [line.split() for line in lines if line and not line.startswith("#")]
        self.assertGreater(len(entries), 0)
        self.assertEqual([line.split()[0] for line in r.out.decode().splitlines()],
                         [e[0] for e in entries])
        for name, size, sha256, licence, address in entries:
            self.assertGreater(int(size), 10**8)
            self.assertRegex(sha256, r"^[0-9a-f]{64}$")
            self.assertRegex(licence, r"^[\w.-]+$")
            self.assertRegex(address, r"^https://huggingface\.co/[\w.-]+/[\w.-]+/resolve/[0-9a-f]{40}/"
                                      r"[\w.-]+\.gguf$", name)

    def test_what_is_here_is_listed_as_a_file(self):
        line = f"m 3 {digest(b'abc')} MIT https://models.example/m.gguf\n".encode()
        self.done(self.list(line), b"m                 3 bytes  MIT        "
                                   b"https://models.example/m.gguf\n")
        self.models.mkdir()
        self.file_path.write_bytes(b"abc")
        self.assertIn(str(self.file_path).encode(), self.list(line).out)

    def test_comments_and_blanks(self):
        line = f"\t m\t3  {digest(b'abc')} MIT https://models.example/m.gguf \r\n"
        self.done(self.list(f"\n# none\n  # none\n{line}\n   \n#".encode()))
        self.done(self.list(b""), b"")

    def test_faults(self):
        good = f"m 3 {digest(b'abc')} MIT https://models.example/m.gguf"
        for text, words in ((good + " x", "list:1: got 6 fields"), ("m 3", "list:1: got 2 fields"),
                            (good + "\n" + good, "list:2: got the name m twice"),
                            (good.replace("m 3", "-m 3"), "NAME"), (good.replace("m 3", "a/b 3"), "NAME"),
                            (good.replace("m 3", "m.gguf 3"), "NAME"), (good.replace("m 3", "m 0"), "SIZE"),
                            (good.replace("m 3", "m 3x"), "SIZE"), (good.replace("m 3", "m -3"), "SIZE"),
                            (good.replace(digest(b"abc"), "abc"), "SHA256"),
                            (good.replace("https:", "ftp:"), "ADDRESS"),
                            (good.replace("MIT", "\x1b[31mMIT"), "LICENCE"),
                            (good + "\x7f", "ASCII"), (good + "\xe9", "ASCII"), (good + "\0", "NUL"),
                            (good.replace("m 3", "m" * 65 + " 3"), "NAME")):
            self.fails(self.list(text.encode()), 1, "list", words)
        self.fails(slm("pull", "--list", "--catalogue", self.dir / "absent"), 1, "absent")

    def test_names_that_are_not_there(self):
        self.fails(slm("pull", "no-such-model"), 1, "no-such-model", "slm pull --list")

    def test_command_lines(self):
        sha256 = digest(b"abc")
        for args, words in (([], "got no NAME"), (["a", "b"], '"b"'), (["--list", "m"], "--list"),
                            (["../m"], '"../m"'), (["m.gguf"], '"m.gguf"'), ([""], '""'),
                            (["m", "--sha256", sha256], "--sha256"),
                            (["m", "--url", "https://h/", "--sha256", "abc"], '"abc"'),
                            (["m", "--url", "ftp://h/m"], '"ftp://h/m"'), (["https://h/"], "NAME"),
                            (["m", "--url", "file:///m"], "https://"), (["m", "--url", "https://"], "--url"),
                            (["m", "--stall-timeout", "0"], "--stall-timeout")):
            self.fails(slm("pull", *args), 2, words)


if __name__ == "__main__":
    if b"libcurl" in slm("pull", "m", "--url", "http://127.0.0.1:1/m", "--retries", "0").err:
        print("this build cannot fetch models", file=sys.stderr)
        sys.exit(1 if os.environ.get("CI") == "true" else SKIP)
    main(needs_data=False)
