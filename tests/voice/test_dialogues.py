"""Spoken dialogues, heard by the recogniser that is packaged: voices, quiet and noisy rooms. What
exactly was understood is the recogniser's affair; here it is that what was said is answered, in
order, in time, and that some of it is done."""

import json

from voice_case import Case, loop, main, mix, read_wav, say, without_measured, write_wav

DIALOGUE = ["Turn off the light in the bedroom.", "Add milk and bread to my shopping list.",
            "What is the weather like today?", "Set a timer for ten minutes."]
WANTED = ["light", "shopping_list", "weather", "timer"]
EVERY_S = 8


class Dialogues(Case):
    def hold(self, voice, noise, *args, n=len(DIALOGUE)):
        parts = [(0.5 + EVERY_S * i, say(text, voice)) for i, text in enumerate(DIALOGUE[:n])]
        wav = write_wav(self.dir / "in.wav", mix(parts, EVERY_S * n, noise=noise))
        result = loop("--wav-in", wav, "--wav-out", self.dir / "out.wav", "--virtual-clock", *args)
        self.assertEqual(result.err, "")
        return self.done(result, n)

    def test_voices_and_noise(self):
        done = 0
        for voice, noise in ("en-us", 0), ("en-us+f3", 20):
            with self.subTest(voice=voice, noise=noise):
                turns = self.hold(voice, noise)
                for i, turn in enumerate(turns):
                    self.assertGreaterEqual(turn["speech_start_ms"], 400 + 1000 * EVERY_S * i)
                    self.assertTrue(turn["transcript"])
                    self.assertEqual(turn["spoken"], turn["answer"])
                    self.assertLess(turn["total_ms"], 2500)
                    done += any(call.startswith(WANTED[i] + " ") for call in turn["calls"])
        # Of eight wishes; the words of the recogniser and the size of the model take some.
        self.assertGreaterEqual(done, 3)

    def test_the_same_bytes_again_and_for_other_threads(self):
        seen = []
        for threads in 1, 2:
            turns = self.hold("en-us", 30, "--threads", threads, n=2)
            seen.append((json.dumps(without_measured(turns)),
                         (self.dir / "out.wav").read_bytes()))
        self.assertEqual(seen[0], seen[1])

    def test_interrupted_by_speech_that_is_recognised(self):
        first = say(DIALOGUE[0])
        parts = [(0.5, first), (4.9, say("What is the weather like today?", "en-us+f3"))]
        wav = write_wav(self.dir / "in.wav", mix(parts, 11))
        result = loop("--wav-in", wav, "--wav-out", self.dir / "out.wav", "--virtual-clock")
        turns = self.done(result, 2)
        self.assertTrue(turns[0]["interrupted"], turns)
        self.assertLessEqual(turns[0]["silent_ms"], 5000 + 200)
        rate, samples = read_wav(self.dir / "out.wav")
        begin, end = turns[0]["silent_ms"], turns[1]["first_audio_ms"]
        self.assertFalse(any(samples[begin * rate // 1000:end * rate // 1000]))


if __name__ == "__main__":
    main()
