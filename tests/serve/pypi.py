"""Packages of PyPI for tests, installed once into an environment in the folder of the build, in the
versions of tests/pypi.txt."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(os.environ.get("SLM_SOURCE_DIR") or Path(__file__).resolve().parents[2])
FOLDER = Path(os.environ.get("SLM_BINARY_DIR") or ROOT / "build/release")
VERSIONS = ROOT / "tests/pypi.txt"
PINS = VERSIONS.read_text(encoding="utf-8") if sys.version_info >= (3, 11) else ""
SKIP = 77
PAUSES = (5, 20, 0) # seconds behind each attempt
INSTALL_SECONDS = 200


def install(name, packages):
    """The interpreter of the environment with this name; None where PyPI cannot be reached."""
    with open(FOLDER / f"{name}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several tests may want the same one
        return install_alone(FOLDER / name, packages)


def install_alone(folder, packages):
    python, stamp = folder / "bin/python", folder / "installed"
    wanted = hashlib.sha256((" ".join(packages) + PINS).encode()).hexdigest()
    pinned = ("--constraint", VERSIONS) if PINS else ()
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    if not succeeds(sys.executable, "-m", "venv", folder):
        return None
    for pause in PAUSES: # a network may be away for a moment
        if succeeds(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *pinned,
                    *packages):
            stamp.write_text(wanted)
            return python
        time.sleep(pause)
    return None


def succeeds(*command):
    try:
        done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=INSTALL_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        print(error, file=sys.stderr)
        return False
    if done.returncode != 0:
        print(done.stdout.decode(errors="replace")[-2000:], file=sys.stderr)
    return done.returncode == 0


def need(name, packages):
    """The same; without it the test is skipped, or fails where all tests are to run."""
    python = install(name, packages)
    if python is None:
        print("the packages of PyPI could not be installed", file=sys.stderr)
        sys.exit(1 if os.environ.get("CI") == "true" else SKIP)
    return python
