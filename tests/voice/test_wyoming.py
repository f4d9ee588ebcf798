"""The loop with engines that are servers of the wyoming package, over TCP and as programs."""

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "serve"))
import pypi  # noqa: E402
from voice_case import OUT_RATE, Case, loop, main, mix, read_wav, say, write_wav  # noqa: E402

SCRIPT = Path(__file__).parent / "wyoming_engines.py"
HEARD = "turn on the lamp in the kitchen|what can you do"
WAIT = "--recognizer-timeout", "60000", "--speaker-timeout", "60000"  # an interpreter starts slowly


class Wyoming(Case):
    @classmethod
    def setUpClass(cls):
        cls.python = pypi.need("wyoming-venv", ("wyoming",))

    def setUp(self):
        super().setUp()
        parts = [(0.5, say("Turn on the lamp in the kitchen.")), (6, say("What can you do?"))]
        self.wav = write_wav(self.dir / "in.wav", mix(parts, 10))

    def command(self, kind, uri, *texts):
        return [str(self.python), "-B", str(SCRIPT), kind, uri, *texts]

    def serve(self, kind, *texts):
        """Its address."""
        server = subprocess.Popen(self.command(kind, "tcp://127.0.0.1:0", *texts),
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        return f"127.0.0.1:{int(server.stdout.readline())}"

    def check(self, *engines):
        result = loop("--wav-in", self.wav, "--wav-out", self.dir / "out.wav", "--virtual-clock",
                      "--language", "en", "--voice", "tone", "--no-tools", *WAIT, *engines)
        turns = self.done(result, 2)
        self.assertEqual(result.err, "")
        self.assertEqual([t["transcript"] for t in turns], HEARD.split("|"))
        for turn in turns:  # it was asked in the pause, and nobody waited for it afterwards
            self.assertEqual(turn["asr_ms"] - turn["vad_end_ms"], 0)
            self.assertLessEqual(turn["begun_ms"], turn["vad_end_ms"])
        words = sum(len(t["spoken"].split()) for t in turns)
        for turn in turns:
            self.assertEqual(turn["spoken"], turn["answer"])
            self.assertTrue(turn["spoken"] and not turn["interrupted"])
        rate, samples = read_wav(self.dir / "out.wav")
        self.assertEqual(rate, OUT_RATE)
        loud = sum(max(map(abs, samples[i:i + 160])) > 4000
                   for i in range(0, len(samples) - 160, 160))
        self.assertAlmostEqual(loud / 100, words / 10, delta=0.1 * words / 10)

    def test_servers(self):
        self.check("--recognizer", "wyoming", "--recognizer-address", self.serve("asr", HEARD),
                   "--speaker", "wyoming", "--speaker-address", self.serve("tts"))

    def test_programs(self):
        """A command is divided at its blanks: the texts go into a script."""
        script = self.dir / "asr"
        script.write_text("#!/bin/sh\nexec '{}' -B '{}' asr stdio:// '{}'\n".format(
            self.python, SCRIPT, HEARD))
        os.chmod(script, 0o755)
        self.check("--recognizer", "program", "--recognizer-command", script,
                   "--speaker", "program",
                   "--speaker-command", " ".join(self.command("tts", "stdio://")))


if __name__ == "__main__":
    main()
