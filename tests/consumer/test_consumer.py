"""Installs the build to a prefix of its own and uses it as a stranger would: C11 and C++17, by
pkg-config and by find_package, shared and static. The prefix is moved once after installing."""

import os
import shutil
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

SOURCE = Path(__file__).resolve().parent
BINARY = os.environ["SLM_BINARY_DIR"]
CMAKE = os.environ.get("CMAKE", "cmake")
CC = os.environ.get("SLM_CC", "cc")
CXX = CC.replace("clang", "clang++") if "clang" in CC else shutil.which("g++") or "c++"
WARN = ["-Wall", "-Wextra", "-pedantic", "-Werror"]


def run(args, **kwargs):
    done = subprocess.run([str(a) for a in args], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **kwargs)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, args))}\n{done.stdout}\nexit status {done.returncode}")
    return done.stdout


def run_program(path, prefix, shared):
    needed = run(["readelf", "-d", path])
    if ("libslm.so" in needed) != shared:
        sys.exit(f"{path}: wanted libslm {'shared' if shared else 'static'}, got\n{needed}")
    env = dict(os.environ, LD_LIBRARY_PATH=str(prefix / "lib"))
    out = run([path], env=env)
    if not out.startswith("libslm "):
        sys.exit(f"{path}: unexpected output {out!r}")


def by_pkg_config(prefix, work, shared):
    env = dict(os.environ, PKG_CONFIG_PATH=str(prefix / "lib" / "pkgconfig"))
    query = ["pkg-config", "--cflags", "--libs"] + ([] if shared else ["--static"])
    flags = run(query + ["libslm"], env=env).split()
    for compiler, std, language in ((CC, "-std=c11", "c"), (CXX, "-std=c++17", "c++")):
        out = work / f"pc_{language}_{shared}"
        run([compiler, std, *WARN, "-x", language, SOURCE / "consumer.c", "-x", "none", "-o", out,
             *flags])
        run_program(out, prefix, shared)


def by_find_package(prefix, work, shared):
    component = "shared" if shared else "static"
    build = work / f"cmake_{component}"
    run([CMAKE, "-S", SOURCE, "-B", build, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}",
         f"-DLIBSLM_COMPONENT={component}", f"-DCMAKE_C_COMPILER={CC}",
         f"-DCMAKE_CXX_COMPILER={CXX}"])
    run([CMAKE, "--build", build])
    for program in ("consumer_c", "consumer_cxx"):
        run_program(build / program, prefix, shared)


def finds_its_files(prefix, work):
    """The voice loop has its model and its household beside it: silence is heard to its end."""
    with wave.open(str(work / "silence.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(bytes(32000))
    program = prefix / "bin/voice_loop"
    run([program, "--wav-in", work / "silence.wav", "--virtual-clock", "--speaker", "fake"], cwd=work)


def main():
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        run([CMAKE, "--install", BINARY, "--prefix", work / "first"])
        prefix = work / "moved"
        (work / "first").rename(prefix)
        for path in ("include/slm.h", "include/slm_chat.h", "include/slm_batch.h", "lib/libslm.a",
                     "lib/libslm.so", "lib/libslm.so.0", "lib/pkgconfig/libslm.pc",
                     "lib/cmake/libslm/libslmConfig.cmake",
                     "lib/cmake/libslm/libslmConfigVersion.cmake"):
            if not (prefix / path).exists():
                sys.exit(f"cmake --install did not install {path}")
        if (Path(BINARY) / "bin/voice_loop").exists():
            finds_its_files(prefix, work)
        by_pkg_config(prefix, work, shared=True)
        by_find_package(prefix, work, shared=True)
        by_find_package(prefix, work, shared=False)
        # -lslm takes the archive only where there is no shared library.
        for library in (prefix / "lib").glob("libslm.so*"):
            library.unlink()
        by_pkg_config(prefix, work, shared=False)
    print("consumer: C11 and C++17, pkg-config and find_package, shared and static")


if __name__ == "__main__":
    main()
