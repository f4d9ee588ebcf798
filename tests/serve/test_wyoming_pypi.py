"""slm-wyoming against the client of the wyoming package, over TCP and a socket of the system."""

import subprocess
import tempfile
import unittest
from pathlib import Path

import pypi
from serve_case import PATIENCE
from wyoming_case import TOOLS, Server, main


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.python = pypi.need("wyoming-venv", ("wyoming",))

    def check(self, plain, tools):
        for server in (plain, tools):
            self.addCleanup(server.close)
        script = Path(__file__).parent / "client_wyoming.py"
        done = subprocess.run([str(self.python), "-B", str(script), plain.uri, tools.uri],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=120 * PATIENCE, check=False)
        self.assertEqual(done.returncode, 0, done.stdout.decode(errors="replace")[-4000:])

    def test_tcp(self):
        self.check(Server(), Server("--tools", TOOLS))

    def test_unix(self):
        with tempfile.TemporaryDirectory() as folder:
            self.check(Server(uri=f"unix://{folder}/plain"),
                       Server("--tools", TOOLS, uri=f"unix://{folder}/tools"))


if __name__ == "__main__":
    main()
