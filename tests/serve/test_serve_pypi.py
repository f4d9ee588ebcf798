"""Clients from PyPI as they are, and curl."""

import os
import shutil
import subprocess
import unittest
from pathlib import Path

import pypi
from serve_case import HEARTH, PATIENCE, Server, main

PACKAGES = ("openai", "langchain-openai", "llama-index-llms-openai-like",
            "llama-index-embeddings-openai-like")


class Clients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        given = os.environ.get("SLM_SERVE_VENV")
        cls.python = Path(given) / "bin/python" if given else pypi.need("serve-venv", PACKAGES)
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
