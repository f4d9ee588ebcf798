"""The client that makes load, and a short form of the soak: answers and memory under disconnects."""

import csv
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from serve_case import HEARTH, PATIENCE, ROOT, SLM, Case, main

BUILD = Path(SLM).resolve().parents[1]
LOAD = BUILD / "bin/slm_load"


class Load(Case):
    OPTIONS = ("--parallel", "4", "--queue", "2")

    def load(self, *options):
        p = subprocess.run([LOAD, f"127.0.0.1:{self.server.port}", *options],
                           stdout=subprocess.PIPE, timeout=120 * PATIENCE, check=True)
        return [json.loads(line) for line in p.stdout.splitlines()]

    def test_levels(self):
        """What the client counts is what the server counts."""
        name = "slm_generated_tokens_total"
        before = self.metric(name)
        one, four = self.load("--streams", "1,4", "--requests", "2", "--tokens", "8", "--check")
        self.assertEqual((one["streams"], four["streams"]), (1, 4))
        self.assertEqual((one["requests"], four["requests"]), (2, 8))
        self.assertEqual([r["different"] + r["failed"] + r["refused"] for r in (one, four)], [0, 0])
        alone = self.metric(name) - before - one["tokens"] - four["tokens"]
        self.assertTrue(8 <= alone <= 64, alone) # of the eight answers to compare with
        for r in (one, four):
            for times in (r["first_token_ms"], r["between_tokens_ms"]):
                self.assertEqual(times, sorted(times))
            self.assertGreater(r["first_token_ms"][0], 0)

    def test_refused(self):
        """More than there is room for: those that are refused are told so, the others are right."""
        (r,) = self.load("--streams", "24", "--requests", "4", "--tokens", "24", "--check")
        self.assertEqual(r["requests"] + r["refused"], 96)
        self.assertGreater(r["refused"], 0)
        self.assertEqual((r["failed"], r["different"]), (0, 0))

    def test_newcomers(self):
        """Beside streams of which no two begin alike, short requests come and are timed apart."""
        for seconds in ("2", "8", "30"): # as long as it takes where this machine is slow
            reused = self.metric("slm_reused_tokens_total")
            (r,) = self.load("--streams", "2", "--seconds", seconds, "--tokens", "8", "--distinct",
                             "--arrive", "0.1")
            self.assertEqual((r["failed"], r["refused"], r["different"]), (0, 0, 0))
            if r["requests"] > 3 and r["arriving_first_token_ms"][0] > 0:
                break
        self.assertGreater(r["arriving_first_token_ms"][0], 0)
        self.assertGreater(r["requests"], 3)
        # nothing but the text before the number is alike
        self.assertLess(self.metric("slm_reused_tokens_total") - reused, 8 * r["requests"])

    def test_peers(self):
        """The script that holds servers against each other, with one server."""
        with tempfile.TemporaryDirectory() as folder:
            for arrive, wanted in ((), 14), (("--arrive", "0.2"), 6):
                file = Path(folder) / f"{wanted}.csv"
                subprocess.run([sys.executable, "-B", ROOT / "bench/load/peers.py", HEARTH, "--slm",
                                SLM, "--load", LOAD, "--streams", "2,3", "--rounds", "2",
                                "--seconds", "1", "--threads", "1", "--csv", file, *arrive],
                               check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                with open(file, newline="", encoding="utf-8") as source:
                    rows = list(csv.DictReader(source))
                self.assertEqual(len(rows), wanted, rows)
                self.assertTrue(all(float(r["min"]) <= float(r["median"]) <= float(r["max"])
                                    for r in rows), rows)
                self.assertEqual({r["rounds"] for r in rows}, {"2"})

    def test_usage(self):
        for options in (("127.0.0.1:1", "--check", "--distinct"), ("127.0.0.1:1", "--arrive", "1"),
                        (), ("x",), ("127.0.0.1:0",), ("127.0.0.1:1", "--streams", "0"),
                        ("127.0.0.1:1", "--drop", "2"), ("127.0.0.1:1", "--tokens")):
            p = subprocess.run([LOAD, *options], stderr=subprocess.PIPE, check=False)
            self.assertEqual(p.returncode, 2, p.stderr)


class Soak(unittest.TestCase):
    def test_short(self):
        # What is freed is given back at once, so that memory can be compared under a sanitizer, too.
        env = os.environ | {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") +
                            ":quarantine_size_mb=2"}
        p = subprocess.run([sys.executable, "-B", ROOT / "bench/load/soak.py", BUILD, "--seconds",
                            os.environ.get("SLM_SOAK_SECONDS") or "12"], stdout=subprocess.PIPE,
                           check=False, env=env)
        self.assertEqual(p.returncode, 0, p.stdout)


if __name__ == "__main__":
    main()
