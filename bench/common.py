"""What the scripts of this folder share: running programs, facts about the machine, CSV files."""
import csv
import datetime
import pathlib
import platform
import re
import shutil
import subprocess

# Instruction sets that decide how fast a model runs.
FLAGS = """avx2 fma f16c avx_vnni avx512f avx512bw avx512vl avx512_vnni avx512_bf16 avx512_fp16
    amx_tile amx_int8 amx_bf16 asimd asimdhp asimddp i8mm bf16 sve sve2""".split()


class Failed(Exception):
    """A program that did not do its work; the text says which and what it said last."""


def run(command, timeout=None):
    """(standard output, standard error) of a command that must succeed."""
    words = [str(c) for c in command]
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=timeout)
    except OSError as error:
        raise Failed(f"{words[0]}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{' '.join(words)}: not done after {timeout} s") from error
    err = done.stderr.decode(errors="replace")
    if done.returncode != 0:
        last = (err.strip().splitlines() or ["no message"])[-1]
        raise Failed(f"{' '.join(words)}: exit status {done.returncode}: {last}")
    return done.stdout.decode(errors="replace"), err


def said(*command):
    """The first line that a command says, "" where it fails."""
    try:
        return (run(command)[0].strip().splitlines() or [""])[0]
    except Failed:
        return ""


def machine():
    """{"cpu", "cores", "flags"} of this machine."""
    fields = {}
    if shutil.which("lscpu"):
        for line in run(["env", "LC_ALL=C", "lscpu"])[0].splitlines():
            key, _, value = line.partition(":")
            fields.setdefault(key.strip(), value.strip())
    per_core = fields.get("Thread(s) per core", "1")
    logical = int(fields.get("CPU(s)", "0"))
    have = set(fields.get("Flags", "").split())
    return {"cpu": fields.get("Model name", platform.machine()),
            "cores": logical // int(per_core) if per_core.isdigit() else logical,
            "flags": " ".join(f for f in FLAGS if f in have)}


def compiler_of(program):
    """Who compiled a program, as its ELF comment says."""
    path = shutil.which(str(program)) or str(program)
    try:
        text = run(["readelf", "-p", ".comment", path])[0]
    except Failed:
        return ""
    names = re.findall(r"\]\s+(.+)", text)
    clang = [n for n in names if "clang" in n]  # beside it stands the gcc of the C library
    return (clang or names or [""])[0].strip()


def commit_of(program):
    """The commit that the source tree of a CMake build is at, "-dirty" behind it where it was
    changed since; "" where that cannot be told."""
    path = pathlib.Path(shutil.which(str(program)) or program).resolve()
    for folder in path.parents:
        cache = folder / "CMakeCache.txt"
        if cache.is_file():
            home = re.search(r"^CMAKE_HOME_DIRECTORY:INTERNAL=(.+)$",
                             cache.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
            return said("git", "--no-optional-locks", "-C", home.group(1), "describe", "--always",
                        "--dirty") if home else ""
    return ""


def today():
    """The date, UTC, as in 2026-01-31."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")


def write_csv(path, rows):
    """Rows (dicts) as CSV; the columns are those of all rows, in the order of their appearance."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, fieldnames=columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_csv(path):
    """The rows of a CSV file as dicts of strings."""
    with open(path, newline="", encoding="utf-8") as source:
        return list(csv.DictReader(source))


def print_row(row):
    """One row for a person who watches."""
    print(*(f"{k}={v}" for k, v in row.items() if v != ""), flush=True)
