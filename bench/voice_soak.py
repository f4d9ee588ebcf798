"""Hundreds of spoken turns in one process, and whether anything of them stays behind.

    python3 bench/voice_soak.py [--loop voice_loop] [--turns 500] [--csv OUT.csv] [--live]
        [voice_loop's options ...]

Wishes, questions and what is no business of a home, by espeak-ng in several voices; every fifth is
said into the answer before it, every seventh is a knock. Recogniser, voice and model are those of
voice_loop by itself, or what is passed on. On the virtual clock some fifteen minutes of sound take
one or two; --live goes at the pace of the sound, with the threads that a device has.

After each turn the process is looked at: memory (resident, kB), descriptors, threads, processes of
its own. A row for every fifty turns: the most of each in them. It fails where the loop does, where a
turn has an error, or where the last hundred turns have more descriptors, threads or processes at the
most than the second fifty had, or more than 2 MB more memory.
"""
import argparse
import itertools
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

from common import Failed, print_row, today, write_csv
from voice_noise import RATE, STRANGERS, VOICES, WISHES

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/voice"))
from voice_case import say, write_wav  # noqa: E402  (how the tests make speech)

SLOT, SOON, ROW = 4.5, 2.6, 50  # seconds from wish to wish, and to one that interrupts; turns
GROWTH_KB = 2048


def sounds():
    """Every sentence in a voice of its own, and a knock now and then, for ever."""
    rng = random.Random(1)
    knock = [int(rng.gauss(0, 6000)) for _ in range(RATE // 10)]
    texts = itertools.cycle(WISHES + ["stop the timer", "thank you very much"] + STRANGERS[:3])
    voices = itertools.cycle(VOICES)
    spoken = {}
    for i in itertools.count(1):
        key = next(texts), next(voices)
        if key not in spoken:
            spoken[key] = say(*key, RATE)
        yield SOON if i % 5 == 0 else SLOT, spoken[key] if i % 7 else knock


def write_input(path, turns):
    """A file with more than enough to be said for so many turns."""
    samples = []
    source = sounds()
    for _ in range(turns + turns // 4 + 10):
        seconds, speech = next(source)
        room = [0] * (int(seconds * RATE) - len(speech))
        samples += speech + room
    return write_wav(path, samples, RATE)


def children(pid):
    """The processes that a process has started, and theirs."""
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *children(child)]
    return found


def look(pid):
    """What a process holds now."""
    fields = dict(line.split(":", 1) for line in
                  pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return {"memory_kb": int(fields["VmRSS"].split()[0]), "threads": int(fields["Threads"]),
            "descriptors": len(os.listdir(f"/proc/{pid}/fd")), "processes": len(children(pid))}


def soak(args, rest, wav):
    """What the loop held after each turn; its turns."""
    held, turns = [], []
    clock = [] if args.live else ["--virtual-clock"]
    with subprocess.Popen([args.loop, "--wav-in", str(wav), *clock, *rest],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        for line in process.stdout:
            turns.append(json.loads(line))
            held.append(look(process.pid))
            if len(turns) == args.turns:
                process.terminate()
                break
        process.stdout.read()
    if len(turns) < args.turns:
        raise Failed(f"the loop ended with status {process.returncode} after {len(turns)} turns")
    return held, turns


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loop", default=str(ROOT / "build/release/bin/voice_loop"))
    parser.add_argument("--turns", type=int, default=500)
    parser.add_argument("--live", action="store_true", help="at the pace of the sound")
    parser.add_argument("--csv")
    args, rest = parser.parse_known_args()
    if args.turns < 4 * ROW:
        raise Failed(f"--turns {args.turns}: wanted {4 * ROW} at least")
    with tempfile.TemporaryDirectory(prefix="slm-voice-") as folder:
        held, turns = soak(args, rest, write_input(pathlib.Path(folder) / "in.wav", args.turns))
    rows = []
    for begin in range(0, len(held), ROW):
        part = held[begin:begin + ROW]
        rows.append({"date": today(), "turns": begin + len(part),
                     "interrupted": sum(t["interrupted"] for t in turns[:begin + len(part)]),
                     "errors": sum(bool(t["error"]) for t in turns[:begin + len(part)]),
                     **{name: max(x[name] for x in part) for name in part[0]}})
        print_row(rows[-1])
    if args.csv:
        write_csv(args.csv, rows)
    early = {name: rows[1][name] for name in held[0]}
    late = {name: max(x[name] for x in held[-2 * ROW:]) for name in held[0]}
    grown = [f"{name} {early[name]} -> {late[name]}" for name in early
             if late[name] > early[name] + (GROWTH_KB if name == "memory_kb" else 0)]
    if grown or rows[-1]["errors"]:
        raise Failed(f"it grew: {', '.join(grown) or 'nothing'}; errors: {rows[-1]['errors']}")


if __name__ == "__main__":
    try:
        main()
    except (Failed, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        sys.exit(f"voice_soak: {error}")
