"""From the end of speech to the first sound of the answer, with the times of other machines.

    python3 bench/voice_latency.py [--loop voice_loop] [--slm slm] [--csv OUT.csv]
        [--model NAME=FILE.gguf[,THREADS]] [--profile NAME=PROFILE:FILE.gguf]
        [--rates NAME=MS,MS] [--heard]

Dialogues of three wishes each, spoken by espeak-ng, transcripts given, go through voice_loop on the
virtual clock with the demo model: as it is, and without each of the ways to be faster. The demo model
writes the words; how long they take is charged at the rates of the machine of a row:

    demo       what voice_loop charges by itself
    --model    what `slm bench` measures here: a prompt of 32 tokens, and generation
    --profile  what `slm inspect --device-profile` predicts for a prompt of 16 tokens and for
               generation at depth 4,096: its slower end and, as NAME-best, its faster
    --rates    these: milliseconds for a token of a prompt, and for one of an answer

Recognition and voice are charged 270 ms and 100 ms in all rows but those of the demo (--recognition,
--voice), and the recogniser of those rows does not stream, as whisper.cpp's server does not: it is asked
in pauses, and its time passes before any word is known. NAME-streams is a row with one that does, and
makes a last pass of that length at the end, as the demo's does by itself. Of every turn the terms, in
milliseconds: endpoint (silence until it is decided that the speaker is done), recognition, first_token
(what of the prompt was left), first_clause (a call of a tool and its result, and the answer's first
clause), voice, output; total is their sum. A row has the median of each term, and of the total also the
95th percentile; beside them how many answers were
begun in a pause (guesses) and how many of those were the answer (held). --heard adds a row in which
PocketSphinx hears the dialogues, each in four voices, and voice_loop charges what it does by itself.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

from common import Failed, print_row, run, today, write_csv

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/voice"))
from voice_case import mix, say, write_wav  # noqa: E402  (how the tests make speech)

DIALOGUES = [
    ["turn on the lamp in the kitchen", "and the one in the bedroom", "make it brighter please"],
    ["set a timer for ten minutes", "what time is it", "stop the timer"],
    ["what is the weather like", "what is the date today", "tell me a joke"],
    ["wake me at half past six", "no make it seven o'clock", "thank you very much"],
    ["play some jazz", "turn it down a little", "stop the music"],
    ["add milk and eggs to the shopping list", "what is on the list", "take milk off the list"],
    ["set the heating to twenty degrees", "close the blinds in the study", "how are you"],
    ["remind me to water the plants at seven", "what is six times seven", "good night"],
]
WITHOUT = {"": [], "early-answer": ["--no-early-answer"], "prefill-ahead": ["--no-prefill-ahead"],
           "prefix-reuse": ["--no-prefix-reuse"], "clause-streaming": ["--no-clause-streaming"],
           "drafts": ["--draft", "0"]}
VOICES = ["en-us", "en-gb-x-rp", "en-us+f2", "en-us+m3"]
SPACING = 14  # seconds from wish to wish: longer than any answer, so that none is interrupted
TERMS = [("endpoint", "speech_end_ms", "vad_end_ms"), ("recognition", "vad_end_ms", "asr_ms"),
         ("first_token", "asr_ms", "first_token_ms"),
         ("first_clause", "first_token_ms", "first_clause_ms"),
         ("voice", "first_clause_ms", "synthesis_ms"),
         ("output", "synthesis_ms", "first_audio_ms")]


def speak(folder, voice="en-us"):
    """The dialogues as sound files."""
    files = []
    for i, wishes in enumerate(DIALOGUES):
        parts = [(0.5 + SPACING * k, say(text, voice)) for k, text in enumerate(wishes)]
        files.append(write_wav(folder / f"{i}.wav", mix(parts, SPACING * len(wishes))))
    return files


def heard(args, folder):
    """The turns of the dialogues as the packaged recogniser hears them. What is not understood has no
    answer of the model's, and may be more than one turn."""
    turns = [turn for voice in VOICES for wav in speak(folder, voice) for turn in ledger(args, wav, [])]
    return [turn for turn in turns if turn["first_audio_ms"] is not None and turn["begun_ms"]]


def ledger(args, wav, words):
    """The turns of a sound file."""
    out = run([args.loop, "--wav-in", str(wav), "--virtual-clock", *words])[0]
    return [json.loads(line) for line in out.splitlines()]


