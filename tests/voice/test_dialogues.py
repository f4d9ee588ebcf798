"""Spoken dialogues, heard by the recogniser that is packaged: voices, quiet and noisy rooms. What
exactly was understood is the recogniser's affair; here it is that what was said is answered, in
order, in time, and that some of it is done."""

import json
import re
import shlex
import subprocess

from voice_case import LOOP, ROOT, Case, loop, main, mix, read_wav, say, without_measured, write_wav

DIALOGUE = ["Turn off the light in the bedroom.", "Add milk and bread to my shopping list.",
            "What is the weather like today?", "Set a timer for ten minutes."]
WANTED = ["light", "shopping_list", "weather", "timer"]
EVERY_S = 8


class Readme(Case):
    def test_what_it_shows_is_what_comes(self):
        """The commands as they are printed. Their times depend on the voice that is installed; the words
        and columns are those."""
        text = (ROOT / "README.md").read_text(encoding="utf-8").replace("\n", " ")
        commands = [shlex.split(c) for c in re.findall(r"`((?:espeak-ng|voice_loop) -[^`]*)`", text)]
        self.assertEqual([c[0] for c in commands], ["espeak-ng", "voice_loop"])
        subprocess.run(commands[0], cwd=self.dir, check=True)
        done = subprocess.run([LOOP, *commands[1][1:]], cwd=self.dir, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
        self.assertEqual(done.stdout, b"")
        shown = re.search(r"(turn +endpoint.*?) +\d+( +[\d-]+){8}  (.*?) ```", text)
        head, row = done.stderr.decode().splitlines()
        self.assertEqual((head, re.sub(r"^ *\d+( +[\d-]+){8}  ", "", row)),
                         (shown.group(1), shown.group(3)))


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

    def test_what_was_settled_in_the_pause_is_the_answer(self):
        """The first pass of the recogniser goes on and has other words; they are nobody's answer."""
        said = ["Add milk and eggs to the shopping list.", "What is on the list?",
                "Take milk off the list."]
        parts = [(0.5 + EVERY_S * i, say(text, "en-us+f2")) for i, text in enumerate(said)]
        wav = write_wav(self.dir / "in.wav", mix(parts, EVERY_S * len(said)))
        for turn in self.done(loop("--wav-in", wav, "--virtual-clock"), len(said)):
            self.assertEqual(turn["guesses"], 1, turn)
            self.assertLess(turn["begun_ms"], turn["vad_end_ms"], turn)

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
