"""Threads that the system refuses: fewer are used, with a warning and the same text. OpenMP would
end the program."""

import os
import resource
import subprocess

from cli_case import ROOT, SLM, Case, main

HEARTH = ROOT / "examples/models/hearth.gguf"
ASK = ["run", str(HEARTH), "--temp", "0", "-n", "12", "Set a timer for ten minutes"]


def limited(kind, value, *args):
    """Runs the program under a limit."""
    return subprocess.run([SLM, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=120, check=False,
                          preexec_fn=lambda: resource.setrlimit(kind, (value, value)))


class Threads(Case):
    def test_address_space(self):
        # a sanitizer's shadow needs far more than any limit of use
        if os.environ.get("SLM_SANITIZE") or "qemu" in SLM or SLM.endswith("-emulated"):
            self.skipTest("the limit would hit the tool")
        want = limited(resource.RLIMIT_CORE, 0, *ASK, "-t", "1").stdout
        warned = 0
        for kilobytes in (60000, 100000, 150000, 300000, 600000):
            r = limited(resource.RLIMIT_AS, kilobytes * 1024, *ASK, "-t", "64")
            self.assertEqual((r.returncode, r.stdout), (0, want), r)
            self.assertNotIn(b"libgomp", r.stderr)
            warned += b"of the 64 threads asked for" in r.stderr
        self.assertGreater(warned, 0)


if __name__ == "__main__":
    main()
