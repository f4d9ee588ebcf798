"""Clients that go away, do not read, come in crowds, and the end of the server while they are there."""

import http.client
import json
import os
import random
import resource
import signal
import socket
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from serve_case import (HEARTH, PATIENCE, STORIES, WAIT, Case, Server, in_threads, long_context, main,
                        rest)

# Seconds that are promised. One of many tries has to keep to them: others use this machine, too.
FREED, REFUSED, TRIES = 1, 0.05, 30
N_CTX = 60000
LONG = {"prompt": "Once upon a time", "max_tokens": 100000, "temperature": 0}


class Long(Case):
    """A model of which an answer does not end by itself for a long time."""

    OPTIONS = ("-c", str(N_CTX), "--parallel", "2", "--queue", "2", "--cells", "130000",
               "--max-pending", "65536", "--write-timeout", "2")

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.MODEL = long_context(STORIES, cls.folder.name)
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.folder.cleanup()

    def setUp(self):
        self.until(self.is_quiet, "something still runs")
        self.n_before = self.metric("slm_generated_tokens_total")

    def freed(self, what):
        """Nothing runs any more, and not because an answer has come to its own end."""
        self.until(self.is_quiet, what)
        self.assertLess(self.metric("slm_generated_tokens_total") - self.n_before, N_CTX * 3 // 4,
                        what)

    def running(self):
        return self.metric("slm_requests_running")

    def waiting(self):
        return self.metric("slm_requests_waiting")

    def is_quiet(self):
        return self.running() + self.waiting() == 0

    def begin(self, stream=True, **fields):
        """A socket on which an answer has been asked for."""
        body = json.dumps(dict(LONG, stream=stream, **fields)).encode()
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        s.connect((self.server.host, self.server.port))
        s.sendall(self.head("POST", "/v1/completions", "Content-Type: application/json",
                            f"Content-Length: {len(body)}") + body)
        return s

    def quick(self, seed=1):
        return self.ok("/v1/completions", {"prompt": "The cat", "max_tokens": 12, "seed": seed,
                                           "temperature": 1})["choices"][0]["text"]

    def test_145_gone_in_stream(self):
        for end in (lambda s: s.close(), lambda s: s.shutdown(socket.SHUT_WR)):
            with self.begin() as s:
                self.assertIn(b"200 OK", s.recv(4096))
                self.until(lambda: self.running() == 1, "it does not run")
                end(s)
                self.freed("the answer goes on")

    def test_145_within_a_second(self):
        took = []
        while not took or (took[-1] > FREED and len(took) < TRIES):
            with self.begin() as s:
                s.recv(4096)
                self.until(lambda: self.running() == 1, "it does not run")
            started = time.monotonic()
            self.until(self.is_quiet, "the answer goes on")
            took.append(time.monotonic() - started)
        self.assertLess(min(took), FREED, took)
        # What is free does no steps any more.
        steps = self.metric("slm_steps_total")
        time.sleep(0.3)
        self.assertEqual(self.metric("slm_steps_total"), steps)

    def test_145_reset(self):
        with self.begin() as s:
            s.recv(4096)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.freed("the answer goes on")

    def test_145_gone_before_the_reply(self):
        with self.begin(stream=False):
            self.until(lambda: self.running() == 1, "it does not run")
        self.freed("the answer goes on")

    def test_145_gone_in_prompt(self):
        with self.begin(prompt="word " * 5000):
            self.until(lambda: self.running() == 1, "it does not run")
        self.freed("the prompt goes on")

    def test_146_gone_while_queued(self):
        """Two run, two wait; one that waits goes, and nobody notices."""
        quiet = self.quick()
        running = self.begin()
        with self.begin() as last:
            self.until(lambda: self.running() == 2, "they do not run")
            queued = self.begin()
            self.until(lambda: self.waiting() == 1, "it does not wait")
            queued.close()
            self.until(lambda: self.waiting() == 0, "it still waits")
            self.assertEqual(self.running(), 2)
            last.close()
        self.until(lambda: self.running() == 1, "it still runs")
        self.assertEqual(self.quick(), quiet)
        running.close()

    def test_147_slow_reader(self):
        """One that reads nothing is dropped, and nobody waits for it."""
        slow = "slm_clients_slow_total"
        waited = []
        while not waited or (waited[-1] and len(waited) < TRIES):
            before = self.metric(slow)
            with self.begin(logprobs=5) as s:
                self.until(lambda: self.running() == 1, "it does not run")
                quiet = self.quick()
                waited.append(self.metric(slow) > before) # which happens where the machine stands still
                self.until(lambda: self.metric(slow) == before + 1, "the reader was not dropped")
                self.until(self.is_quiet, "its answer goes on")
                self.assertEqual(self.quick(), quiet)
        self.assertIn(False, waited, "others are served once the reader is dropped, and not before")

    def test_148_many_connections(self):
        n = self.server.n_files()
        for i in range(1500):
            s = self.server.connect()
            if i % 3 == 0:
                s.sendall(b"GET / HT")
            if i % 3 == 1:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            s.close()
        self.until(lambda: self.server.n_files() <= n + 2, "descriptors are lost")

    def test_150_queue_full(self):
        held = [self.begin() for _ in range(2)]
        self.until(lambda: self.running() == 2, "they do not run")
        held += [self.begin() for _ in range(2)]
        self.until(lambda: self.waiting() == 2, "they do not wait")
        took = []
        while not took or (took[-1] > REFUSED and len(took) < TRIES):
            started = time.monotonic()
            reply = self.post("/v1/completions", LONG)
            took.append(time.monotonic() - started)
            self.refused(reply, 503, None, "overloaded")
            self.assertGreaterEqual(int(reply.headers["retry-after"]), 1)
        self.assertLess(min(took), REFUSED, took)
        # Where there is room for one answer a request of several is taken, whole.
        held.pop().close()
        self.until(lambda: self.waiting() == 1, "it still waits")
        held.append(self.begin(n=2))
        self.until(lambda: self.waiting() == 3, "they were not taken")
        self.refused(self.post("/v1/completions", LONG), 503, None, "overloaded")
        self.assertEqual(self.get("/health").status, 200)
        for s in held:
            s.close()

    def test_a_crowd_of_texts_keeps_nobody_waiting(self):
        """Embeddings of 60 texts, and somebody who comes behind them and is answered before them."""
        texts = [[3 + i, *[5] * 500] for i in range(60)]  # no two of them begin alike
        body = json.dumps({"input": texts}).encode()
        with self.server.connect() as s:
            s.sendall(self.head("POST", "/v1/embeddings", "Content-Type: application/json",
                                f"Content-Length: {len(body)}") + body)
            # The first 8, which keep their order among others and fill the short queue here, are over.
            self.until(lambda: 0 < self.waiting() < 50, "they do not wait")
            self.assertTrue(self.quick())
            self.assertGreater(self.waiting(), 0)
        self.until(self.is_quiet, "it still runs")

    def test_151_cancel_races_the_end(self):
        """Answers of one token, whose clients leave at any moment: each task ends once."""
        rng = random.Random(1)

        def storm(_):
            for _ in range(40):
                with self.begin(max_tokens=rng.choice((1, 2, 3))) as s:
                    time.sleep(rng.choice((0, 0, 0.001, 0.003, 0.01)))
                    if rng.random() < 0.3:
                        s.recv(1024)

        in_threads(2, storm)
        self.until(self.is_quiet, "something still runs")
        self.assertTrue(self.quick())


