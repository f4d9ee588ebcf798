"""Engines that mean harm, and a user who ends the program at the worst moment: memory stays small, what
was started is gone afterwards, and where there is a next thing said, it is answered."""

import os
import re
import resource
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

from voice_case import LOOP, Case, loop, main, mix, say, write_wav

MUCH = 1 << 30  # bytes of address space that more than suffice
HEADER = b"RIFF" + struct.pack("<I", 0xffffffff) + b"WAVEfmt "


def wav_header(fmt, data=b"data" + struct.pack("<I", 0xffffffff)):
    return HEADER + struct.pack("<I", 16) + struct.pack("<HHIIHH", *fmt) + data


PLAIN = wav_header((1, 1, 16000, 32000, 2, 16))
SOME = struct.pack("<h", 900) * 8000
VOICES = {
    "nothing": b"",
    "text": b"no sound today\n" * 10,
    "half a header": PLAIN[:30],
    "no sound": PLAIN,
    "half a sample": PLAIN + SOME[:-1],
    "no rate": wav_header((1, 1, 0, 0, 2, 16)) + SOME,
    "a rate beyond all": wav_header((1, 1, 0xffffffff, 0, 2, 16)) + SOME,
    "many channels": wav_header((1, 65535, 16000, 0, 2, 16)) + SOME,
    "floats": wav_header((3, 1, 16000, 0, 4, 32)) + SOME,
    "another chunk": wav_header((1, 1, 16000, 32000, 2, 16), b"LIST" + b"\xff" * 4) + SOME,
    "a chunk of formats that is too long": HEADER + b"\xff" * 4 + bytes(24) + SOME,
}


def small():
    """No more address space than is needed; under a sanitizer that cannot be told."""
    if "ASAN_OPTIONS" not in os.environ and "TSAN_OPTIONS" not in os.environ:
        resource.setrlimit(resource.RLIMIT_AS, (MUCH, MUCH))


