"""Clients from PyPI as they are, and curl. They are installed once, into a folder of the build."""

import hashlib
import os
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

from serve_case import HEARTH, PATIENCE, ROOT, SKIP, Server, main

PACKAGES = ("openai", "langchain-openai", "llama-index-llms-openai-like",
            "llama-index-embeddings-openai-like")
FOLDER = Path(os.environ.get("SLM_BINARY_DIR") or ROOT / "build/release") / "serve-venv"


def install():
    """The interpreter of a virtual environment with the packages; None: there is no network."""
    given = os.environ.get("SLM_SERVE_VENV")
    folder = Path(given) if given else FOLDER
    python, stamp = folder / "bin/python", folder / "installed"
    wanted = hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()
    if given or (stamp.exists() and stamp.read_text() == wanted):
        return python
    shutil.rmtree(folder, ignore_errors=True)
    for command in ([sys.executable, "-m", "venv", folder],
                    [python, "-m", "pip", "install", "-q", *PACKAGES]):
        done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=270, check=False)
        if done.returncode != 0:
            print(done.stdout.decode(errors="replace")[-2000:], file=sys.stderr)
            return None
    stamp.write_text(wanted)
    return python


class Clients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.python = install()
        if cls.python is None:
            print("the packages of PyPI could not be installed", file=sys.stderr)
            sys.exit(1 if os.environ.get("CI") == "true" else SKIP)
        cls.server = Server(HEARTH)
        cls.url = f"http://127.0.0.1:{cls.server.port}/v1"

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0, cls.server.text()

    def script(self, name):
        env = dict(os.environ, OPENAI_API_KEY="none", NO_PROXY="127.0.0.1", TIKTOKEN_CACHE_DIR="",
                   LANGCHAIN_TRACING_V2="false")
        done = subprocess.run([str(self.python), "-B", str(Path(__file__).parent / name), self.url],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env,
                              timeout=120 * PATIENCE, check=False)
        self.assertEqual(done.returncode, 0, done.stdout.decode(errors="replace")[-4000:])

    def test_openai(self):
        self.script("client_openai.py")

    def test_langchain(self):
        self.script("client_langchain.py")

    def test_llama_index(self):
        self.script("client_llama_index.py")

    def test_curl(self):
        curl = shutil.which("curl")
        if not curl:
            self.skipTest("there is no curl")
        done = subprocess.run([curl, "-sSN", self.url + "/chat/completions", "-H",
                               "Content-Type: application/json", "-d",
                               '{"messages": [{"role": "user", "content": "Hi"}], "stream": true}'],
                              stdout=subprocess.PIPE, check=True, timeout=60 * PATIENCE)
        self.assertTrue(done.stdout.startswith(b"data: {"))
        self.assertTrue(done.stdout.endswith(b"data: [DONE]\n\n"))


if __name__ == "__main__":
    main()
