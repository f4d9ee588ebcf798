"""Servers of the OpenAI API under the same load, in turns, on one file.

    python3 bench/load/peers.py MODEL.gguf --slm BUILD/bin/slm --load BUILD/bin/slm_load \\
        --peer "llama.cpp=PEER/bin/llama-server" --streams 1,4,8,16 --rounds 3 --csv FILE

Each level of each round has fresh servers with as many slots as there are streams, of --ctx tokens each, and
all programs in turns, in the opposite order in each second round. No two prompts are alike, so that nothing
evaluated before is of use. With --arrive the last of the slots is for newcomers: what their short requests
wait for while the others are answered. A server's options stand in the CSV; slm has its defaults."""

import argparse
import json
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import common

FIGURES = (("tokens_per_second", "tokens/s"), ("first_token_p50", "ms"), ("first_token_p95", "ms"),
           ("first_token_p99", "ms"), ("between_tokens_p50", "ms"), ("between_tokens_p95", "ms"),
           ("between_tokens_p99", "ms"))
ARRIVING = tuple((f"arriving_first_token_p{p}", "ms") for p in (50, 95, 99))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def command(name, program, a, slots, port):
    if name == "slm":
        return [program, "serve", a.model, "--port", port, "-t", a.threads, "--parallel", slots,
                "-c", a.ctx]
    return [program, "-m", a.model, "--port", port, "-t", a.threads, "-tb", a.threads, "-np", slots,
            "-c", a.ctx * slots, *a.peer_options.split()]


def wait_until_ready(process, port):
    limit = time.monotonic() + 120
    while time.monotonic() < limit and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as r:
                if r.status == 200:
                    return
        except OSError:
            pass
        time.sleep(0.1)
    sys.exit(f"peers: {process.args[0]} does not answer")


def measure(name, program, a, n):
    """One program under one load: what slm_load says, flat."""
    port = free_port()
    arrive = ["--arrive", str(a.arrive)] if a.arrive else []
    streams = n - 1 if a.arrive else n
    with subprocess.Popen([str(w) for w in command(name, program, a, n, port)],
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as server:
        try:
            wait_until_ready(server, port)
            load = [a.load, f"127.0.0.1:{port}", "--distinct", "--tokens", str(a.tokens), "--words",
                    str(a.words)]
            subprocess.run([*load, "--streams", str(min(n, 2)), "--requests", "1"], check=True,
                           stdout=subprocess.DEVNULL) # warms up
            out = subprocess.run([*load, *arrive, "--streams", str(streams), "--seconds",
                                  str(a.seconds)], check=True, stdout=subprocess.PIPE).stdout
        finally:
            server.terminate()
            server.wait(60)
    r = json.loads(out)
    print(name, json.dumps(r), file=sys.stderr, flush=True)
    if r["failed"] or r["refused"]:
        sys.exit(f"peers: {name} with {n} streams: {r['failed']} requests failed, {r['refused']} "
                 "were refused, wanted none")
    whole = r["tokens"] == r["requests"] * a.tokens
    if not whole and not a.arrive:
        print(f"{name}: {r['tokens']} tokens of {r['requests']} requests, wanted {a.tokens} each",
              file=sys.stderr)
    flat = {"tokens_per_second": r["tokens_per_second"]}
    for key in ("first_token", "between_tokens", "arriving_first_token"):
        for i, p in enumerate((50, 95, 99)):
            if f"{key}_ms" in r:
                flat[f"{key}_p{p}"] = r[f"{key}_ms"][i]
    return flat


def ratio(unit, ours, theirs):
    """How many times as good ours is; nothing where the time was too short to be seen, as that between two
    tokens that a busy machine hands over at once."""
    above, below = (ours, theirs) if unit == "tokens/s" else (theirs, ours)
    return round(above / below, 3) if below else ""


def rows(a, programs, results, about):
    figures = ARRIVING if a.arrive else FIGURES
    for n in a.streams:
        for figure, unit in figures:
            ours = statistics.median(r[figure] for r in results["slm", n])
            for name in programs:
                values = [r[figure] for r in results[name, n]]
                median = statistics.median(values)
                yield dict(about, program=name, commit=common.commit_of(programs[name]),
                           compiler=common.compiler_of(programs[name]),
                           options=a.peer_options if name != "slm" else "", test=figure, n=n,
                           rounds=len(values), unit=unit, median=round(median, 2),
                           min=round(min(values), 2), max=round(max(values), 2),
                           ratio="" if name == "slm" else ratio(unit, ours, median))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--slm", required=True)
    parser.add_argument("--load", required=True, help="slm_load")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=SERVER",
                        help="with the options of llama-server; repeatable")
    parser.add_argument("--peer-options", default="-fa on -cb --cache-ram 0 --no-webui")
    parser.add_argument("--streams", default="1,4,8,16")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--first-round", type=int, default=0, help="its parity is the order")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--words", type=int, default=32)
    parser.add_argument("--ctx", type=int, default=512, help="tokens of a slot")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--arrive", type=float, default=0, help="seconds between newcomers")
    parser.add_argument("--json", type=Path, help="keeps results, to which another run adds")
    parser.add_argument("--csv", type=Path)
    a = parser.parse_args()
    a.streams = [int(n) for n in a.streams.split(",")]
    programs = {"slm": a.slm, **dict(p.split("=", 1) for p in a.peer)}
    results = {}
    if a.json and a.json.exists():
        for name, n, r in json.loads(a.json.read_text(encoding="ascii")):
            results.setdefault((name, n), []).append(r)
    for i in range(a.first_round, a.first_round + a.rounds):
        order = list(programs.items())
        for n in a.streams:
            for name, program in order if i % 2 == 0 else reversed(order):
                results.setdefault((name, n), []).append(measure(name, program, a, n))
                if a.json:
                    a.json.write_text(json.dumps([(*key, r) for key, rs in results.items()
                                                  for r in rs]), encoding="ascii")
    about = {"date": common.today(), **common.machine(), "model": a.model.stem,
             "file_bytes": a.model.stat().st_size, "words": a.words, "tokens": a.tokens,
             "threads": a.threads}
    table = list(rows(a, programs, results, about))
    for row in table:
        common.print_row({k: row[k] for k in ("program", "test", "n", "median", "min", "max", "ratio")})
    if a.csv:
        common.write_csv(a.csv, table)


if __name__ == "__main__":
    main()