class Hostile(Case):
    @classmethod
    def setUpClass(cls):
        cls.parts = [(0.4, say("Turn on the lamp in the kitchen.")), (9.0, say("What time is it?"))]

    def program(self, name, text):
        """An executable file."""
        path = self.dir / name
        path.write_text(f"#!{sys.executable}\n{text}", encoding="utf-8")
        path.chmod(0o755)
        return path

    def voice(self, text):
        """An environment whose espeak-ng is that program."""
        self.program("espeak-ng", text)
        return os.environ | {"PATH": f"{self.dir}:{os.environ['PATH']}"}

    def test_headers_of_a_voice(self):
        for name, data in VOICES.items():
            with self.subTest(voice=name):
                env = self.voice(f"import sys\nsys.stdin.buffer.read()\n"
                                 f"sys.stdout.buffer.write(bytes.fromhex('{data.hex()}'))\n")
                result = self.hear(mix(self.parts, 12), said="turn on the lamp|what time is it",
                                   env=env, preexec_fn=small)
                for turn in self.done(result, 2):
                    self.assertTrue(turn["answer"], turn)

    def test_a_voice_without_end(self):
        """What it says is cut off, and nothing grows with it."""
        env = self.voice("import sys\nsys.stdin.buffer.read()\n"
                         f"sys.stdout.buffer.write({PLAIN!r})\n"
                         f"while True:\n    sys.stdout.buffer.write({SOME!r})\n")
        wav = write_wav(self.dir / "in.wav", mix(self.parts, 12))
        result = loop("--wav-in", wav, "--virtual-clock", "--recognizer", "fake",
                      "--recognizer-address", "turn on the lamp|what time is it", env=env,
                      preexec_fn=small)
        one, two = self.done(result, 2)
        self.assertTrue(one["error"] or one["interrupted"], one)
        self.assertTrue(two["error"], two)
        self.assertIn("too long", result.err)

    def test_a_voice_that_dies_within_a_text(self):
        """That is told, and half a word is not kept for the next time."""
        env = self.voice(f"""import os, sys
text = sys.stdin.buffer.read()
with open({str(self.dir / 'said')!r}, "ab") as said:
    said.write(text + b"\\n")
sys.stdout.buffer.write({PLAIN!r} + {SOME!r})
sys.stdout.flush()
if text and not os.path.exists({str(self.dir / 'died')!r}):
    open({str(self.dir / 'died')!r}, "w").close()
    os.kill(os.getpid(), 9)
""")
        parts = [(at, say("Turn on the lamp in the kitchen.")) for at in (0.4, 9.0)]
        result = self.hear(mix(parts, 18), said="turn on the lamp|turn on the lamp", env=env,
                           preexec_fn=small)
        one, two = self.done(result, 2)
        self.assertTrue(one["error"], one)
        self.assertIn("signal 9", result.err)
        self.assertFalse(two["error"], two)
        said = (self.dir / "said").read_text(encoding="utf-8").split("\n")
        first = next(x for x in said if x)
        self.assertGreaterEqual(said.count(first), 2, said)

    def test_a_recogniser_that_prints_megabytes_on_one_line(self):
        for text in "sys.stdout.write('x' * 50_000_000)", \
                    "sys.stdout.write('{\"type\": \"transcript\", \"data\": {\"text\": \"' + 'a '"\
                    " * 9_000_000 + '\"}}\\n')", \
                    "sys.stdout.write('{\"type\": \"transcript\", \"payload_length\": 99999999999}\\n')", \
                    "sys.stdout.write('[' * 5000000 + '\\n')", \
                    "sys.stdout.write('\\n' * 5000000)":
            with self.subTest(text=text[:60]):
                engine = self.program("engine", f"import sys\nsys.stdin.buffer.readline()\n{text}\n")
                wav = write_wav(self.dir / "in.wav", mix(self.parts, 12))
                result = loop("--wav-in", wav, "--virtual-clock", "--recognizer", "program",
                              "--recognizer-command", engine, "--recognizer-timeout", 3000,
                              preexec_fn=small)
                one, two = self.done(result, 2)
                for turn in one, two:
                    self.assertIn("could not hear", " ".join(turn["also_said"]), turn)
                    self.assertTrue(turn["error"])
                self.assertLess(max(len(x) for x in result.err.splitlines()), 1000)

    def test_a_transcript_longer_than_anybody_speaks(self):
        words = "what time is it " * 200  # of a line that is not too long
        engine = self.program("engine", f"import sys, json\nfor line in sys.stdin.buffer:\n"
                              "    e = json.loads(line)\n"
                              "    sys.stdin.buffer.read(e.get('payload_length') or 0)\n"
                              "    if e['type'] == 'audio-stop':\n"
                              "        print(json.dumps({'type': 'transcript', 'data': {'text':"
                              f" '{words}'}}}}), flush=True)\n")
        wav = write_wav(self.dir / "in.wav", mix(self.parts, 12))
        result = loop("--wav-in", wav, "--virtual-clock", "--recognizer", "program",
                      "--recognizer-command", engine, preexec_fn=small)
        self.assertGreaterEqual(len(self.done(result)), 1, result)

    def test_no_devices(self):
        """A system without any sound."""
        env = {"PATH": os.environ["PATH"], "HOME": str(self.dir),
               "PULSE_SERVER": "unix:/dev/null", "XDG_RUNTIME_DIR": str(self.dir),
               "JACK_NO_START_SERVER": "1"}
        env |= {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}
        listed = loop("--list-devices", env=env)
        self.assertIn(listed.status, (0, 1), listed)
        if listed.out.strip():
            self.skipTest("there are devices that need no sound server")
        result = loop("--recognizer", "fake", env=env)
        self.assertEqual((result.status, result.out), (1, ""), result)
        self.assertIn("voice_loop: sound: ", result.err)

    def test_interrupted_in_every_stage(self):
        """Whatever is at work, the program ends with 130, soon, and leaves no process behind."""
        wav = write_wav(self.dir / "in.wav", mix([(0.3, say("What time is it?"))], 30))
        stuck = self.program("stuck", "import time\ntime.sleep(600)\n")
        stages = {
            "opening": (0.01, []),
            "listening": (1.0, []),
            "recognition": (2.6, ["--recognizer", "program", "--recognizer-command", stuck]),
            "thinking": (2.2, ["--recognizer", "fake", "--recognizer-address", "what time is it"]),
            "the voice": (3.5, ["--recognizer", "fake", "--recognizer-address", "what time is it",
                                "--speaker", "program", "--speaker-command", stuck]),
            "playback": (4.0, ["--recognizer", "fake", "--recognizer-address", "what time is it"]),
        }
        for name, (seconds, args) in stages.items():
            for number in signal.SIGINT, signal.SIGTERM:
                with self.subTest(stage=name, signal=number):
                    process = subprocess.Popen(
                        [LOOP, "--wav-in", wav, "--ledger", self.dir / "ledger", *map(str, args)],
                        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
                    if name != "opening":
                        self.listens_for(process, number)
                    time.sleep(seconds)
                    process.send_signal(number)
                    try:
                        err = process.communicate(timeout=60)[1].decode()
                    finally:
                        process.kill()
                    # Before its handlers are there a signal ends it as any program.
                    wanted = (130,) if name != "opening" else (130, -number)
                    self.assertIn(process.returncode, wanted, err)
                    self.assertEqual(self.left_of(process.pid), [])

    def listens_for(self, process, number):
        """Waits for its handler of a signal."""
        limit = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < limit:
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
            caught = int(re.search(r"SigCgt:\s*([0-9a-f]+)", status).group(1), 16)
            if caught >> (number - 1) & 1:
                return
            time.sleep(0.01)
        self.fail("it does not listen for signals")

    def left_of(self, session):
        """Processes of that session: what the program started has groups, but no sessions, of its own."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(stat.parent.name)
        return found


if __name__ == "__main__":
    main()
