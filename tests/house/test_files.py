"""Sizes, widths and manners of the files in the tree."""

import re

from tree import ROOT, Verdict, files, lines_matching, relative, without_comments

TOP = set("""CMakeLists.txt CMakePresets.json README.md CONTRIBUTING.md LICENSE .clang-format .ci
    .gitignore libslm kernels include examples tools tests bench docs""".split())
SUFFIXES = (".c", ".h", ".cu", ".cuh", ".py", ".sh", ".cmake", ".txt", ".in", ".md", ".json",
            ".lua", ".rs", ".map")
CODE = (".c", ".h", ".cu", ".cuh", ".py", ".sh")
MAX_LINES = 1200
MAX_COLUMNS = 110  # clang-format keeps to 100; what is aligned by hand may need a little more

UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
# Folders of somebody's machine. Paths of the system (/usr, /proc, /sys) are the same everywhere.
PRIVATE_PATH = re.compile(r"(?<![\w.}/])/(work|root|home|Users|mnt|media)/")
GUARD = re.compile(r"\s*#ifndef ((?:SLM|TESTS)_\w+)\n#define (\w+)\n")


def check_c(verdict, name, text):
    code = without_comments(text)
    for number, line in enumerate(code.split("\n"), 1):
        # A comment at the end of a line may stand beyond the margin; code may not.
        verdict.check(len(line.rstrip()) <= MAX_COLUMNS or re.search(r'"\S{60,}"', line),
                      f"{name}:{number}: {len(line.rstrip())} columns, wanted {MAX_COLUMNS}")
    if name.endswith(".h"):
        guard = GUARD.match(code)
        verdict.check(guard and guard.group(1) == guard.group(2),
                      f"{name}: wants an include guard SLM_... or TESTS_... before anything else")
    if name.startswith(("libslm/", "kernels/")):
        for line, match in lines_matching(code, re.compile(r"^\s*#\s*(if 0|pragma once)\b",
                                                           re.MULTILINE)):
            verdict.check(False, f"{name}:{line}: #{match.group(1)}")


def main():
    verdict = Verdict("files")
    for entry in sorted(ROOT.iterdir()):
        verdict.check(entry.name in TOP | {".git", "build"},
                      f"{entry.name}: not one of the files and folders of the top")
    for path in files(*SUFFIXES):
        name = relative(path)
        raw = path.read_bytes()
        if name.startswith("tests/data/"):
            continue
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            verdict.check(False, f"{name}: not UTF-8 at byte {error.start}")
            continue
        n_lines = text.count("\n")
        verdict.check(n_lines <= MAX_LINES or not name.endswith(CODE),
                      f"{name}: {n_lines} lines, wanted at most {MAX_LINES}")
        verdict.check(text.endswith("\n") and not text.endswith("\n\n"),
                      f"{name}: wants exactly one newline at its end")
        verdict.check("\r" not in text, f"{name}: has a carriage return")
        for number, line in enumerate(text.split("\n"), 1):
            verdict.check(line == line.rstrip(), f"{name}:{number}: blanks at the end of the line")
            if name.endswith(CODE):
                verdict.check("\t" not in line, f"{name}:{number}: has a tab")
            # The phrases of the demo model are data, one a line.
            if name.endswith((".py", ".sh")) and not name.startswith("tools/demo_model/"):
                verdict.check(len(line) <= MAX_COLUMNS,
                              f"{name}:{number}: {len(line)} columns, wanted {MAX_COLUMNS}")
        for line, match in lines_matching(text, UNFINISHED):
            verdict.check(False, f"{name}:{line}: {match.group()}")
        for line, match in lines_matching(text, PRIVATE_PATH):
            verdict.check(False, f"{name}:{line}: {match.group()} is a path of one machine")
        if name.endswith((".c", ".h")):
            check_c(verdict, name, text)
    verdict.done()


if __name__ == "__main__":
    main()