class Crowd(Case):
    OPTIONS = ("--parallel", "4", "--queue", "64")

    def test_149_streams_and_idle(self):
        """Idle connections, and streams of which some leave: the others are what they are alone."""
        idle = [self.server.connect() for _ in range(200)]

        def ask(i, drop=False):
            body = json.dumps({"prompt": "The light", "max_tokens": 24, "seed": i, "stream": True})
            c = http.client.HTTPConnection(self.server.host, self.server.port,
                                           timeout=WAIT)
            c.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
            r = c.getresponse()
            if drop:
                r.read(100)
                c.close()
                return None
            text = r.read()
            c.close()
            self.assertEqual(r.status, 200, text)
            return "".join(json.loads(e[6:])["choices"][0]["text"] for e in
                           text.decode().split("\n\n") if e.startswith("data: {"))

        alone = [ask(i) for i in range(8)]
        rss = self.server.rss()
        for _ in range(3):
            mixed = in_threads(32, lambda i: ask(i % 8, drop=i >= 16))
            self.assertEqual(mixed[:16], alone * 2)
        self.assertLess(self.server.rss() - rss, 24 << 20)
        for s in idle:
            s.sendall(self.head("GET", "/health", "Connection: close"))
        self.assertTrue(all(b"200 OK" in s.recv(4096) for s in idle))
        for s in idle:
            s.close()


