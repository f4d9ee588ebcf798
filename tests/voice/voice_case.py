"""What the tests of the voice loop share: speech by espeak-ng, sound files, running the program."""

import array
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import wave
from pathlib import Path

ROOT = Path(os.environ.get("SLM_SOURCE_DIR") or Path(__file__).resolve().parents[2])
LOOP = os.environ.get("VOICE_LOOP") or str(ROOT / "build/release/bin/voice_loop")
SKIP = 77
OUT_RATE = 16000

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

TIMES = ["speech_start_ms", "speech_end_ms", "vad_end_ms", "asr_ms", "first_token_ms",
         "first_audio_ms", "last_audio_ms"]


def say(text, voice="en-us", rate=22050, speed=160):
    """What espeak-ng says, as samples at a rate."""
    data = subprocess.run(["espeak-ng", "-v", voice, "-s", str(speed), "--stdout", text],
                          stdout=subprocess.PIPE, check=True).stdout
    own, = struct.unpack_from("<I", data, 24)
    samples = array.array("h", data[44:len(data) // 2 * 2])
    n = len(samples) * rate // own
    # Between two samples a straight line: enough for speech.
    out, last = [], len(samples) - 1
    for i in range(n):
        whole, part = divmod(i * own / rate, 1)
        whole = int(whole)
        out.append(int(samples[whole] * (1 - part) + samples[min(whole + 1, last)] * part))
    return out


def mix(parts, seconds, rate=22050, noise=0, seed=1):
    """Parts are (at which second, samples); noise is the deviation of white noise."""
    source = random.Random(seed)
    out = [source.gauss(0, noise) if noise else 0 for _ in range(int(seconds * rate))]
    for at, samples in parts:
        begin = int(at * rate)
        for i, x in enumerate(samples[:max(0, len(out) - begin)]):
            out[begin + i] += x
    return [max(-32768, min(32767, int(x))) for x in out]


def write_wav(path, samples, rate=22050, channels=1):
    with wave.open(str(path), "wb") as w:
        w.setnchannels(channels)
        w.setsampwidth(2)
        w.setframerate(rate)
        frames = array.array("h", [x for s in samples for x in [s] + [0] * (channels - 1)])
        w.writeframes(frames.tobytes())
    return path


def read_wav(path):
    with wave.open(str(path), "rb") as w:
        assert (w.getnchannels(), w.getsampwidth()) == (1, 2)
        return w.getframerate(), array.array("h", w.readframes(w.getnframes()))


class Result:
    def __init__(self, process):
        self.status, self.out = process.returncode, process.stdout.decode()
        self.err = process.stderr.decode()

    def __repr__(self):
        return f"status {self.status}, output {self.out[:2000]!r}, errors {self.err[:600]!r}"

    @property
    def turns(self):
        return [json.loads(line) for line in self.out.splitlines()]


def loop(*args, timeout=120, **kwargs):
    return Result(subprocess.run([LOOP, *map(str, args)], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
                                 check=False, **kwargs))


def without_measured(turns):
    return [{k: v for k, v in t.items() if k != "measured"} for t in turns]


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="slm-voice-")
        self.addCleanup(folder.cleanup)
        self.dir = Path(folder.name)

    def hear(self, samples, *args, rate=22050, said="|", **kwargs):
        """Runs the loop over samples with a recogniser that hears what is given in `said`."""
        wav = write_wav(self.dir / "in.wav", samples, rate)
        return loop("--wav-in", wav, "--wav-out", self.dir / "out.wav", "--virtual-clock",
                    "--recognizer", "fake", "--recognizer-address", said, *args, **kwargs)

    def done(self, result, turns=None):
        """It ended well, and the ledger is in order."""
        self.assertEqual(result.status, 0, result)
        if turns is not None:
            self.assertEqual(len(result.turns), turns, result)
        for number, turn in enumerate(result.turns, 1):
            self.in_order(number, turn)
        return result.turns

    def in_order(self, number, turn):
        self.assertEqual(turn["turn"], number, turn)
        times = [turn[name] for name in TIMES if turn[name] is not None]
        self.assertEqual(times, sorted(times), turn)
        self.assertTrue(turn["answer"].startswith(turn["spoken"]), turn)
        if turn["first_audio_ms"] is not None:
            self.assertEqual(turn["total_ms"], turn["first_audio_ms"] - turn["speech_end_ms"], turn)
        if not turn["interrupted"]:
            self.assertIsNone(turn["barge_in_ms"], turn)
            self.assertIsNone(turn["silent_ms"], turn)
        for name in "asr", "first_token", "first_audio":
            self.assertGreaterEqual(turn["measured"][name], 0, turn)

    def out(self):
        """What was played: in milliseconds, whether anything was."""
        rate, samples = read_wav(self.dir / "out.wav")
        self.assertEqual(rate, OUT_RATE)
        return [any(samples[i:i + rate // 1000]) for i in range(0, len(samples), rate // 1000)]

    def fails(self, result, status, *words):
        self.assertEqual(result.status, status, result)
        self.assertEqual(result.out, "", result)
        lines = [x for x in result.err.splitlines() if not x.startswith("voice_loop: warning: ")]
        self.assertEqual(len(lines), 1, result)
        self.assertTrue(lines[0].startswith("voice_loop: "), result)
        for word in words:
            self.assertIn(word, lines[0], result)


def main():
    """Runs the tests of the module; without espeak-ng to speak it is skipped, and says so."""
    if not shutil.which("espeak-ng"):
        print("espeak-ng is not installed: nothing was tested")
        sys.exit(1 if os.environ.get("CI") == "true" else SKIP)
    unittest.main()
