"""What the tests of the packages share."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(os.environ.get("SLM_SOURCE_DIR") or Path(__file__).resolve().parents[2])
BINARY = Path(os.environ["SLM_BINARY_DIR"])
CC = os.environ.get("SLM_CC", "cc")
CMAKE = os.environ.get("CMAKE", "cmake")
HEARTH = ROOT / "examples/models/hearth.gguf"
VERSION = re.search(r"project\(libslm VERSION ([\d.]+)",
                    (ROOT / "CMakeLists.txt").read_text(encoding="utf-8"))[1]


def run(*args, **kwargs):
    """The output of a command that succeeds."""
    done = subprocess.run([str(a) for a in args], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, **kwargs)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, args))}\n{done.stdout}\nexit status {done.returncode}")
    return done.stdout


def check(good, complaint):
    if not good:
        sys.exit(complaint)


def want(*programs):
    """Skips the test, visibly, where these programs or modules are not installed."""
    missing = [p for p in programs if not shutil.which(p) and not importlib.util.find_spec(p)]
    if missing:
        print(f"not installed: {', '.join(missing)}", file=sys.stderr)
        sys.exit(1 if os.environ.get("CI") == "true" else 77)


def plain_environment(**more):
    """Nothing in it leads to the tree or to a library elsewhere."""
    env = {k: v for k, v in os.environ.items()
           if not k.startswith(("SLM_", "LD_", "PYTHON", "PKG_CONFIG"))}
    return dict(env, **more)
