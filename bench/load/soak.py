"""Minutes of mixed load on `slm serve`: streams, clients that leave in the middle, connections that say
nothing. Memory has to stay flat, and every answer has to be what it is on a quiet server.

    python3 bench/load/soak.py BUILD [--seconds 300] [--streams 32] [--idle 200] [--model FILE]

BUILD is a folder with bin/slm and bin/slm_load. Prints one line of JSON; exit status 1 where something
was not as it has to be."""

import argparse
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GROWTH = 8 << 20 # bytes that the second half may have beyond the first


def start(arguments, log):
    server = subprocess.Popen(
        [arguments.build / "bin/slm", "serve", arguments.model, "--port", "0", "-t", "1",
         "--parallel", "8", "--queue", "128"], stdin=subprocess.DEVNULL, stderr=log)
    while True:
        log.seek(0)
        found = re.search(rb"listening on http://([^,]*)", log.read())
        if found:
            return server, found.group(1).decode()
        if server.poll() is not None:
            sys.exit("soak: the server did not start")
        time.sleep(0.05)


def resident(server):
    status = Path(f"/proc/{server.pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) * 1024


def files(server):
    return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))


def run(arguments):
    """What came of it, with the reasons for which it is not good."""
    log = tempfile.TemporaryFile()
    server, address = start(arguments, log)
    n_files = files(server)
    client = subprocess.Popen(
        [arguments.build / "bin/slm_load", address, "--check", "--drop", "0.25", "--tokens",
         str(arguments.tokens), "--idle", str(arguments.idle), "--streams", str(arguments.streams),
         "--seconds", str(arguments.seconds)], stdout=subprocess.PIPE)
    rss = []
    while client.poll() is None:
        rss.append(resident(server))
        time.sleep(max(0.2, arguments.seconds / 300))
    result = json.loads(client.stdout.read() or "{}")
    limit = time.monotonic() + 30
    while files(server) > n_files and time.monotonic() < limit:
        time.sleep(0.1)
    left = files(server) - n_files
    server.send_signal(signal.SIGTERM)
    status = server.wait(60)
    log.seek(0)
    half = rss[len(rss) // 4:len(rss) // 2], rss[len(rss) // 2:] # the beginning fills pools
    growth = max(half[1]) - max(half[0])
    result.update(rss_bytes=max(rss), growth_bytes=growth, files_left=left, exit_status=status)
    good = (result.get("requests", 0) > 0 and result["dropped"] > 0 and result["different"] == 0 and
            result["failed"] == 0 and growth < GROWTH and left <= 0 and status == 0 and
            b"ERROR" not in log.read())
    return result, good


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--idle", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--model", type=Path, default=ROOT / "examples/models/hearth.gguf")
    result, good = run(parser.parse_args())
    print(json.dumps(result))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
