"""One exchange and several: the contract of the ledger and of what is played."""

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

from voice_case import Case, loop, main, mix, read_wav, say, without_measured, write_wav

LAMP = "Turn on the lamp in the kitchen, please."
SAID = "turn on the lamp in the kitchen"


class Exchange(Case):
    def test_fields_times_and_sound(self):
        speech = say(LAMP)
        result = self.hear(mix([(0.5, speech)], 6), said="turn on the lamp in the kitchen please")
        turn, = self.done(result, 1)
        self.assertEqual(result.err, "")
        end = 500 + len(speech) * 1000 // 22050
        self.assertEqual(turn["transcript"], "turn on the lamp in the kitchen please")
        self.assertAlmostEqual(turn["speech_start_ms"], 500, delta=120)
        self.assertLess(turn["speech_end_ms"], end + 20)
        self.assertGreater(turn["speech_end_ms"], end - 500)  # espeak-ng ends in silence
        self.assertTrue(turn["answer"])
        self.assertEqual(turn["spoken"], turn["answer"])
        self.assertLess(turn["total_ms"], 2000)
        self.assertFalse(turn["interrupted"])
        played = self.out()
        self.assertEqual(played.index(True), turn["first_audio_ms"])
        self.assertEqual(len(played) - 1 - played[::-1].index(True), turn["last_audio_ms"])

    def test_the_output_reaches_to_the_end_of_the_input_or_of_the_answer(self):
        speech = mix([(0.2, say("What time is it?"))], 9)
        self.done(self.hear(speech, said="what time is it"), 1)
        self.assertEqual(len(read_wav(self.dir / "out.wav")[1]), 9 * 16000)
        turn, = self.done(self.hear(speech[:int(1.3 * 22050)], said="what time is it"), 1)
        n = len(read_wav(self.dir / "out.wav")[1])
        self.assertEqual(n * 1000 // 16000, turn["last_audio_ms"])

    def test_silence_alone_is_no_turn(self):
        self.done(self.hear([0] * 44100), 0)
        self.assertNotIn(True, self.out())
        self.assertEqual(len(read_wav(self.dir / "out.wav")[1]), 32000)

    def test_noise_alone_is_no_turn(self):
        self.done(self.hear(mix([], 4, noise=300)), 0)
        bursts = [(at, mix([], 0.2, noise=6000)) for at in (0.7, 1.5, 2.9)]
        self.done(self.hear(mix(bursts, 4), said="what"), 0)

    def test_a_voice_right_behind_a_click_is_heard_from_its_beginning(self):
        """What began with a noise and ended with it has a speaker as soon as there is a voice."""
        click = mix([], 0.09, noise=6000)
        lamp = say(LAMP)
        lamp = lamp[next(i for i, x in enumerate(lamp) if abs(x) > 1000):]
        alone, = self.done(self.hear(mix([(0.76, lamp)], 6), said=SAID), 1)
        turn, = self.done(self.hear(mix([(0.5, click), (0.76, lamp)], 6), said=SAID), 1)
        self.assertLess(turn["speech_start_ms"], 600)
        self.assertEqual(turn["speech_end_ms"], alone["speech_end_ms"])

    def test_every_rate_and_the_first_channel(self):
        for rate, channels in (8000, 1), (11025, 2), (44100, 1), (48000, 3):
            with self.subTest(rate=rate, channels=channels):
                wav = write_wav(self.dir / "in.wav", mix([(0.3, say(LAMP, rate=rate))], 3, rate),
                                rate, channels)
                result = loop("--wav-in", wav, "--virtual-clock", "--recognizer", "fake",
                              "--recognizer-address", "turn on the lamp in the kitchen")
                turn, = self.done(result, 1)
                self.assertAlmostEqual(turn["speech_start_ms"], 300, delta=120)

    def test_the_same_bytes_for_any_number_of_threads(self):
        samples = mix([(0.5, say(LAMP)), (5.5, say("And what time is it?", "en-gb"))], 9, noise=30)
        said = "turn on the lamp in the kitchen|and what time is it"
        seen = set()
        for threads in 1, 2, 3, 1:
            result = self.hear(samples, "--threads", threads, said=said)
            turns = self.done(result, 2)
            seen.add((json.dumps(without_measured(turns)), (self.dir / "out.wav").read_bytes()))
        self.assertEqual(len(seen), 1)

    def test_from_any_folder_and_the_ledger_in_a_file(self):
        write_wav(self.dir / "in.wav", mix([(0.3, say("What time is it?"))], 2))
        result = loop("--wav-in", "in.wav", "--wav-out", "out.wav", "--virtual-clock", "--model",
                      "demo", "--ledger", "ledger.jsonl", "--timeline", "line.svg", "--table",
                      "--recognizer=fake", "--recognizer-address=what time is it", cwd=self.dir)
        self.assertEqual((result.status, result.out), (0, ""), result)
        turn = json.loads((self.dir / "ledger.jsonl").read_text())
        self.in_order(1, turn)
        self.assertIn("what time is it", (self.dir / "line.svg").read_text())
        self.assertIn("what time is it", result.err)

    def test_five_seconds_are_computed_in_less(self):
        samples = mix([(0.3, say(LAMP))], 5)
        begun = os.times()
        self.done(self.hear(samples, "--threads", 2, said="turn on the lamp in the kitchen"), 1)
        used = os.times()
        cpu = used.children_user + used.children_system - begun.children_user - \
            begun.children_system
        self.assertLess(cpu, 5)

    def test_a_pause_does_not_end_what_is_said(self):
        parts = [(0.4, say("Turn on the lamp in the")), (2.35, say("kitchen."))]
        turn, = self.done(self.hear(mix(parts, 6), said="turn on the lamp in the kitchen"), 1)
        self.assertGreater(turn["speech_end_ms"], 2500)

    def test_music_behind_it_does_not_hold_the_end_up(self):
        """A note right after the voice, and loud in a room that is quiet otherwise."""
        lamp, note = say(LAMP), [math.sin(i * 0.09) for i in range(4410)]
        alone, = self.done(self.hear(mix([(0.5, lamp)], 7), said=SAID), 1)
        at = alone["speech_end_ms"] / 1000 + 0.2
        ends = []
        for level in 300, 8000:
            tone = [int(level * x) for x in note]
            turn, = self.done(self.hear(mix([(0.5, lamp), (at, tone)], 7), said=SAID), 1)
            ends.append(turn["speech_end_ms"] - alone["speech_end_ms"])
        self.assertEqual(ends[0], 0)
        self.assertGreater(ends[1], 300)  # as loud as the voice, it is the voice for all that is known

    def test_who_goes_on_before_the_answer_has_one_turn(self):
        parts = [(0.4, say("Turn on the lamp.")), (2.0, say("I mean in the kitchen."))]
        for args in (["--no-early-answer", "--charge-token", 20], ["--charge-token", 80]):
            with self.subTest(args=args):
                result = self.hear(mix(parts, 8), *args, said="turn on the lamp|i mean in the kitchen")
                turn, = self.done(result, 1)
                self.assertEqual(turn["transcript"], "turn on the lamp i mean in the kitchen")

    def test_paced_by_the_clock(self):
        """Threads in place of the virtual clock; times are real."""
        wav = write_wav(self.dir / "in.wav", mix([(0.3, say("What time is it?"))], 1.6))
        begun = time.monotonic()
        result = loop("--wav-in", wav, "--wav-out", self.dir / "out.wav", "--recognizer", "fake",
                      "--recognizer-address", "what time is it")
        took = time.monotonic() - begun
        turn, = self.done(result, 1)
        self.assertGreater(took, turn["last_audio_ms"] / 1000 - 0.1)
        self.assertTrue(turn["spoken"])


class Doubt(Case):
    """What the recogniser itself doubts is not acted on."""
    REFUSAL = "Sorry, I did not understand that."

    def test_it_is_told_and_nothing_is_done(self):
        samples = mix([(0.5, say(LAMP)), (5, say(LAMP))], 9)
        for args in [], ["--no-early-answer"]:
            one, two = self.done(self.hear(samples, *args, said="!doubt turn on the lamp|"
                                                                "turn on the lamp"), 2)
            self.assertEqual((one["transcript"], one["answer"]), ("turn on the lamp", ""))
            self.assertEqual((one["calls"], one["also_said"]), ([], [self.REFUSAL]))
            self.assertIsNone(one["begun_ms"])
            self.assertIsNotNone(one["first_audio_ms"])
            self.assertTrue(two["calls"])
            self.assertEqual(two["spoken"], two["answer"])

    def test_the_conversation_is_as_if_it_had_not_been_said(self):
        lamp = say(LAMP)
        said = "turn on the lamp in the kitchen|!doubt the lady|and the one in the bedroom"
        with_it = self.done(self.hear(mix([(t, lamp) for t in (0.5, 6.5, 12.5)], 17), said=said), 3)
        without = self.done(self.hear(mix([(t, lamp) for t in (0.5, 12.5)], 17),
                                      said=said.replace("!doubt the lady|", "")), 2)
        for name in "transcript", "answer", "calls":
            self.assertEqual(with_it[2][name], without[1][name])

    def test_yes_and_stop_are_not_doubted(self):
        for word in "yes", "stop", "no":
            turn, = self.done(self.hear(mix([(0.5, say(LAMP))], 4), said=f"!doubt {word}"), 1)
            self.assertEqual(turn["also_said"], [])

    def test_an_answer_goes_on(self):
        one, = self.done(self.hear(mix([(0.5, say(LAMP))], 6), said="turn on the lamp"), 1)
        parts = [(0.5, say(LAMP)), (one["first_audio_ms"] / 1000 + 0.4, say("Milk."))]
        turn, = self.done(self.hear(mix(parts, 8), said="turn on the lamp|!doubt milk/ or beans"), 1)
        self.assertFalse(turn["interrupted"])
        self.assertEqual((turn["resumed"], turn["spoken"]), (1, turn["answer"]))

    def test_who_goes_on_talking_is_not_told_for_ever(self):
        parts = [(0.5 + 8 * i, say("Turn on the lamp.")) for i in range(6)]
        said = "|".join(["!doubt the lady"] * 5 + ["turn on the lamp"])
        turns = self.done(self.hear(mix(parts, 46), said=said), 4)
        self.assertEqual([t["also_said"] for t in turns], [[self.REFUSAL]] * 3 + [[]])
        # Nor is the beginning of an answer to what was passed over counted as of the next turn.
        self.assertEqual([t["guesses"] for t in turns], [1] * 4)
        self.assertTrue(turns[3]["calls"])

    def test_while_it_is_told_somebody_speaks(self):
        one, = self.done(self.hear(mix([(0.5, say(LAMP))], 6), said="!doubt the lady"), 1)
        at = one["first_audio_ms"] / 1000 + 0.3
        turns = self.done(self.hear(mix([(0.5, say(LAMP)), (at, say(LAMP))], 8),
                                    said="!doubt the lady|turn on the lamp in the kitchen"), 2)
        self.assertTrue(turns[0]["interrupted"])
        self.assertTrue(turns[1]["calls"])


class EarlyAnswer(Case):
    """The model begins in the pause; nothing is heard of it and nothing done before the end."""

    def both(self, samples, said):
        early = self.done(self.hear(samples, said=said))
        late = self.done(self.hear(samples, "--no-early-answer", said=said))
        for name in "transcript", "answer", "spoken", "calls", "speech_end_ms":
            self.assertEqual([t[name] for t in early], [t[name] for t in late])
        for turn in late:
            self.assertGreaterEqual(turn["begun_ms"], turn["asr_ms"])
            self.assertEqual(turn["guesses"], 0)
        return early, late

    def test_it_is_the_same_and_sooner(self):
        samples = mix([(0.5, say(LAMP)), (6.5, say("And the lamp in the bedroom.", "en-gb"))], 10)
        early, late = self.both(samples, "turn on the lamp in the kitchen|and the lamp in the bedroom")
        for one, other in zip(early, late):
            self.assertTrue(one["calls"])
            self.assertLess(one["begun_ms"], one["vad_end_ms"])
            self.assertEqual(one["guesses"], 1)
            self.assertGreaterEqual(one["first_token_ms"], one["asr_ms"])
            self.assertLess(one["total_ms"], other["total_ms"] - 50)

    def test_another_final_transcript_takes_it_back(self):
        said = "turn on the lamp/ in the kitchen"
        turn, = self.both(mix([(0.5, say("Turn on the lamp."))], 5), said)[0]
        self.assertEqual(turn["transcript"], "turn on the lamp in the kitchen")
        self.assertGreaterEqual(turn["begun_ms"], turn["asr_ms"])
        self.assertEqual(turn["guesses"], 1)

    def test_who_goes_on_takes_it_back(self):
        """The pause is longer than what begins an answer and shorter than an end."""
        parts = [(0.4, say("Turn on the lamp.")), (1.65, say("I mean in the kitchen."))]
        turn, = self.both(mix(parts, 6), "turn on the lamp/ i mean in the kitchen")[0]
        self.assertGreater(turn["begun_ms"], turn["speech_end_ms"])
        self.assertEqual(turn["guesses"], 2)
        self.assertEqual(len(turn["calls"]), 2)

    def whisper(self, *how):
        """Port of a server as whisper.cpp's."""
        server = subprocess.Popen(
            [sys.executable, "-B", Path(__file__).parent / "fake_engine.py", "whisper", *how],
            stdout=subprocess.PIPE)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        self.addCleanup(server.stdout.close)
        return int(server.stdout.readline())

    def test_a_transcript_in_the_pause_that_fails_costs_nothing(self):
        port = self.whisper("error", self.dir / "mark")  # the first request, and no later one
        parts = [(0.4, say("Turn on the lamp.")), (1.5, say("I mean in the kitchen."))]
        wav = write_wav(self.dir / "in.wav", mix(parts, 6))
        turn, = self.done(loop("--wav-in", wav, "--virtual-clock", "--recognizer", "whisper",
                               "--recognizer-address", f"127.0.0.1:{port}", "--language", "en"), 1)
        self.assertIsNone(turn["error"])
        self.assertRegex(turn["transcript"], r"^heard \d+ samples$")
        self.assertTrue((self.dir / "mark").exists())

    def test_an_engine_that_is_slow_is_asked_once(self):
        wav = write_wav(self.dir / "in.wav", mix([(at, say("Turn on the kitchen light."))
                                                   for at in (0.5, 9)], 14))
        turns = self.done(loop("--wav-in", wav, "--virtual-clock", "--recognizer", "whisper",
                               "--recognizer-address", f"127.0.0.1:{self.whisper('ok')}",
                               "--language", "en", "--charge-recognition", 1500), 2)
        first, second = (t["asr_ms"] - t["vad_end_ms"] for t in turns)
        self.assertLess(first, 1500)  # it had begun in the pause
        self.assertEqual(second, 1500)

    def test_an_engine_that_does_not_stream_is_asked_in_the_pause(self):
        port = self.whisper("ok")
        wav = write_wav(self.dir / "in.wav", mix([(0.5, say(LAMP))], 5))
        turns = []
        for args in [], ["--no-early-answer"]:
            turn, = self.done(loop("--wav-in", wav, "--virtual-clock", "--recognizer", "whisper",
                                   "--recognizer-address", f"127.0.0.1:{port}", "--language", "en",
                                   "--charge-recognition", 300, *args), 1)
            self.assertRegex(turn["transcript"], r"^heard \d+ samples$")
            turns.append(turn)
        early, late = turns
        # What was heard in the pause is the final transcript: there is nothing left to wait for.
        self.assertLessEqual(early["asr_ms"] - early["vad_end_ms"], 10)
        self.assertEqual(late["asr_ms"] - late["vad_end_ms"], 300)
        self.assertLess(early["total_ms"], late["total_ms"] - 300)

    def test_words_known_only_in_the_pause(self):
        """They are asked for before the answer is to begin, as soon as it may be all."""
        parts = [(0.4, say("Turn on the lamp.")), (1.65, say("I mean in the kitchen."))]
        turn, = self.done(self.hear(mix(parts, 6), "--charge-recognition", 270,
                                    said="!whole|turn on the lamp/ i mean in the kitchen"), 1)
        self.assertEqual(turn["transcript"], "turn on the lamp i mean in the kitchen")
        self.assertEqual(turn["guesses"], 1)
        self.assertIn(turn["begun_ms"] - turn["speech_end_ms"], range(350, 381))
        self.assertLess(turn["begun_ms"], turn["vad_end_ms"])
        self.assertEqual(turn["asr_ms"], turn["vad_end_ms"])
        self.assertGreater(turn["prompt_ahead"], 0)  # the first part was a draft

    def test_a_short_clause_is_synthesised_once(self):
        samples = mix([(0.5, say(LAMP)), (6.5, say("And the lamp in the bedroom.", "en-gb"))], 10)
        turns = self.done(self.hear(samples, "--charge-voice", 150,
                                    said="turn on the lamp in the kitchen|and the lamp in the bedroom"), 2)
        first, second = (t["synthesis_ms"] - t["first_clause_ms"] for t in turns)
        self.assertIn(first, range(150, 161))  # in blocks of 10 ms
        self.assertIn(second, range(11))
        self.assertEqual([t["answer"][:5] for t in turns], 2 * ["Okay,"])
        self.assertEqual([t["spoken"] for t in turns], [t["answer"] for t in turns])

    def test_what_is_not_meant_begins_none(self):
        samples = mix([(0.5, say(LAMP)), (7, say(LAMP))], 11)
        turns = self.done(self.hear(samples, "--wake", "hearth", said="hearth|turn on the lamp"))
        self.assertEqual([t["transcript"] for t in turns], [])


class Switches(Case):
    """What each way to be faster is worth, in tokens and time."""

    def exchange(self, *args):
        samples = mix([(0.5, say(LAMP)), (6.5, say("And the lamp in the bedroom.", "en-gb"))], 10)
        result = self.hear(samples, *args, said="turn on the lamp in the kitchen|"
                                                "and the lamp in the bedroom")
        return self.done(result, 2)[1]

    def test_each_costs_time(self):
        normal = self.exchange("--charge-prompt", 4)
        late = self.exchange("--charge-prompt", 4, "--no-prefill-ahead")
        self.assertGreater(normal["prompt_ahead"], 0)
        self.assertEqual(late["prompt_ahead"], 0)
        self.assertGreater(late["prompt_evaluated"], normal["prompt_evaluated"])
        self.assertGreater(late["total_ms"], normal["total_ms"])
        anew = self.exchange("--charge-prompt", 4, "--no-prefix-reuse")
        self.assertEqual(anew["prompt_reused"], 0)
        self.assertGreater(anew["total_ms"], late["total_ms"])
        whole = self.exchange("--charge-token", 40, "--no-clause-streaming")
        pieces = self.exchange("--charge-token", 40)
        self.assertEqual(whole["answer"], pieces["answer"])
        single = self.exchange("--charge-token", 40, "--draft", 0)
        self.assertEqual((single["answer"], single["calls"]), (pieces["answer"], pieces["calls"]))
        self.assertGreater(single["total_ms"], pieces["total_ms"])
        self.assertGreaterEqual(whole["first_clause_ms"] - whole["first_token_ms"],
                                pieces["first_clause_ms"] - pieces["first_token_ms"])


class CommandLine(Case):
    def test_usage(self):
        for args, word in ((["--wav-inn", "x"], "--wav-inn"), (["x"], "x"),
                           (["--threads"], "--threads"), (["--threads", "0"], "--threads"),
                           (["--virtual-clock"], "--wav-in"),
                           (["--virtual-clock=1"], "--virtual-clock"),
                           (["--wav-in", "a", "--room", "1:2"], "--room"),
                           (["--start-time", "noon"], "--start-time"),
                           (["--recognizer-command", " "], "--recognizer-command")):
            with self.subTest(args=args):
                self.fails(loop(*args), 2, word)

    def test_help_and_version(self):
        self.assertIn("--virtual-clock", loop("--help").out)
        self.assertRegex(loop("--version").out, r"^voice_loop \d")

    def test_what_cannot_be_opened(self):
        wav = write_wav(self.dir / "in.wav", [0] * 100)
        base = ["--wav-in", wav, "--virtual-clock"]
        self.fails(loop(*base, "--model", self.dir / "none.gguf"), 1, "none.gguf")
        self.fails(loop(*base, "--model", wav), 1, "in.wav")
        self.fails(loop(*base, "--data", self.dir), 1, "tools.json")
        self.fails(loop(*base, "--wav-out", self.dir / "no/where.wav"), 1, "where.wav")
        self.fails(loop(*base, "--ledger", self.dir / "no/where"), 1, "where")
        self.fails(loop(*base, "--recognizer", "ear"), 1, "ear")
        self.fails(loop(*base, "--recognizer", "fake", "--speaker", "mouth"), 1, "mouth")


if __name__ == "__main__":
    main()
