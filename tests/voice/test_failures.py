"""Every stage fails in turn; each time the loop says so, and goes on with the next thing said."""

import re
import resource
import statistics

from voice_case import Case, loop, main, mix, say, write_wav


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

    def test_many_turns_leave_nothing(self):
        """Later ones wait no longer, and forty get by with the descriptors of a few; each has
        a process for its voice."""
        words = say("What time is it?", rate=16000)
        one = mix([(0.2, words)], 5, 16000)
        result = self.hear(one * 40, rate=16000, said="what time is it",
                           preexec_fn=few_descriptors)
        turns = self.done(result, 40)
        waits = [t["total_ms"] for t in turns]
        self.assertLess(statistics.median(waits[20:]), min(waits) + 100)


if __name__ == "__main__":
    main()
