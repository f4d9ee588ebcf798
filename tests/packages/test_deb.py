"""The Debian packages: what they hold, what they depend on, and a stranger's use of them from a system
of its own: a C program by pkg-config, the program slm, and taking all of it away again."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from package_case import BINARY, CC, CMAKE, HEARTH, ROOT, VERSION, check, plain_environment, run, want

CONSUMER = ROOT / "tests/consumer/consumer.c"
REVISION = f"{VERSION}-1"
PACKAGES = {"libslm0": "libs", "libslm-dev": "libdevel", "slm-tools": "utils"}
HAS_VOICE = (BINARY / "bin/voice_loop").exists()
if HAS_VOICE:
    PACKAGES["slm-voice"] = "sound"


def make(folder):
    cpack = Path(CMAKE).with_name("cpack")
    run(cpack if cpack.exists() else "cpack", "--config", BINARY / "CPackConfig.cmake", "-G", "DEB",
        "-B", folder)
    machine = run("dpkg", "--print-architecture").strip()
    debs = {name: folder / f"{name}_{REVISION}_{machine}.deb" for name in PACKAGES}
    got = sorted(p.name for p in folder.glob("*.deb"))
    check(got == sorted(p.name for p in debs.values()), f"cpack made {got}")
    return debs


def field(deb, name):
    return run("dpkg-deb", "-f", deb, name).strip()


def check_control(debs):
    for name, deb in debs.items():
        check(field(deb, "Package") == name, f"{deb}: {field(deb, 'Package')}")
        check(field(deb, "Version") == REVISION, f"{name}: version {field(deb, 'Version')}")
        check(field(deb, "Section") == PACKAGES[name], f"{name}: section {field(deb, 'Section')}")
        check(re.fullmatch(r".+ <\S+@\S+>", field(deb, "Maintainer")), f"{name}: no maintainer")
        lines = field(deb, "Description").splitlines()
        check(len(lines) > 1 and 10 < len(lines[0]) < 80, f"{name}: description {lines}")
        check(all(re.match(r" \S.{0,78}$", line) for line in lines[1:]), f"{name}: {lines}")
    library, development, tools = [field(debs[name], "Depends") for name in PACKAGES][:3]
    for wanted in ("pocketsphinx-en-us", "espeak-ng", "libsndfile", "libpocketsphinx") if HAS_VOICE else ():
        depends = field(debs["slm-voice"], "Depends")
        check(wanted in depends, f"slm-voice depends on {depends}, wanted {wanted}")
    for wanted in ("libc6", "omp", "libutf8proc"):
        check(wanted in library, f"libslm0 depends on {library}, wanted {wanted}")
        check(wanted in tools, f"slm-tools depends on {tools}, wanted {wanted}")
    check(f"libslm0 (= {REVISION})" in development, f"libslm-dev depends on {development}")
    run("dpkg-deb", "-e", debs["libslm0"], debs["libslm0"].parent / "control")
    triggers = (debs["libslm0"].parent / "control/triggers").read_text(encoding="utf-8")
    check("activate-noawait ldconfig\n" in triggers, f"libslm0: triggers {triggers!r}")
    check("curl" not in library, f"libslm0 depends on {library}: it has a network client")
    for program in ("slm", "slm-pull", "slm-wyoming"):
        linked = "libcurl" in run("readelf", "-d", BINARY / "bin" / program)
        check(not linked or program == "slm-pull", f"{program} loads a network client")
        check(program != "slm-pull" or linked == ("libcurl" in tools), f"slm-tools depends on {tools}")


def check_contents(debs):
    owners = {}
    for name, deb in debs.items():
        for line in run("dpkg-deb", "-c", deb).splitlines():
            mode, owner, _, _, _, path = line.split(None, 5)
            path = path.split(" -> ")[0]
            check(owner == "root/root", f"{name}: {path} belongs to {owner}")
            check(path.startswith("./usr/") or path in ("./", "./usr/"), f"{name}: holds {path}")
            wanted = {"d": "drwxr-xr-x", "l": "lrwxrwxrwx"}.get(
                mode[0], "-rwxr-xr-x" if path.startswith("./usr/bin/") else "-rw-r--r--")
            check(mode == wanted, f"{name}: {path} has the mode {mode}, wanted {wanted}")
            if mode[0] != "d":
                check(path not in owners, f"{path} is in {name} and in {owners.get(path)}")
                owners[path] = name
        for file in ("copyright", "changelog.Debian.gz"):
            check(f"./usr/share/doc/{name}/{file}" in owners, f"{name}: has no {file}")
    where = {Path(path).name: name for path, name in owners.items()}
    wanted = {"libslm.so.0": "libslm0", f"libslm.so.{VERSION}": "libslm0", "libslm.so": "libslm-dev",
              "libslm.a": "libslm-dev", "slm.h": "libslm-dev", "slm_chat.h": "libslm-dev",
              "slm_batch.h": "libslm-dev", "libslm.pc": "libslm-dev", "slm": "slm-tools",
              "libslmConfig.cmake": "libslm-dev", "catalogue.txt": "slm-tools",
              "slm-pull": "slm-tools", "slm.1.gz": "slm-tools", "slm-pull.1.gz": "slm-tools"}
    if HAS_VOICE:
        wanted |= dict.fromkeys(["voice_loop", "hearth.gguf", "tools.json", "words.dict", "words.lm",
                                 "voices-1.mllr"], "slm-voice")
    for file, name in wanted.items():
        check(where.get(file) == name, f"{file} is in {where.get(file)}, wanted {name}")


def install(debs, root):
    """As a system of its own, where that may be done; else their files."""
    if os.geteuid() != 0:
        for deb in debs.values():
            run("dpkg", "-x", deb, root)
        return False
    (root / "var/lib/dpkg/info").mkdir(parents=True)
    (root / "var/lib/dpkg/updates").mkdir()
    (root / "var/lib/dpkg/status").touch()
    (root / "etc").mkdir()
    run(*dpkg(root), "--install", *debs.values())
    return True


def dpkg(root):
    """In a system that has nothing else: neither what the packages depend on nor a shell."""
    return ["dpkg", f"--root={root}", "--force-depends", "--force-script-chrootless"]


def check_documents(root):
    for name in PACKAGES:
        folder = root / "usr/share/doc" / name
        terms = " ".join((folder / "copyright").read_text(encoding="utf-8").split())
        for line in (ROOT / "LICENSE").read_text(encoding="utf-8").splitlines()[4:]:
            check(line.strip() in terms, f"{name}: copyright lacks {line!r}")
        check("License: Expat" in terms, f"{name}: copyright names no licence")
        changes = run("gzip", "-dc", folder / "changelog.Debian.gz")
        check(changes.startswith(f"libslm ({REVISION}) "), f"{name}: changelog begins {changes[:40]!r}")


def check_library(root):
    found = sorted((root / "usr/lib").rglob(f"libslm.so.{VERSION}"))
    check(len(found) == 1, f"libraries: {found}")
    check(".debug_info" not in run("readelf", "-S", found[0]), "the library was not stripped")
    return found[0].parent


def use(root, work, libraries):
    """A program that was written against the package, and slm."""
    pkg_config = plain_environment(PKG_CONFIG_PATH=str(libraries / "pkgconfig"))
    check(run("pkg-config", "--modversion", "libslm", env=pkg_config).strip() == VERSION, "modversion")
    flags = run("pkg-config", "--cflags", "--libs", "libslm", env=pkg_config).split()
    program = work / "consumer"
    run(CC, "-std=c11", "-Wall", "-Wextra", "-Werror", CONSUMER, "-o", program, *flags)
    env = plain_environment(LD_LIBRARY_PATH=str(libraries), HOME=str(work))
    out = run(program, env=env)
    check(out.startswith(f"libslm {VERSION}: "), f"consumer: {out!r}")
    check(str(libraries) in run("ldd", program, env=env), "consumer uses another libslm")
    slm = root / "usr/bin/slm"
    check(run(slm, "--version", env=plain_environment()) == f"slm {VERSION}\n", "slm --version")
    answer = run(slm, "run", HEARTH, "Set a timer for ten minutes.", "--temp", "0", env=env)
    check(re.search("ten|10", answer.lower()), f"slm run: {answer!r}")
    listed = run(slm, "pull", "--list", env=env)
    check("huggingface.co" in listed, f"slm pull --list finds no catalogue: {listed!r}")


def speak(root, work, libraries):
    """A spoken question to the loop as it is installed, which has all that it needs."""
    program = root / "usr/bin/voice_loop"
    check(str(ROOT).encode() not in program.read_bytes(), "voice_loop knows of the source tree")
    if shutil.which("espeak-ng") is None:
        return
    run("espeak-ng", "-v", "en-us", "-w", work / "asked.wav", "turn on the kitchen light")
    turn = json.loads(run(program, "--wav-in", work / "asked.wav", "--wav-out", work / "answer.wav",
                          "--virtual-clock", cwd=work,
                          env=plain_environment(LD_LIBRARY_PATH=str(libraries), HOME=str(work))))
    check(turn["calls"] and turn["spoken"] and turn["error"] is None, f"voice_loop: {turn}")


def main():
    want("dpkg-deb", "dpkg-shlibdeps", "pkg-config", "readelf", "gzip")
    with tempfile.TemporaryDirectory(prefix="slm-deb-") as folder:
        work = Path(folder)
        debs = make(work / "made")
        check_control(debs)
        check_contents(debs)
        root = work / "root"
        root.mkdir()
        by_dpkg = install(debs, root)
        check_documents(root)
        libraries = check_library(root)
        use(root, work, libraries)
        if HAS_VOICE:
            speak(root, work, libraries)
        if by_dpkg:
            check((root / "etc/ld.so.cache").exists(), "ldconfig was not run")
            run(*dpkg(root), "--purge", *reversed(PACKAGES))
            check(not (root / "usr").exists(), f"left behind: {list((root / 'usr').rglob('*'))}")
        if subprocess.run(["which", "lintian"], stdout=subprocess.DEVNULL).returncode == 0:
            run("lintian", "--fail-on", "error", *debs.values())
    print(f"deb: {', '.join(PACKAGES)}, "
          f"{'installed and removed by dpkg' if by_dpkg else 'unpacked'}, used by a C program")


if __name__ == "__main__":
    main()
