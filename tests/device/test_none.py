"""A build with CUDA where there is no device to use: it starts without any library of CUDA, runs models
on the processor and says so, and refuses where the device was asked for."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(os.environ["SLM_SOURCE_DIR"])
BINARY = Path(os.environ["SLM_BINARY_DIR"])
MODEL = ROOT / "examples/models/hearth.gguf"


def run(*command):
    # Where there is a device, it is hidden from the program.
    env = dict(os.environ, CUDA_VISIBLE_DEVICES="", OMP_WAIT_POLICY="passive")
    return subprocess.run([str(c) for c in command], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=env, check=False)


def check(good, complaint):
    if not good:
        sys.exit(f"device/none: {complaint}")


def main():
    slm = BINARY / "bin/slm"
    for path in (slm, BINARY / "libslm.so"):
        needed = run("readelf", "-d", path).stdout
        check("NEEDED" in needed and not re.search(r"NEEDED.*(cuda|cublas|nvidia|stdc\+\+)", needed),
              f"{path} needs more than the build without CUDA:\n{needed}")
    done = run(slm, "--version")
    check(done.returncode == 0 and done.stderr == "", f"slm --version: {done}")
    done = run(slm, "inspect", MODEL)
    check(done.returncode == 0 and "hearth" in done.stdout.lower(), f"slm inspect: {done}")

    words = ["run", MODEL, "--temp", "0", "-n", "8", "--raw", "the kitchen"]
    processor = run(slm, *words, "--device", "cpu")
    check(processor.returncode == 0 and processor.stdout.strip() and processor.stderr == "",
          f"slm run --device cpu: {processor}")
    auto = run(slm, *words)
    check(auto.returncode == 0 and auto.stdout == processor.stdout, f"slm run: {auto}")
    check(auto.stderr.count("\n") == 1 and "the model runs on the processor" in auto.stderr,
          f"slm run does not say in one line where it runs: {auto.stderr!r}")
    refused = run(slm, *words, "--device", "cuda")
    check(refused.returncode != 0 and refused.stdout == "", f"slm run --device cuda: {refused}")
    check(refused.stderr.count("\n") == 1 and
          re.search(r"NVIDIA driver|CUDA device", refused.stderr),
          f"slm run --device cuda does not say in one line why not: {refused.stderr!r}")
    print(f"device/none: {auto.stderr.strip()}")


if __name__ == "__main__":
    main()
