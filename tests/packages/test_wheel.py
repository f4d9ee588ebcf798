"""The wheel: its tag tells the truth about what it needs, and pip installs it, without a network, into
an environment of its own, where the binding's tests run with the library that it brought."""

import base64
import csv
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from package_case import BINARY, HEARTH, ROOT, VERSION, check, plain_environment, run, want

SYSTEM = {"libc.so.6", "libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0", "libgcc_s.so.1"}

EXAMPLE = """
import sys, slm
with slm.Model(sys.argv[1]) as model, model.session() as session:
    print("".join(session.ask("Set a timer for ten minutes.", temperature=0)))
print(slm.__file__)
for line in open("/proc/self/maps"):
    if "slm" in line or "gomp" in line or "utf8proc" in line:
        print(line.split()[-1])
"""


def make(folder, **env):
    out = run(sys.executable, "-B", ROOT / "tools/package/wheel.py", "--library",
              BINARY / "wheel/libslm.so.0", "--out", folder, env=dict(os.environ, **env))
    return Path(out.strip())


def check_record(path):
    """Each file with its digest and size, as pip would have it."""
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        record = next(n for n in names if n.endswith(".dist-info/RECORD"))
        rows = list(csv.reader(wheel.read(record).decode().splitlines()))
        check(sorted(row[0] for row in rows) == sorted(names), f"{path}: RECORD names other files")
        for name, digest, size in rows:
            data = wheel.read(name)
            if name != record:
                wanted = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
                check((digest, size) == (f"sha256={wanted}", str(len(data))), f"RECORD: {name}")
        binding = {f"slm/{p.name}" for p in (ROOT / "examples/ffi/python/slm").iterdir() if p.is_file()}
        check(binding <= set(names) and "slm/py.typed" in binding,
              f"{path}: has not {sorted(binding - set(names))}")
        licences = [n for n in names if "/LICENSE" in n]
        check(wheel.read(min(licences)) == (ROOT / "LICENSE").read_bytes(), "no LICENSE")


def check_tag(path, folder):
    """Nothing that is packed wants a newer glibc than the tag says, or a library that may be absent."""
    with zipfile.ZipFile(path) as wheel:
        wheel.extractall(folder)
    libraries = sorted(folder.glob("slm/*.so*"))
    packed = {p.name for p in libraries}
    newest = (0, 0)
    for library in libraries:
        for major, minor in re.findall(r"GLIBC_(\d+)\.(\d+)", run("objdump", "-T", library)):
            newest = max(newest, (int(major), int(minor)))
        for name in re.findall(r"NEEDED.*\[(.*)\]", run("readelf", "-d", library)):
            check(name in packed | SYSTEM or name.startswith("ld-linux"),
                  f"{library.name}: needs {name}, which is neither packed nor everywhere")
    machine = os.uname().machine
    wanted = f"libslm-{VERSION}-py3-none-manylinux_{newest[0]}_{newest[1]}_{machine}.whl"
    check(path.name == wanted, f"got {path.name}, wanted {wanted}")


def install(path, work):
    python = work / "environment/bin/python"
    run(sys.executable, "-m", "venv", work / "environment", env=plain_environment())
    run(python, "-m", "pip", "install", "-q", "--no-index", "--disable-pip-version-check", path,
        env=plain_environment())
    return python


def use(python, work):
    out = run(python, "-c", EXAMPLE, HEARTH, env=plain_environment(), cwd=work).splitlines()
    check(re.search("ten|10", out[0].lower()), f"the model says {out[0]!r}")
    for path in out[1:]:
        check(path.startswith(str(work / "environment")), f"{path} is not that of the wheel")
    check(any("libslm.so.0" in p for p in out) and any("gomp" in p or "omp" in p for p in out[1:]),
          f"loaded: {out}")
    # The binding's tests, where there is no binding beside them.
    tests = work / "examples/ffi/python"
    tests.mkdir(parents=True)
    for name in ("test_slm.py", "test_aio.py"):
        (tests / name).write_bytes((ROOT / "examples/ffi/python" / name).read_bytes())
    for folder in ("models", "household"):
        (work / "examples" / folder).symlink_to(ROOT / "examples" / folder)
    for name in ("test_slm.py", "test_aio.py"):
        done = subprocess.run([python, "-B", tests / name], env=plain_environment(CI="false"),
                              cwd=work, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              check=False)
        check(done.returncode in (0, 77), f"{name}: exit status {done.returncode}\n{done.stdout}")


def main():
    want("objdump", "readelf", "ldd", "venv", "ensurepip")
    with tempfile.TemporaryDirectory(prefix="slm-wheel-") as folder:
        work = Path(folder)
        path = make(work / "made")
        check_record(path)
        check_tag(path, work / "unpacked")
        again = make(work / "again")
        check(again.read_bytes() == path.read_bytes(), "the same library made another wheel")
        use(install(path, work), work)
    print(f"wheel: {path.name}, installed by pip and used")


if __name__ == "__main__":
    main()
