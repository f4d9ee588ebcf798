"""Hundreds of spoken turns in one process, and whether anything of them stays behind.

    python3 bench/voice_soak.py [--loop voice_loop] [--turns 500] [--csv OUT.csv] [--live]
        [voice_loop's options ...]

Wishes, questions and what is no business of a home, by espeak-ng in several voices; every fifth is
said into the answer before it, every seventh is a knock. Recogniser, voice and model are those of
voice_loop by itself, or what is passed on. By itself on the virtual clock; --live goes at the pace of
the sound, with the threads that a device has: 500 turns are 40 minutes.

After each turn the process is looked at: memory (resident, kB), descriptors, threads, processes of
its own. A row for every fifty turns: the most of each in them. It fails where the loop does, where a
turn has an error, where the last hundred turns have more descriptors, threads or processes at the
most than the second fifty had, or more than 2 MB more memory, and where a process that the loop
started outlives it.
"""
import argparse
import array
import itertools
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import wave

from common import Failed, print_row, today, write_csv
from voice_noise import RATE, STRANGERS, VOICES, WISHES

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/voice"))
from voice_case import say  # noqa: E402  (how the tests make speech)

SLOT, SOON, ROW = 4.5, 2.6, 50  # seconds from wish to wish, and to one that interrupts; turns
GROWTH_KB = 2048
LONGEST = 3  # sounds for a turn: knocks, what is passed over and what goes on make none


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
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", "not compressed"))
        for seconds, speech in itertools.islice(sounds(), LONGEST * turns):
            file.writeframes(array.array("h", speech).tobytes())
            file.writeframes(bytes(2 * max(0, int(seconds * RATE) - len(speech))))


def begun(pid):
    """When a process began, by which it differs from a later one of its number; None: there is none."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except OSError:
        return None


def children(pid):
    """The processes that a process has started, and theirs."""
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            for child in (task / "children").read_text().split():
                found += [int(child), *children(child)]
        except OSError:
            pass  # it has ended since
    return found


def look(pid):
    """What a process holds now, and which processes it has."""
    fields = dict(line.split(":", 1) for line in
                  pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    own = [(child, begun(child)) for child in children(pid)]
    held = {"memory_kb": int(fields["VmRSS"].split()[0]), "threads": int(fields["Threads"]),
            "descriptors": len(os.listdir(f"/proc/{pid}/fd")), "processes": len(own)}
    return held, own


def soak(args, rest, wav):
    """What the loop held after each turn; its turns."""
    held, turns, own = [], [], set()
    clock = [] if args.live else ["--virtual-clock"]
    with subprocess.Popen([args.loop, "--wav-in", str(wav), *clock, *rest],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        for line in process.stdout:
            turns.append(json.loads(line))
            now, started = look(process.pid)
            held.append(now)
            own.update(started)
            if len(turns) == args.turns:
                process.terminate()
                break
        process.stdout.read()
    if len(turns) < args.turns:
        raise Failed(f"the loop ended with status {process.returncode} after {len(turns)} turns")
    left = [pid for pid, since in own if since and begun(pid) == since]
    return held, turns, left


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
        wav = pathlib.Path(folder) / "in.wav"
        write_input(wav, args.turns)
        held, turns, left = soak(args, rest, wav)
    rows = []
    for begin in range(0, len(held), ROW):
        part, so_far = held[begin:begin + ROW], turns[:begin + ROW]
        rows.append({"date": today(), "clock": "live" if args.live else "virtual",
                     "turns": begin + len(part),
                     "interrupted": sum(t["interrupted"] for t in so_far),
                     "refused": sum("understand" in " ".join(t["also_said"]) for t in so_far),
                     "errors": sum(bool(t["error"]) for t in so_far),
                     **{name: max(x[name] for x in part) for name in part[0]}})
        print_row(rows[-1])
    if args.csv:
        write_csv(args.csv, rows)
    early = {name: rows[1][name] for name in held[0]}
    late = {name: max(x[name] for x in held[-2 * ROW:]) for name in held[0]}
    grown = [f"{name} {early[name]} -> {late[name]}" for name in early
             if late[name] > early[name] + (GROWTH_KB if name == "memory_kb" else 0)]
    if left:
        raise Failed(f"processes outlive the loop: {left}")
    if grown or rows[-1]["errors"]:
        raise Failed(f"it grew: {', '.join(grown) or 'nothing'}; errors: {rows[-1]['errors']}")


if __name__ == "__main__":
    try:
        main()
    except (Failed, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        sys.exit(f"voice_soak: {error}")
