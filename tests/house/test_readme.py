"""The programs printed in README.md: they compile without a warning, link, and do what is said
there with the model that comes with the repository."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tree import ROOT, Verdict

BINARY = Path(os.environ["SLM_BINARY_DIR"])
CC = os.environ.get("SLM_CC", "cc")
MODEL = ROOT / "examples/models/hearth.gguf"
FLAGS = ["-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror"]


def run(verdict, command, wanted_output, status=0):
    env = dict(os.environ, LD_LIBRARY_PATH=str(BINARY), SLM_LIBRARY=str(BINARY / "libslm.so"))
    done = subprocess.run([str(c) for c in command], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env=env, cwd=ROOT)
    verdict.check(done.returncode == status and re.search(wanted_output, done.stdout),
                  f"{' '.join(map(str, command))}: exit status {done.returncode}\n{done.stdout}")


def main():
    verdict = Verdict("readme")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = dict(re.findall(r"^```(c|python)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    for name in re.findall(r"\]\(([^)#:]+)\)", text):
        verdict.check((ROOT / name).exists(), f"README.md links to {name}, which is not there")
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "ask.c"), Path(folder, "ask")
        source.write_text(block["c"], encoding="utf-8")
        script = Path(folder, "talk.py")
        script.write_text(block["python"], encoding="utf-8")
        sanitized = bool(os.environ.get("SLM_SANITIZE"))
        link = ["-fsyntax-only"] if sanitized else ["-o", program, f"-L{BINARY}", "-lslm"]
        run(verdict, [CC, *FLAGS, f"-I{ROOT}/include", source, *link], "")
        if not sanitized:
            run(verdict, [program, "no-such-file.gguf", "Hello"], "no-such-file", status=1)
            if MODEL.exists():
                run(verdict, [program, MODEL, "What can you do?"], r"\w+ \w+")
                run(verdict, [sys.executable, "-B", script, MODEL], r"timer.*\n.*\w+")
    verdict.done()


if __name__ == "__main__":
    main()
