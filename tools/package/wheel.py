#!/usr/bin/env python3
"""Packs the Python binding with the library into a wheel that pip installs:

    wheel.py --library build/release/wheel/libslm.so.0 [--out FOLDER]

The libraries that libslm needs and that not every Linux has are packed too. The tag says which glibc is
needed at least, from the symbols of all that is packed (PEP 600); it is plain linux_MACHINE where
something else than the libraries of that policy would have to be there. Prints the file's path.
"""

import argparse
import base64
import hashlib
import os
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINDING = ROOT / "examples/ffi/python/slm"
# Libraries that a wheel may expect of the system: those of glibc and of the compiler (PEP 513).
SYSTEM = re.compile(r"(lib(c|m|dl|rt|pthread|util|gcc_s)\.so\.\d+|ld-linux.*\.so\.\d+)$")
GLIBC = re.compile(r"\(?\bGLIBC_(\d+)\.(\d+)(\.\d+)?\b")

METADATA = """Metadata-Version: 2.1
Name: libslm
Version: {version}
Summary: Small language models from GGUF files, in the process of your program
License: MIT
Classifier: Typing :: Typed
Requires-Python: >=3.8
Description-Content-Type: text/markdown

# libslm

```python
{example}
```
"""


def run(*command):
    done = subprocess.run([str(c) for c in command], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit(f"wheel: {' '.join(map(str, command))}: exit status {done.returncode}\n{done.stderr}")
    return done.stdout


def needed(path):
    return re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", path))


def with_libraries(library):
    """The library and all that it needs and not every system has: name -> file."""
    found = dict(re.findall(r"^\s*(\S+) => (/\S+)", run("ldd", library), re.MULTILINE))
    packed, waiting = {}, [library.name]
    found[library.name] = str(library)
    while waiting:
        name = waiting.pop()
        if name in packed or SYSTEM.match(name):
            continue
        if name not in found:
            sys.exit(f"wheel: {library}: needs {name}, which is not here")
        packed[name] = Path(found[name])
        waiting += needed(found[name])
    return packed


def platform_tag(libraries):
    """manylinux_2_N_MACHINE for the newest version of a symbol of glibc that is asked for."""
    versions = {(2, 5)}  # the oldest that the policy knows
    for path in libraries.values():
        for line in run("objdump", "-T", path).splitlines():
            if "*UND*" in line:
                versions |= {(int(m[1]), int(m[2])) for m in GLIBC.finditer(line)}
    outside = {n for p in libraries.values() for n in needed(p)} - set(libraries)
    machine = os.uname().machine
    if all(SYSTEM.match(name) for name in outside):
        major, minor = max(versions)
        return f"manylinux_{major}_{minor}_{machine}"
    return f"linux_{machine}"


def version():
    text = (ROOT / "include/slm.h").read_text(encoding="utf-8")
    number = dict(re.findall(r"#define SLM_VERSION_(MAJOR|MINOR|PATCH) (\d+)", text))
    return f"{number['MAJOR']}.{number['MINOR']}.{number['PATCH']}"


def example():
    """The program in the description of the binding."""
    text = (BINDING / "__init__.py").read_text(encoding="utf-8")
    return "\n".join(line[4:] for line in text.split("\n\n")[1].split("\n"))


def contents(libraries, tag):
    """name in the wheel -> bytes"""
    number = version()
    info = f"libslm-{number}.dist-info"
    files = {f"slm/{path.name}": path.read_bytes() for path in sorted(BINDING.iterdir())
             if path.suffix == ".py" or path.name == "py.typed"}
    files |= {f"slm/{name}": path.read_bytes() for name, path in sorted(libraries.items())}
    files[f"{info}/METADATA"] = METADATA.format(version=number, example=example()).encode()
    files[f"{info}/WHEEL"] = (f"Wheel-Version: 1.0\nGenerator: libslm {number}\n"
                              f"Root-Is-Purelib: false\nTag: py3-none-{tag}\n").encode()
    files[f"{info}/LICENSE"] = (ROOT / "LICENSE").read_bytes()
    for name, path in libraries.items():
        licence = licence_of(path)
        if licence:
            files[f"{info}/LICENSE.{name}"] = licence.read_bytes()
    record = "".join(f"{name},sha256={digest(data)},{len(data)}\n" for name, data in files.items())
    files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    return files


def digest(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def licence_of(path):
    """The terms of a library that a Debian package brought; None where that cannot be told."""
    if path.name.startswith("libslm."):
        return None
    for name in (str(path.resolve()), str(path), "/usr" + str(path.resolve())):
        done = subprocess.run(["dpkg-query", "-S", name], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, check=False)
        if done.returncode == 0:
            package = done.stdout.split(":")[0]
            terms = Path("/usr/share/doc", package, "copyright")
            return terms if terms.is_file() else None
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--library", required=True, type=Path, help="built by the target slm_wheel")
    parser.add_argument("--out", default=Path("."), type=Path, help="folder of the wheel")
    args = parser.parse_args()
    if not args.library.is_file():
        parser.error(f"--library: got no file {args.library}")
    libraries = with_libraries(args.library.absolute())
    tag = platform_tag(libraries)
    # The same input makes the same bytes.
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH", 315532800))
    stamp = time.gmtime(max(seconds, 315532800))[:6]
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"libslm-{version()}-py3-none-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in contents(libraries, tag).items():
            entry = zipfile.ZipInfo(name, stamp)
            entry.external_attr = (0o755 if ".so" in name else 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            wheel.writestr(entry, data)
    print(path)


if __name__ == "__main__":
    main()