class Few(Case):
    """Fewer descriptors than clients."""

    OPTIONS = ("--max-clients", "4", "--head-timeout", "1")

    def test_connections_beyond_the_limit(self):
        """Requests on them are told so at once, and those that ask for nothing are closed soon."""
        idle = [self.server.connect() for _ in range(4)]
        for method, path in (("GET", "/health"), ("POST", "/v1/completions")):
            with self.server.connect() as s:
                s.sendall(self.head(method, path, "Content-Type: application/json",
                                    "Content-Length: 2") + b"{}")
                reply = rest(s)
            self.assertTrue(reply.startswith(b"HTTP/1.1 503"), reply)
            for part in (b"Retry-After: ", b"Connection: close", b'"code":"overloaded"',
                         b"more than 4 connections"):
                self.assertIn(part, reply)
        for s in [self.server.connect() for _ in range(40)]: # more than there are to be told
            self.assertEqual(rest(s), b"")
            s.close()
        for s in idle: # which have been there all the time
            s.sendall(self.head("GET", "/health"))
            self.assertIn(b"200 OK", s.recv(4096))
        idle.pop().close()
        self.until(lambda: self.get("/health").status == 200, "no place becomes free")
        for s in idle:
            s.close()

    def test_thousands(self):
        """Connections that say nothing cost little, and nobody waits for them."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        n = min(4000, hard - 200)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, n + 100), hard))
        server = Server(HEARTH, "--head-timeout", "1")
        try:
            rss = server.rss()
            idle = [server.connect() for _ in range(n)]
            self.until(lambda: server.n_files() > n, "connections are not taken")
            for s in idle[::100]: # the oldest as well as the newest
                s.sendall(self.head("GET", "/health", host=f"127.0.0.1:{server.port}"))
                self.assertIn(b"200 OK", s.recv(4096))
            self.assertLess(server.rss() - rss, n * 8192 * (1 if PATIENCE == 1 else 4))
            body = {"prompt": "The light", "max_tokens": 8, "seed": 1}
            texts = [self.ok("/v1/completions", body, server=x)["choices"][0]["text"]
                     for x in (server, server)]
            self.assertEqual(texts[0], texts[1])
            for s in idle[50::1000]: # all have their turn, also with deadlines
                s.sendall(b"GET /health HT")
            for s in idle[60::1000]: # and so have those that go away within a head
                s.sendall(b"GET /health HT")
                s.shutdown(socket.SHUT_WR)
            for s in idle[50::1000]:
                s.settimeout(20 * PATIENCE)
                self.assertTrue(rest(s).startswith(b"HTTP/1.1 408"))
            for s in idle[60::1000]:
                s.settimeout(20 * PATIENCE)
                self.assertIn(rest(s)[:12], (b"", b"HTTP/1.1 408", b"HTTP/1.1 400"))
            for s in idle:
                s.close()
            self.until(lambda: server.n_files() < 100, "connections are not given back")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            self.assertEqual(server.stop(), 0, server.text())

    def test_149_descriptors(self):
        server = Server(HEARTH, preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE,
                                                                   (100, 100)))
        try:
            idle = [server.connect() for _ in range(150)]
            before = cpu_seconds(server.process.pid)
            time.sleep(1)
            self.assertLess(cpu_seconds(server.process.pid) - before, 0.5 * PATIENCE)
            for s in idle:
                s.close()
            self.until(lambda: self.get("/health", server=server).status == 200, "no answer")
        finally:
            self.assertEqual(server.stop(), 0, server.text())


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Ending(Case):
    """Servers of their own, which are told to stop."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.model = long_context(STORIES, cls.folder.name)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def begin(self, server, **fields):
        body = json.dumps(dict(LONG, stream=True, **fields)).encode()
        s = server.connect()
        s.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: "
                  b"application/json\r\nContent-Length: %d\r\n\r\n" % (server.port, len(body)) + body)
        s.recv(1)
        return s

    @staticmethod
    def takes(server):
        try:
            server.connect().close()
        except OSError:
            return False
        return True

    def test_153_idle(self):
        for sign in (signal.SIGTERM, signal.SIGINT):
            server = Server(self.model, "-c", "1000", "--drain", "3000")
            idle = server.connect()
            self.assertEqual(server.stop(sign), 0, server.text())
            idle.close()

    def test_153_on_its_way(self):
        """Who has connected and asked when the server is told to stop is answered, not cut off."""
        server = Server(self.model, "-c", "1000", "--drain", "3000")
        body = b'{"prompt": "A", "max_tokens": 1}'
        request = (b"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: "
                   b"application/json\r\nContent-Length: %d\r\n\r\n" % (server.port, len(body)) + body)
        sockets = [server.connect() for _ in range(2)]
        server.process.send_signal(signal.SIGSTOP)
        sockets += [server.connect() for _ in range(40)] # in the system's queue
        for s in sockets:
            s.sendall(request)
        server.process.send_signal(signal.SIGTERM)
        server.process.send_signal(signal.SIGCONT)
        replies = [rest(s) for s in sockets]
        for s in sockets:
            s.close()
        self.assertEqual(server.process.wait(WAIT), 0)
        server.process.stdout.close()
        for reply in replies:
            self.assertIn(reply[:12], (b"HTTP/1.1 200", b"HTTP/1.1 503"))

    def test_153_running_ends(self):
        server = Server(self.model, "-c", "1000", "--drain", "3000")
        s = self.begin(server, max_tokens=60)
        self.assertEqual(server.stop(), 0, server.text())
        self.assertTrue(rest(s).endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n"))

    def test_153_running_is_cut(self):
        server = Server(self.model, "-c", "60000", "--parallel", "1", "--drain", "1")
        s = self.begin(server)
        out = []
        reader = threading.Thread(target=lambda: out.append(rest(s)))
        reader.start()
        server.process.send_signal(signal.SIGTERM)
        self.until(lambda: not self.takes(server), "the port is not closed")
        self.assertEqual(server.stop(), 0, server.text())
        reader.join()
        s.close()
        self.assertIn(b'"code":"overloaded"}}\n\ndata: [DONE]\n\n', out[0][-400:])

    def test_153_whole_reply_is_cut(self):
        """Who waits for a reply in one piece gets an error like any other."""
        server = Server(self.model, "-c", "60000", "--parallel", "1", "--drain", "1")
        with ThreadPoolExecutor(1) as pool:
            reply = pool.submit(self.post, "/v1/completions", LONG, server=server)
            self.until(lambda: self.metric("slm_requests_running", server=server) == 1,
                       "it does not run")
            self.assertEqual(server.stop(), 0, server.text())
            self.refused(reply.result(), 503, None, "overloaded")
            self.assertIn("retry-after", reply.result().headers)

    def test_153_twice(self):
        server = Server(self.model, "-c", "60000", "--parallel", "1", "--drain", "3000")
        s = self.begin(server)
        out = []
        reader = threading.Thread(target=lambda: out.append(rest(s)))
        reader.start()
        server.process.send_signal(signal.SIGTERM)
        self.until(lambda: not self.takes(server), "the port is not closed")
        self.assertIsNone(server.process.poll())
        self.assertEqual(server.stop(signal.SIGINT), 0, server.text())
        reader.join()
        s.close()
        self.assertIn(b'"code":"overloaded"}}\n\ndata: [DONE]\n\n', out[0][-400:])

    def test_request_timeout(self):
        server = Server(self.model, "-c", "60000", "--parallel", "1", "--request-timeout", "1")
        try:
            s = self.begin(server)
            out = self.rest_until(s, b"data: [DONE]")
            self.assertIn(b'"code":"timeout"}}\n\ndata: [DONE]', out)
            s.close()
            reply = self.post("/v1/completions", LONG, server=server)
            self.refused(reply, 504, None, "timeout")
        finally:
            self.assertEqual(server.stop(), 0, server.text())

    def rest_until(self, s, word):
        out = b""
        s.settimeout(WAIT)
        while word not in out:
            piece = s.recv(65536)
            self.assertTrue(piece, out[-300:])
            out += piece
        return out


if __name__ == "__main__":
    main(needs_data=True)
