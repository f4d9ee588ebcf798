"""What is understood in a noisy room, by kind of noise and its distance from the voice.

    python3 bench/voice_noise.py [--loop voice_loop] [--csv OUT.csv] [--kind KIND]... [--snr DB]...
        [--keep FOLDER]

Wishes that stand for themselves, spoken by espeak-ng in voices that PocketSphinx's transforms have not
heard, go through voice_loop on the virtual clock with the packaged recogniser and the demo model. The
distance is that of the voice's mean power, where somebody speaks, to the noise's. Kinds:

    quiet     nothing else
    white     the same power at all frequencies
    pink      the same in all octaves: a fan, a road
    babble    six voices at once
    music     chords that change, and a melody
    clicks    a keyboard, dishes
    hum       50 Hz and its overtones
    strangers no noise: sentences that have nothing to do with a home, which nobody should act on

A row has: turns, beside the wishes; slots, the wishes that came to be one turn; word errors in a
hundred words of what was said; done, the wishes whose calls are those that the model makes of the very
words; wrong, those with another call (a call that the words do not ask for); refused, turns that were
not understood, and said so; wait, the median from the true end of speech to the first sample, in ms.
"""
import argparse
import array
import itertools
import json
import math
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile

from common import Failed, print_row, run, today, write_csv

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/voice"))
from voice_case import say, write_wav  # noqa: E402  (how the tests make speech)

WISHES = [
    "turn on the lamp in the kitchen", "set a timer for ten minutes",
    "what is the weather like today", "add milk and eggs to the shopping list",
    "close the blinds in the study", "wake me at half past six",
    "turn off the light in the bedroom", "what time is it",
    "set the heating to twenty degrees", "play some jazz",
    "take milk off the shopping list", "turn on the fan in the office",
]
STRANGERS = [
    "the committee decided to postpone the vote until thursday",
    "my grandmother was born in a small village near the sea",
    "economists expect inflation to fall below three percent next year",
    "she opened the letter and began to cry", "our football team lost again on saturday",
    "have you read the new book by that french author",
    "the museum of modern art has a new exhibition",
    "do you remember the holiday we had in portugal",
    "astronomers discovered a planet orbiting a distant star",
    "the patient complained of chest pain", "where did you buy those shoes",
    "parliament debated the new immigration law",
]
VOICES = ["en-us", "en-us+f2", "en-gb-x-rp", "en-us+m3"]
CROWD = ["en-us", "en-gb", "en-us+f1", "en-us+m2", "en-gb+f4", "en-us+m4"]
RATE, SLOT, LEAD = 16000, 8, 2  # samples and seconds: a wish each SLOT, the first after LEAD
LEVEL, NOISE_SECONDS = 1500, 20
SNRS = [20, 10, 5]


def power(samples):
    """Mean square of what is not silent."""
    loud = [x * x for x in samples if abs(x) > 50]
    return sum(loud) / max(1, len(loud))


def white(rng, n):
    """Gaussian noise."""
    return [rng.gauss(0, 1) for _ in range(n)]


def pink(rng, n):
    """White noise through three poles, which fall by 3 dB an octave together (Kellet's filter)."""
    a = b = c = 0.0
    out = []
    for _ in range(n):
        x = rng.gauss(0, 1)
        a = 0.99765 * a + 0.0990460 * x
        b = 0.96300 * b + 0.2965164 * x
        c = 0.57000 * c + 1.0526913 * x
        out.append(a + b + c + 0.1848 * x)
    return out


def babble(rng, n):
    """Six voices, each saying something else all the time."""
    out = [0.0] * n
    for voice in CROWD:
        words = STRANGERS[:]
        rng.shuffle(words)
        speech = say(". ".join(words), voice, RATE)
        scale = 1 / math.sqrt(power(speech))
        for i, x in zip(range(n), itertools.cycle(speech)):
            out[i] += x * scale
    return out