def turns_of(args, files, words, streams):
    """Of all dialogues, the ledger's turns."""
    turns = []
    for wav, wishes in zip(files, DIALOGUES):
        script = "|".join(wishes if streams else ["!whole", *wishes])
        got = ledger(args, wav, ["--recognizer", "fake", "--recognizer-address", script, *words])
        if len(got) != len(wishes) or any(t["first_audio_ms"] is None for t in got):
            raise Failed(f"{wav.name}: got {len(got)} turns with an answer, wanted {len(wishes)}")
        turns += got
    return turns


def row_of(name, without, charges, turns):
    """Medians of the terms, and the total."""
    totals = sorted(t["total_ms"] for t in turns)
    row = {"date": today(), "machine": name, "without": without,
           "prompt_ms": charges[0], "token_ms": charges[1], "turns": len(turns)}
    row["guesses"] = sum(t["guesses"] for t in turns)
    row["held"] = sum(t["begun_ms"] < t["asr_ms"] for t in turns)
    for term, begin, end in TERMS:
        terms = [t[end] - t[begin] for t in turns if t[end] is not None and t[begin] is not None]
        row[term] = statistics.median(terms) if terms else ""
    row["median"] = statistics.median(totals)
    row["p95"] = totals[min(len(totals) - 1, int(0.95 * len(totals)))]
    return row


def measured(args, text):
    """(name, ms a token of a prompt, ms a token) of NAME=FILE[,THREADS]."""
    name, rest = text.split("=", 1)
    file, _, threads = rest.partition(",")
    out = run([args.slm, "bench", file, "--json", "-r", "3", "-p", "32", "-n", "32",
               *(["-t", threads] if threads else [])])[0]
    rates = {}
    for line in out.splitlines():
        if line.startswith("{"):
            x = json.loads(line)
            rates[x["test"]] = x["tokens_per_second"]["median"]
    return [(name, 1000 / rates["pp"], 1000 / rates["tg"])]


def predicted(args, text):
    """The same of NAME=PROFILE:FILE, at both ends of the prediction; PROFILE may hold a colon."""
    name, rest = text.split("=", 1)
    profile, _, file = rest.rpartition(":")
    out = run([args.slm, "inspect", file, "--json", "-c", "4096", "-p", "16", "--device-profile",
               profile])[0]
    speeds = json.loads(out)["prediction"]["speeds"]
    deep = max((x for x in speeds if x["test"] == "tg"), key=lambda x: x["depth"])
    prompt = next(x for x in speeds if x["test"] == "pp")
    return [(name + suffix, 1000 / prompt["tokens_per_second"][end],
             1000 / deep["tokens_per_second"][end]) for suffix, end in (("", "min"), ("-best", "max"))]


def given(text):
    """The same of NAME=MS,MS."""
    name, rest = text.split("=", 1)
    prompt, token = map(float, rest.split(","))
    return (name, prompt, token)


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    build = ROOT / "build/release/bin"
    parser.add_argument("--loop", default=str(build / "voice_loop"))
    parser.add_argument("--slm", default=str(build / "slm"))
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--profile", action="append", default=[])
    parser.add_argument("--rates", action="append", default=[])
    parser.add_argument("--recognition", type=float, default=270)
    parser.add_argument("--voice", type=float, default=100)
    parser.add_argument("--heard", action="store_true", help="a row with the packaged recogniser")
    parser.add_argument("--csv")
    args = parser.parse_args()
    machines = [m for text in args.model for m in measured(args, text)]
    machines += [m for text in args.profile for m in predicted(args, text)]
    machines += [given(text) for text in args.rates]
    rows = []
    with tempfile.TemporaryDirectory(prefix="slm-voice-") as folder:
        files = speak(pathlib.Path(folder))
        for name, prompt, token in [("demo", None, None), *machines]:
            charges = [] if prompt is None else [
                "--charge-prompt", f"{prompt:.4f}", "--charge-token", f"{token:.4f}",
                "--charge-recognition", str(args.recognition), "--charge-voice", str(args.voice)]
            shown = (1, 8) if prompt is None else (round(prompt, 3), round(token, 3))
            runs = [(name, without, prompt is None) for without in WITHOUT]
            for row, without, streams in runs + ([(f"{name}-streams", "", True)] if charges else []):
                turns = turns_of(args, files, charges + WITHOUT[without], streams)
                rows.append(row_of(row, without, shown, turns))
                print_row(rows[-1])
        if args.heard:
            rows.append(row_of("heard", "", (1, 8), heard(args, pathlib.Path(folder))))
            print_row(rows[-1])
    if args.csv:
        write_csv(args.csv, rows)


if __name__ == "__main__":
    try:
        main()
    except (Failed, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        sys.exit(f"voice_latency: {error}")
