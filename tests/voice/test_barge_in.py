"""Speech during an answer: what silences it, what does not, and what the conversation keeps."""

from voice_case import Case, main, mix, say

SAID = "turn on the lamp in the kitchen"


def first_loud_ms(samples, at, rate=22050, level=600):
    return at * 1000 + next(i for i, x in enumerate(samples) if abs(x) > level) * 1000 / rate


class BargeIn(Case):
    @classmethod
    def setUpClass(cls):
        cls.lamp = say("Turn on the lamp in the kitchen, please.")

    def first_audio(self):
        """When the answer to the lamp begins, and ends, undisturbed."""
        turn, = self.done(self.hear(mix([(0.5, self.lamp)], 6), said=SAID), 1)
        return turn["first_audio_ms"], turn["last_audio_ms"]

    def during(self, samples, said, delay=0.6, *args):
        begin, end = self.first_audio()
        self.assertGreater(end - begin, 1500)
        at = begin / 1000 + delay
        result = self.hear(mix([(0.5, self.lamp), (at, samples)], 12), *args, said=f"{SAID}|{said}")
        return at, begin, end, result

    def test_silent_within_200_ms(self):
        for voice in "en-us", "en-gb", "en-us+f3":
            for text in "Stop. What time is it?", "What is the weather like today?":
                with self.subTest(voice=voice, text=text):
                    speech = say(text, voice)
                    at, _, _, result = self.during(speech, "what time is it now")
                    one, two = self.done(result, 2)
                    loud = first_loud_ms(speech, at)
                    self.assertTrue(one["interrupted"], one)
                    self.assertLess(abs(one["barge_in_ms"] - loud), 100)
                    self.assertLessEqual(one["silent_ms"], loud + 200)
                    played = self.out()
                    self.assertNotIn(True, played[one["silent_ms"]:two["first_audio_ms"]])
                    self.assertLess(len(one["spoken"]), len(one["answer"]))
                    self.assertEqual(two["transcript"], "what time is it now")
                    self.assertFalse(two["interrupted"])

    def test_attention_and_noise_are_no_interruption(self):
        speech, noise = say("Uh-huh.", "en-gb"), mix([], 0.15, noise=7000)
        for sound, said in ((speech, "uh-huh"), (speech, "okay"), (speech, ""),
                            (noise, "what is it")):
            with self.subTest(said=said):
                at, begin, end, result = self.during(sound, said)
                turn, = self.done(result, 1)
                self.assertFalse(turn["interrupted"])
                self.assertEqual(turn["resumed"], 1)
                self.assertEqual(turn["spoken"], turn["answer"])
                self.assertEqual(turn["first_audio_ms"], begin)
                played = self.out()
                silence = played[int(at * 1000) + 250:int(at * 1000) + 300]
                self.assertNotIn(True, silence)
                # All of it was played: what was silent is made up for, but for two fades.
                self.assertAlmostEqual(sum(played), end - begin - self.pauses(begin, end), delta=60)

    def pauses(self, begin, end):
        """Milliseconds of silence within the answer, when nobody disturbs it."""
        self.done(self.hear(mix([(0.5, self.lamp)], 6), said=SAID), 1)
        return self.out()[begin:end].count(False)

    def test_speech_before_the_answer_is_heard_waits_for_nothing(self):
        """A real interruption right when the answer begins."""
        speech = say("What time is it?")
        _, begin, _, result = self.during(speech, "what time is it", -0.1)
        turns = self.done(result)
        self.assertEqual(turns[-1]["spoken"], turns[-1]["answer"])
        self.assertLessEqual(len(turns), 2)

    def test_the_next_turn_after_an_interruption_can_be_interrupted(self):
        begin, _ = self.first_audio()
        parts = [(0.5, self.lamp)]
        for i in range(4):
            parts.append((begin / 1000 + 0.7 + 3.1 * i, say("Stop, what time is it?", "en-gb")))
        result = self.hear(mix(parts, 18), said=SAID + "|" + "|".join(["no what time is it"] * 4))
        turns = self.done(result)
        self.assertGreaterEqual(len(turns), 4)
        self.assertTrue(turns[0]["interrupted"])


if __name__ == "__main__":
    main()