def music(rng, n):
    """A chord each second, a note of a melody each quarter of it, both with overtones that fade."""
    out = [0.0] * n
    scale = [0, 2, 4, 5, 7, 9, 11, 12]

    def note(at, seconds, pitch, strength):
        hz = 220 * 2 ** (pitch / 12)
        for i in range(min(int(seconds * RATE), n - at)):
            t = i / RATE
            fade = min(1, t * 100) * math.exp(-2 * t / seconds)
            out[at + i] += strength * fade * sum(
                math.sin(2 * math.pi * hz * k * t) / k for k in (1, 2, 3, 4))

    for second in range(n // RATE):
        root = rng.choice([0, 5, 7, 9])
        for pitch in 0, 4, 7:
            note(second * RATE, 1, root + pitch - 12, 1)
        for quarter in range(4):
            note(second * RATE + quarter * RATE // 4, 0.4, rng.choice(scale) + 12, 1)
    return out


def clicks(rng, n):
    """Bursts of 2 to 15 ms, two to eight a second."""
    out = [0.0] * n
    at = 0
    while at < n:
        length, strength = rng.uniform(0.002, 0.015) * RATE, rng.uniform(0.3, 1)
        for i in range(min(int(length), n - at)):
            out[at + i] = strength * rng.gauss(0, 1) * math.exp(-4 * i / length)
        at += int(rng.uniform(0.12, 0.5) * RATE)
    return out


def hum(_rng, n):
    """The mains, heard through a cheap cable."""
    return [sum(math.sin(2 * math.pi * 50 * k * i / RATE + k) / k for k in range(1, 12))
            for i in range(n)]


KINDS = {"white": white, "pink": pink, "babble": babble, "music": music, "clicks": clicks, "hum": hum}


def speak(words):
    """What is said from slot to slot, as sound, and where each ends, in ms."""
    out = array.array("h", bytes(2 * RATE * (LEAD + SLOT * len(words))))
    ends = []
    for i, (text, voice) in enumerate(zip(words, itertools.cycle(VOICES))):
        speech = say(text, voice, RATE)
        scale = LEVEL / math.sqrt(power(speech))
        begin = RATE * (LEAD + SLOT * i)
        for k, x in enumerate(speech):
            out[begin + k] = max(-32768, min(32767, int(x * scale)))
        last = max(k for k, x in enumerate(speech) if abs(x) * scale > 50)
        ends.append((begin + last) * 1000 // RATE)
    return out, ends


def in_noise(speech, noise, snr):
    """The speech with the noise behind it, at a distance in dB."""
    mean = sum(x * x for x in noise) / len(noise)
    scale = LEVEL * 10 ** (-snr / 20) / math.sqrt(mean)
    return [max(-32768, min(32767, int(x + scale * y)))
            for x, y in zip(speech, itertools.cycle(noise))]


def word_errors(said, heard):
    """Words put in, left out and exchanged."""
    row = list(range(len(heard) + 1))
    for i, a in enumerate(said, 1):
        before, row = row, [i]
        for k, b in enumerate(heard, 1):
            row.append(min(before[k - 1] + (a != b), before[k] + 1, row[-1] + 1))
    return row[-1]


def calls_of(turn):
    """The calls of a turn, without their results."""
    return turn["calls"][::2]


def hold(args, samples, folder, *words):
    """The turns of the loop over samples."""
    wav = write_wav(folder / "in.wav", samples, RATE)
    out = run([args.loop, "--wav-in", str(wav), "--virtual-clock", *words])[0]
    return [json.loads(line) for line in out.splitlines()]


def slots_of(turns, n):
    """The turns by the slot in which their speech began; None: before all."""
    slots = [[] for _ in range(n)]
    for turn in turns:
        at = int((turn["speech_start_ms"] / 1000 - LEAD + 0.5) // SLOT)
        if 0 <= at < n:
            slots[at].append(turn)
    return slots


def row_of(kind, snr, words, wanted, ends, turns):
    """What became of the wishes."""
    slots = slots_of(turns, len(words))
    row = {"date": today(), "noise": kind, "snr_db": snr, "wishes": len(words), "turns": len(turns),
           "slots": sum(len(s) == 1 for s in slots)}
    errors = sum(word_errors(text.split(), " ".join(t["transcript"] for t in s).split())
                 for text, s in zip(words, slots))
    calls = [[c for t in s for c in calls_of(t)] for s in slots]
    row["word_errors"] = round(100 * errors / sum(len(text.split()) for text in words), 1)
    row["done"] = sum(a == b for a, b in zip(calls, wanted))
    row["wrong"] = sum(any(c not in b for c in a) for a, b in zip(calls, wanted))
    row["refused"] = sum("understand" in " ".join(t["also_said"]) for t in turns)
    waits = [s[-1]["first_audio_ms"] - end for s, end in zip(slots, ends)
             if s and s[-1]["first_audio_ms"] is not None]
    row["wait"] = statistics.median(waits) if waits else ""
    return row


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loop", default=str(ROOT / "build/release/bin/voice_loop"))
    parser.add_argument("--kind", action="append", choices=["quiet", "strangers", *KINDS])
    parser.add_argument("--snr", action="append", type=float)
    parser.add_argument("--csv")
    parser.add_argument("--keep", help="the ledgers stay there, as KIND-DB.jsonl")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="slm-voice-") as name:
        folder = pathlib.Path(name)
        speech, ends = speak(WISHES)
        true = slots_of(hold(args, speech, folder, "--recognizer", "fake", "--recognizer-address",
                             "|".join(WISHES)), len(WISHES))
        wanted = [[c for t in s for c in calls_of(t)] for s in true]
        for kind in args.kind or ["quiet", *KINDS, "strangers"]:
            noise = KINDS[kind](random.Random(1), NOISE_SECONDS * RATE) if kind in KINDS else None
            for snr in (args.snr or SNRS) if noise else [""]:
                if kind == "strangers":
                    words, calls = STRANGERS, [[]] * len(STRANGERS)
                    samples, until = speak(words)
                else:
                    words, calls, until = WISHES, wanted, ends
                    samples = in_noise(speech, noise, snr) if noise else speech
                turns = hold(args, samples, folder)
                if args.keep:
                    (pathlib.Path(args.keep) / f"{kind}-{snr}.jsonl").write_text(
                        "".join(json.dumps(t) + "\n" for t in turns))
                rows.append(row_of(kind, snr, words, calls, until, turns))
                print_row(rows[-1])
    if args.csv:
        write_csv(args.csv, rows)


if __name__ == "__main__":
    try:
        main()
    except (Failed, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        sys.exit(f"voice_noise: {error}")
