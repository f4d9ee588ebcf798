"""Several servers behind HAProxy, by the configuration in docs/SERVING.md: health checks, draining,
affinity by the beginning of a prompt, and a server that is killed. On loopback addresses, and, where the
system allows it, each in a network namespace of its own, as on machines of their own."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from serve_case import (HEARTH, ROOT, SKIP, SLM, STORIES, WAIT, Case, Server, in_threads,
                        long_context, main, rest)

HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
LOAD = Path(SLM).resolve().parent / "slm_load"
LONG = {"prompt": "Once upon a time", "max_tokens": 100000, "temperature": 0, "stream": True}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def configuration(port, servers, command_socket=None):
    """That of the documentation, with other addresses, and a socket for questions to the proxy."""
    text = (ROOT / "docs/SERVING.md").read_text(encoding="utf-8")
    text = re.search(r"```haproxy\n(.*?)```", text, re.DOTALL).group(1)
    lines = "".join(f"    server r{i} {s} check\n" for i, s in enumerate(servers))
    text, n_binds = re.subn(r"bind \S+", f"bind 127.0.0.1:{port}", text)
    text, n_servers = re.subn(r"(    server \S+ \S+ check\n)+", lines, text)
    assert (n_binds, n_servers) == (1, 1), text
    if command_socket:
        text = text.replace("global\n", f"global\n    stats socket {command_socket}\n", 1)
    return text.replace("slm.example.org", f"127.0.0.1:{port}")


class Replica(Server):
    """On an address of its own: of loopback, or that of a namespace."""

    def __init__(self, i, model, proxy_port, *options, space=None):
        address = space.address if space else f"127.0.0.{2 + i}"
        super().__init__(model, "--host", address, "--allow-host", f"127.0.0.1:{proxy_port}",
                         *options, prefix=space.prefix if space else ())
        self.host = address


class Namespace:
    """A network namespace that one cable joins to this one."""

    def __init__(self, i):
        pid = os.getpid()
        self.name, net = f"slm{pid}x{i}", f"198.18.{pid % 254}"
        self.address = f"{net}.{4 * i + 2}"
        self.prefix = ("ip", "netns", "exec", self.name)
        self.ip("netns", "add", self.name)
        try:
            self.ip("link", "add", self.name, "type", "veth", "peer", "name", "eth0", "netns",
                    self.name)
            self.ip("address", "add", f"{net}.{4 * i + 1}/30", "dev", self.name)
            self.ip("link", "set", self.name, "up")
            self.ip("-n", self.name, "address", "add", f"{self.address}/30", "dev", "eth0")
            for device in ("lo", "eth0"):
                self.ip("-n", self.name, "link", "set", device, "up")
        except OSError:
            self.close()
            raise

    @staticmethod
    def ip(*words):
        p = subprocess.run(["ip", *words], stderr=subprocess.PIPE, check=False)
        if p.returncode != 0:
            raise OSError(f"ip {' '.join(words)}: {p.stderr.decode().strip()}")

    def pull_cable(self):
        self.ip("link", "set", self.name, "down")

    def plug_in_cable(self):
        self.ip("link", "set", self.name, "up")

    def close(self):
        self.ip("netns", "delete", self.name) # and with it the cable


class Replicas(Case):
    OPTIONS = ("-c", "40000", "--parallel", "2", "--drain", "3000", "--cells", "90000")
    SPACES = (None, None)

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.port, cls.host = free_port(), "127.0.0.1"
        cls.MODEL = long_context(STORIES, cls.folder.name)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def setUp(self):
        self.replicas = [self.replica(i) for i in range(2)]
        self.server = self # requests go to the proxy
        file = Path(self.folder.name) / "haproxy.cfg"
        self.command_socket = Path(self.folder.name) / "haproxy.sock"
        file.write_text(configuration(self.port, [f"{r.host}:{r.port}" for r in self.replicas],
                                      self.command_socket))
        subprocess.run([HAPROXY, "-c", "-f", str(file)], stdout=subprocess.DEVNULL, check=True)
        self.log = tempfile.TemporaryFile()
        self.proxy = subprocess.Popen([HAPROXY, "-db", "-f", str(file)], stderr=self.log)
        self.until(lambda: self.status() == 200, "the proxy does not answer")

    def tearDown(self):
        self.proxy.kill()
        self.proxy.wait()
        self.log.close()
        for r in self.replicas:
            if r.process.poll() is None:
                r.process.kill()
            r.process.wait()
            r.process.stdout.close()

    def replica(self, i, *options):
        return Replica(i, self.MODEL, self.port, *self.OPTIONS, *options, space=self.SPACES[i])

    def connect(self):
        return socket.create_connection((self.host, self.port), WAIT)

    def status(self):
        try:
            return self.get("/health").status
        except OSError:
            return 0

    def running(self, i):
        return self.metric("slm_requests_running", server=self.replicas[i])

    def served(self, i):
        return self.metric("slm_prompt_tokens_total", server=self.replicas[i])

    def proxy_is_idle(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(WAIT)
            s.connect(str(self.command_socket))
            s.sendall(b"show sess\n")
            return b" fe=slm " not in rest(s)

    def begin(self, i):
        """A stream that replica i serves."""
        for n in range(40):
            body = json.dumps(dict(LONG, prompt=f"Tale {n}. Once upon a time")).encode()
            s = self.connect()
            before = self.running(i)
            s.sendall(self.head("POST", "/v1/completions", "Content-Type: application/json",
                                f"Content-Length: {len(body)}") + body)
            s.recv(1)
            if self.running(i) > before:
                return s
            s.close()
            self.until(lambda: self.running(1 - i) == 0, "the answer goes on")
        raise AssertionError(f"no prompt goes to replica {i}")

    def ask(self, prompt, **fields):
        return self.ok("/v1/completions", dict({"prompt": prompt, "max_tokens": 4,
                                                "temperature": 0}, **fields))

    def test_affinity(self):
        """What begins alike goes to the same replica, which has the beginning; others are spread."""
        def ask(prompt):
            # A request that the proxy still counts, answered or not, may send the next one elsewhere
            # (hash-balance-factor).
            self.until(self.proxy_is_idle, "the proxy keeps a request that is answered")
            return self.ask(prompt)

        with self.begin(0):
            self.assertFalse(self.proxy_is_idle())
        beginnings = [f"Story number {i}. " + "There was a cat and a dog. " * 40 for i in range(12)]
        for b in beginnings:
            ask(b + "They")
        spread = [self.served(i) for i in range(2)]
        self.assertTrue(all(spread), spread)
        used = []
        for b in beginnings[-2:]:
            before = [self.served(i) for i in range(2)]
            u = ask(b + "The cat")["usage"]
            self.assertGreater(u["prompt_tokens_details"]["cached_tokens"],
                               u["prompt_tokens"] // 2)
            used.append([self.served(i) > before[i] for i in range(2)])
        self.assertTrue(all(sum(u) == 1 for u in used), used)

    def test_equal_results(self):
        texts = in_threads(8, lambda i: self.ask(f"The {i}", max_tokens=8)["choices"][0]["text"])
        alone = [self.ok("/v1/completions", {"prompt": f"The {i}", "max_tokens": 8,
                                             "temperature": 0}, server=self.replicas[0])
                 ["choices"][0]["text"] for i in range(8)]
        self.assertEqual(texts, alone)

    def test_killed(self):
        """Only the streams of the one that is killed end; who asks again is answered."""
        streams = [self.begin(0), self.begin(1)]
        self.replicas[0].process.kill()
        self.replicas[0].process.wait()
        self.assertNotIn(b"[DONE]", rest(streams[0]))
        for i in range(12):
            self.ask(f"Try {i}") # the proxy asks the other one where the first is gone
        self.assertEqual(self.running(1), 1)
        self.assertTrue(streams[1].recv(4096))
        for s in streams:
            s.close()

    def test_draining(self):
        """One that is told to stop ends its streams, and nobody notices."""
        s = self.connect()
        body = json.dumps(dict(LONG, max_tokens=600)).encode()
        s.sendall(self.head("POST", "/v1/completions", "Content-Type: application/json",
                            "Connection: close", f"Content-Length: {len(body)}") + body)
        s.recv(1)
        i = 0 if self.running(0) else 1
        self.replicas[i].process.send_signal(signal.SIGTERM)
        for n in range(12):
            self.ask(f"Go {n}")
        self.assertIn(b"data: [DONE]", rest(s))
        self.assertEqual(self.replicas[i].process.wait(WAIT), 0)
        self.assertEqual(self.status(), 200)
        s.close()

    def test_comes_back(self):
        self.replicas[0].process.kill()
        self.replicas[0].process.wait()
        self.replicas[1].process.kill()
        self.replicas[1].process.wait()
        self.until(lambda: self.status() == 503, "the proxy does not see that nobody is there")
        port = self.replicas[1].port
        again = self.replica(1, "--port", port)
        self.replicas.append(again)
        self.until(lambda: self.status() == 200, "the proxy does not see that one is there")
        self.ask("Once")


class Apart(Replicas):
    """The same in network namespaces: replicas on addresses that other machines reach, with keys, and with
    cables that can be pulled."""

    KEY = "Bearer a-key-of-this-test"

    @classmethod
    def setUpClass(cls):
        cls.SPACES = []
        try:
            for i in range(2):
                cls.SPACES.append(Namespace(i))
        except OSError as error:
            for space in cls.SPACES:
                space.close()
            raise unittest.SkipTest(f"no network namespaces here: {error}") from None
        super().setUpClass()
        keys = Path(cls.folder.name) / "keys"
        keys.write_text(cls.KEY.split()[1] + "\n", encoding="ascii")
        keys.chmod(0o600)
        cls.OPTIONS = (*Replicas.OPTIONS, "--api-key-file", keys)

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        for space in cls.SPACES:
            space.close()

    def http(self, method, path, body=None, headers=None, server=None):
        return super().http(method, path, body, dict(headers or {}, Authorization=self.KEY), server)

    def head(self, method, path, *lines, host=None):
        return super().head(method, path, f"Authorization: {self.KEY}", *lines, host=host)

    def test_unreachable(self):
        """A replica whose cable is pulled says nothing at all: the other one answers, and the streams
        there go on; once it is back, it is asked again."""
        stream = self.begin(1)
        self.SPACES[0].pull_cable()
        try:
            for i in range(12):
                self.ask(f"Try {i}")
            self.assertTrue(stream.recv(4096))
        finally:
            self.SPACES[0].plug_in_cable()
        stream.close()
        before = self.served(0)

        def is_asked():
            for i in range(8):
                self.ask(f"Again {i}")
            return self.served(0) > before

        self.until(is_asked, "the replica is not asked again")


class Throughput(Case):
    """Two replicas with a core each, beside cores for the proxy and the client. A measurement: it wants a
    machine that does nothing else, and somebody who says that it is one."""

    @classmethod
    def setUpClass(cls):
        cls.server = None

    @classmethod
    def tearDownClass(cls):
        pass

    def test_two_against_one(self):
        if not os.environ.get("SLM_MEASURE"):
            self.skipTest("nobody said that this machine is quiet (SLM_MEASURE=1)")
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 4 or os.environ.get("SLM_SANITIZE"):
            self.skipTest(f"{len(cores)} cores: wanted 2 for replicas and 2 for proxy and client")
        rates = [self.rate(n, cores) for n in (1, 2)]
        self.assertGreater(rates[1] / rates[0], 1.7, rates)

    def rate(self, n, cores):
        port = free_port()
        replicas = [Replica(i, HEARTH, port, "--parallel", "8") for i in range(n)]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "haproxy.cfg"
            file.write_text(configuration(port, [f"{r.host}:{r.port}" for r in replicas]))
            proxy = subprocess.Popen([HAPROXY, "-db", "-f", str(file)])
            try:
                for p, core in [(r.process, cores[i]) for i, r in enumerate(replicas)] + [
                        (proxy, cores[2])]:
                    os.sched_setaffinity(p.pid, {core})
                time.sleep(2)
                out = subprocess.run(["taskset", "-c", str(cores[3]), LOAD, f"127.0.0.1:{port}",
                                      "--streams", "16", "--requests", "8"],
                                     stdout=subprocess.PIPE, check=True).stdout
                return json.loads(out)["tokens_per_second"]
            finally:
                proxy.kill()
                proxy.wait()
                for r in replicas:
                    r.stop()


if __name__ == "__main__":
    if not HAPROXY:
        print("no haproxy here: apt-get install haproxy", file=sys.stderr)
        sys.exit(1 if os.environ.get("CI") == "true" else SKIP)
    main(needs_data=True)
