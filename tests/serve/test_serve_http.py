"""Requests as bytes: heads and bodies that are too long, too slow or at odds with themselves, and who
may speak to the server at all."""

import os
import resource
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from serve_case import HEARTH, SLM, WAIT, Case, main

ASK = b'{"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}'


def chunked(*chunks):
    return b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks) + b"0\r\n\r\n"


class Framing(Case):
    OPTIONS = ("--max-body", "4096", "-c", "64", "--head-timeout", "2", "--body-timeout", "2",
               "--idle-timeout", "9")

    def status(self, answer):
        return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0

    def post_head(self, *lines):
        return self.head("POST", "/v1/chat/completions", "Content-Type: application/json", *lines)

    def test_124_long_line(self):
        for n in (9000, 200000):
            answer = self.raw(self.head("GET", "/" + "a" * n))
            self.assertIn(self.status(answer), (0, 400, 414, 431), answer[:200])
        rss = self.server.rss()
        answer = self.raw(b"G" * 3000000)
        self.assertIn(self.status(answer), (0, 400, 414, 431), answer[:200])
        self.assertLess(self.server.rss() - rss, 8 << 20)
        self.assertEqual(self.status(self.raw(self.head("GET", "/" + "a" * 7000,
                                                        "Connection: close"))), 404)

    def test_125_headers(self):
        many = [f"X-{i}: y" for i in range(10000)]
        self.assertIn(self.status(self.raw(self.head("GET", "/health", *many))), (0, 400, 431))
        some = [f"X-{i}: y" for i in range(150)]
        self.assertEqual(self.status(self.raw(self.head("GET", "/health", *some,
                                                        "Connection: close"))), 431)
        long = self.raw(self.head("GET", "/health", "X: " + "y" * 1000000))
        self.assertIn(self.status(long), (0, 400, 431))
        self.assertEqual(self.status(self.raw(self.head("GET", "/health", "A B: c"))), 400)

    def test_126_slow(self):
        """A byte now and then does not put a deadline off."""
        whole = self.post_head(f"Content-Length: {len(ASK)}") + ASK
        for begin in (5, 60, len(whole) - 20): # in the line, in the headers, in the body
            with self.server.connect() as s:
                s.sendall(whole[:begin])
                answer = b""
                for byte in whole[begin:]:
                    s.settimeout(0.5)
                    try:
                        answer = s.recv(4096)
                        break
                    except socket.timeout:
                        pass
                    try:
                        s.sendall(bytes([byte]))
                    except OSError: # the answer is there
                        pass
                self.assertEqual(self.status(answer), 408, answer)
                self.assertEqual(self.get("/health").status, 200)

    def test_126_idle(self):
        with self.server.connect() as s:
            s.sendall(self.head("GET", "/health"))
            s.recv(4096)
            time.sleep(2.6) # longer than a head may take: nothing of one is there
            s.sendall(self.head("GET", "/health"))
            self.assertEqual(self.status(s.recv(4096)), 200)
            self.assertEqual(s.recv(4096), b"")

    def test_126_head_right_behind_a_reply(self):
        """A head that begins before anybody has looked has the time of a head, not that of silence."""
        with self.server.connect() as s:
            for _ in range(2):
                s.sendall(self.head("GET", "/health"))
                self.assertEqual(self.status(s.recv(4096)), 200)
            s.sendall(b"GET /hea")
            self.assertEqual(self.status(s.recv(4096)), 408)

    def test_127_lengths(self):
        for lines in (["Content-Length: 5", "Transfer-Encoding: chunked"],
                      ["Content-Length: 5", "Content-Length: 5"],
                      ["Content-Length: 5", "Content-Length: 6"], ["Content-Length: +5"],
                      ["Content-Length: -1"], ["Content-Length: 18446744073709551616"],
                      ["Content-Length: 5, 5"], ["Content-Length: 0x5"],
                      ["Content-Length: 99999999999999999999999"]):
            answer = self.raw(self.post_head(*lines) + b"5\r\nhello\r\n0\r\n\r\n")
            self.assertIn(self.status(answer), (400, 413), (lines, answer))
            self.assertNotIn(b"HTTP/1.1 200", answer, lines)

    def test_128_chunks(self):
        head = self.post_head("Transfer-Encoding: chunked")
        good = self.raw(head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") +
                        chunked(ASK[:10], ASK[10:]))
        self.assertEqual(self.status(good), 200, good)
        for body in (b"-2\r\nxx\r\n", b"11111111111111111\r\n", b"5\r\nhello5\r\nhello\r\n",
                     b"zz\r\n", b"5;" + b"x" * 100000 + b"\r\nhello\r\n0\r\n\r\n",
                     b"0\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(100000))):
            answer = self.raw(head + body)
            self.assertIn(self.status(answer), (0, 400, 408, 413, 431), (body[:30], answer))
        self.assertEqual(self.get("/health").status, 200)

    def test_129_short_and_long(self):
        head = self.post_head(f"Content-Length: {len(ASK) + 10}")
        self.assertIn(self.status(self.raw(head + ASK, half_close=True)), (0, 400, 408))
        two = self.post_head(f"Content-Length: {len(ASK)}") + ASK
        answer = self.raw(two + self.head("GET", "/health", "Connection: close"))
        self.assertEqual(answer.count(b"HTTP/1.1 200 OK"), 2, answer)
        self.assertLess(answer.index(b"chat.completion"), answer.index(b'{"status":"ok"}'))
        answer = self.raw(two + b"junk behind it\r\n\r\n")
        self.assertEqual(self.status(answer), 200, answer)
        self.assertIn(b"HTTP/1.1 400", answer[20:])

    def test_130_body_cap(self):
        for n in (4095, 4096):
            body = ASK + b" " * (n - len(ASK))
            self.assertEqual(self.post("/v1/chat/completions", body).status, 200)
        for n in (4097, 4 << 30):
            answer = self.raw(self.post_head(f"Content-Length: {n}"))
            self.assertEqual(self.status(answer), 413, answer)
        head = self.post_head("Transfer-Encoding: chunked", "Connection: close")
        answer = self.raw(head + chunked(*[b" " * 1000] * 5))
        self.assertEqual(self.status(answer), 413, answer)

    def test_131_types(self):
        path = "/v1/chat/completions"
        for headers in ({"Content-Encoding": "gzip"}, {"Content-Encoding": "br"},
                        {"Content-Type": "multipart/form-data; boundary=x"},
                        {"Content-Type": "text/plain"}, {"Content-Type": "application/jsonx"},
                        {"Content-Type": "application/x-www-form-urlencoded"}):
            self.refused(self.post(path, ASK, headers=headers), 415)
        for kind in ("application/json; charset=utf-8", "Application/JSON"):
            self.assertEqual(self.post(path, ASK, headers={"Content-Type": kind}).status, 200)

    def test_132_methods_and_paths(self):
        for method, path in (("PUT", "/v1/models"), ("DELETE", "/v1/models"), ("POST", "/health"),
                             ("GET", "/v1/completions"), ("PATCH", "/tokenize"),
                             ("FROB", "/health")):
            reply = self.http(method, path)
            self.refused(reply, 405)
            self.assertIn("OPTIONS", reply.headers["allow"])
        for path in ("/v1/../etc/passwd", "/..", "//", "/a//b", "/%00", "/%2e%2e/x", "/v1/%2E"):
            self.refused(self.get(path), 400)
        for path in ("/v1", "/v1/", "/x", "/healthz", "/v1/chat/completions/", "/Health"):
            self.refused(self.get(path), 404)
        answer = self.raw(self.head("GET", f"http://127.0.0.1:{self.server.port}/health",
                                    "Connection: close"))
        self.assertEqual(self.status(answer), 400, answer)
        self.assertEqual(self.get("/health?x=1").status, 200)

    def test_133_host(self):
        port = self.server.port
        for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}", f"[::1]:{port}"):
            answer = self.raw(self.head("GET", "/health", "Connection: close", host=host))
            self.assertEqual(self.status(answer), 200, (host, answer))
        for host in ("example.org", f"example.org:{port}", f"127.0.0.1.example.org:{port}",
                     "127.0.0.1", f"127.0.0.1:{port + 1}", f"localhost.:{port}", "",
                     f"192.168.1.1:{port}", f"[::1:{port}", f"127.0.0.1:{port}x", ":", f":{port}"):
            answer = self.raw(self.head("GET", "/health", "Connection: close", host=host))
            self.assertIn(self.status(answer), (400, 403), (host, answer))
        answer = self.raw(b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n")
        self.assertIn(self.status(answer), (400, 403), answer)
        two = self.head("GET", "/health", "Host: example.org", "Connection: close")
        self.assertEqual(self.status(self.raw(two)), 400)

    def test_134_origin(self):
        for origin in ("https://example.org", "null", f"http://localhost:{self.server.port + 1}",
                       "file://", ""):
            for method in ("OPTIONS", "POST", "GET"):
                reply = self.http(method, "/v1/models", headers={"Origin": origin})
                self.refused(reply, 403)
                self.assertNotIn("access-control-allow-origin", reply.headers)
        own = f"http://127.0.0.1:{self.server.port}"
        reply = self.get("/v1/models", headers={"Origin": own})
        self.assertEqual(reply.status, 200)

    def test_137_echoes(self):
        """What a client wrote comes back escaped or not at all."""
        reply = self.post("/v1/chat/completions", {"messages": [{"role": "x\r\nSet-Cookie: a"}]})
        self.refused(reply, 400, "messages[0].role")
        self.assertNotIn("set-cookie", reply.headers)
        reply = self.get("/a%0d%0aSet-Cookie:%20a")
        self.assertNotIn("set-cookie", reply.headers)


class Keys(Case):
    KEY = "s3cret-key-of-the-server"

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.file = Path(cls.folder.name) / "keys"
        cls.file.write_text(f"{cls.KEY}\n\nanother-key\r\n")
        cls.file.chmod(0o600)
        cls.OPTIONS = ("--api-key-file", cls.file, "--log", "--allow-origin",
                       "https://example.org", "--allow-host", "slm.example.org")
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.folder.cleanup()

    def test_136_keys(self):
        for key in (self.KEY, "another-key"):
            reply = self.get("/v1/models", headers={"Authorization": "Bearer " + key})
            self.assertEqual(reply.status, 200)
        for value in (None, "", "Bearer", "Bearer ", "Bearer x", "Bearer " + self.KEY[:-1],
                      "Bearer " + self.KEY + "x", "Bearer  " + self.KEY, self.KEY,
                      "Basic " + self.KEY, "Bearer " + "x" * 5000):
            headers = {} if value is None else {"Authorization": value}
            for method, path in (("GET", "/v1/models"), ("GET", "/metrics"),
                                 ("POST", "/v1/completions"), ("POST", "/tokenize")):
                reply = self.http(method, path, headers=headers)
                self.refused(reply, 401, None, "invalid_api_key")
                self.assertEqual(reply.headers["www-authenticate"], "Bearer")
        for path in ("/health", "/"):
            self.assertEqual(self.get(path).status, 200)
        text = self.server.text()
        self.assertNotIn(self.KEY, text)
        self.assertNotIn("another-key", text)

    def test_134_allowed_origin(self):
        origin = {"Origin": "https://example.org"}
        reply = self.http("OPTIONS", "/v1/models", headers=origin)
        self.assertEqual(reply.status, 204)
        self.assertEqual(reply.headers["access-control-allow-origin"], "https://example.org")
        self.assertIn("Authorization", reply.headers["access-control-allow-headers"])
        reply = self.get("/v1/models", headers=dict(origin, Authorization="Bearer " + self.KEY))
        self.assertEqual(reply.headers["access-control-allow-origin"], "https://example.org")
        self.assertEqual(reply.headers["vary"], "Origin")
        self.refused(self.get("/v1/models", headers={"Origin": "https://example.org.evil.net"}), 403)

    def test_133_named_host(self):
        for host in ("slm.example.org", "slm.example.org:443"):
            self.assertEqual(self.get("/health", headers={"Host": host}).status, 200)
        self.refused(self.get("/health", headers={"Host": "x.example.org"}), 403)


class Starting(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = None

    @classmethod
    def tearDownClass(cls):
        pass

    def fails(self, status, word, *options, **kwargs):
        p = subprocess.run([SLM, "serve", str(HEARTH), "-t", "1", *map(str, options)],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           timeout=WAIT, check=False, **kwargs)
        error = p.stderr.decode()
        self.assertEqual((p.returncode, p.stdout), (status, b""), error)
        self.assertEqual(error.count("\n"), 1, error)
        self.assertIn(word, error)

    def test_135_beyond_loopback(self):
        for host in ("0.0.0.0", "::", "192.0.2.1", "example.org", ""):
            self.fails(2, "--api-key-file", "--host", host, "--port", 0)

    def test_153_start_errors(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.fails(1, "bind", "--port", taken.getsockname()[1])
        self.fails(2, "--port", "--port", 65536)
        self.fails(2, "--parallel", "--parallel", 0)
        self.fails(1, "no-such-file", "--api-key-file", "no-such-file")
        self.fails(1, "got no key", "--api-key-file", "/dev/null")
        with tempfile.NamedTemporaryFile() as keys:
            keys.write(b"good-key\nbad key\n")
            keys.flush()
            self.fails(1, "line 2", "--api-key-file", keys.name)

    def test_171_no_memory_for_the_cache(self):
        if os.environ.get("SLM_SANITIZE"):
            self.skipTest("a sanitizer wants more addresses than the limit leaves")
        limit = 400 << 20
        self.fails(1, "memory", "--parallel", 256, "--port", 0, preexec_fn=lambda:
                   resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))


if __name__ == "__main__":
    main()
