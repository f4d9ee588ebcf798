"""Every stage fails in turn; each time the loop says so, and goes on with the next thing said."""

import json
import os
import re
import resource
import statistics
import subprocess
import time
from pathlib import Path

from voice_case import LOOP, Case, loop, main, mix, say, write_wav


def few_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))


class Failures(Case):
    @classmethod
    def setUpClass(cls):
        cls.parts = [(0.4, say("Turn on the lamp in the kitchen.")), (9.0, say("What time is it?"))]

    def two_turns(self, *args, said="turn on the lamp in the kitchen|what time is it"):
        result = self.hear(mix(self.parts, 12), *args, said=said)
        one, two = self.done(result, 2)
        return result, one, two

    def goes_on(self, turn):
        self.assertIsNone(turn["error"])
        self.assertTrue(turn["spoken"])
        self.assertEqual(turn["spoken"], turn["answer"])

    def test_recognition_dies(self):
        result, one, two = self.two_turns(said="!die|what time is it")
        self.assertEqual(one["transcript"], "")
        self.assertIn("could not hear", " ".join(one["also_said"]))
        self.assertTrue(one["error"])
        self.assertIsNotNone(one["first_audio_ms"])
        self.assertIn("recognition failed", result.err)
        self.goes_on(two)

    def test_recognition_hangs(self):
        _, one, two = self.two_turns("--recognizer-timeout", 200, said="!hang|what time is it")
        self.assertTrue(one["error"])
        self.assertIn("could not hear", " ".join(one["also_said"]))
        self.goes_on(two)

    def test_recognition_is_late(self):
        _, one, two = self.two_turns(said="!late 300 turn on the lamp|what time is it")
        self.assertEqual(one["transcript"], "turn on the lamp")
        self.assertGreater(one["measured"]["asr"], 250)
        self.goes_on(one)
        self.goes_on(two)

    def test_the_voice_dies_once(self):
        """The engine is started again, the listener told, and the clause said once more."""
        result, one, two = self.two_turns("--speaker", "fake", "--voice",
                                          "die|ok|ok|ok|ok|ok|ok|ok|ok")
        self.assertIn("my voice failed", " ".join(one["also_said"]))
        self.assertEqual(one["spoken"], one["answer"])
        self.assertTrue(one["error"])
        self.assertIn("the voice failed", result.err)
        self.assertTrue(two["answer"])

    def test_the_voice_stays_dead(self):
        result, one, two = self.two_turns("--speaker", "fake", "--voice", "die")
        self.assertNotEqual(one["spoken"], one["answer"])
        self.assertIn("not spoken: ", result.err)
        self.assertTrue(two["answer"])

    def test_the_voice_hangs(self):
        result, one, two = self.two_turns("--speaker", "fake", "--speaker-timeout", 200, "--voice",
                                          "hang|ok|ok|ok|ok|ok|ok|ok|ok")
        self.assertIn("the voice failed", result.err)
        self.assertEqual(one["spoken"], one["answer"])
        self.assertTrue(two["answer"])

    def test_the_model_has_no_room(self):
        """A context in which no prompt fits: each turn says that something went wrong."""
        refused = self.hear([0] * 100, "--ctx", 48)
        self.fails(refused, 1, "tokens")
        n_tokens = int(re.search(r"has (\d+) tokens", refused.err).group(1))
        result, one, two = self.two_turns("--ctx", n_tokens * 8 // 7 + 4)
        for turn in one, two:
            self.assertIn("something went wrong", " ".join(turn["also_said"]))
            self.assertTrue(turn["error"])
            self.assertIsNotNone(turn["first_audio_ms"])
        self.assertIn("the model failed", result.err)

    def test_a_tool_that_takes_long_is_spoken_over(self):
        _, one, two = self.two_turns("--charge-tool", 1500)
        self.assertTrue(one["calls"])
        self.assertIn("One moment.", one["also_said"])
        self.assertEqual(one["spoken"], one["answer"])
        self.assertGreater(one["first_audio_ms"] - one["first_token_ms"], 1500)
        self.assertTrue(two["answer"])

    def test_a_ledger_nobody_reads_ends_the_loop(self):
        wav = write_wav(self.dir / "in.wav", mix(self.parts, 12))
        result = loop("--wav-in", wav, "--virtual-clock", "--recognizer", "fake", "--ledger",
                      "/dev/full", "--recognizer-address", "what time is it")
        self.assertEqual(result.status, 1, result)
        self.assertIn("/dev/full", result.err)

    def test_there_is_no_sound_card(self):
        result = loop("--input-device", "no such device of this name", "--recognizer", "fake")
        self.assertEqual((result.status, result.out), (1, ""), result)
        self.assertIn("voice_loop: sound: ", result.err)

    def peak_of(self, n):
        """Turns, and the most memory, in kB, that n of them took."""
        wav = write_wav(self.dir / "in.wav", mix([(0.2, self.question)], 5, 16000) * n, 16000)
        # What is freed is given back at once, so that what is left shows under a sanitizer, too.
        env = os.environ | {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") +
                            ":quarantine_size_mb=2"}
        peak = 0
        with open(self.dir / "ledger", "wb") as ledger, subprocess.Popen(
                [LOOP, "--wav-in", wav, "--virtual-clock", "--recognizer", "fake",
                 "--recognizer-address", "what time is it"], stdout=ledger, env=env,
                preexec_fn=few_descriptors) as process:
            while process.poll() is None:
                for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
                    peak = int(line.split()[1]) if line.startswith("VmHWM:") else peak
                time.sleep(0.02)
        self.assertEqual(process.returncode, 0)
        return [json.loads(x) for x in (self.dir / "ledger").read_text().splitlines()], peak

    def test_many_turns_leave_nothing(self):
        """Later ones wait no longer, and two hundred get by with the memory of forty and the
        descriptors of a few; each has a process for its voice."""
        self.question = say("What time is it?", rate=16000)
        turns, peak = self.peak_of(40)
        self.assertEqual(len(turns), 40)
        turns, later = self.peak_of(200)
        self.assertEqual(len(turns), 200)
        waits = [t["total_ms"] for t in turns]
        self.assertLess(statistics.median(waits[100:]), min(waits) + 100)
        self.assertLess(later, peak + 4096)


if __name__ == "__main__":
    main()
