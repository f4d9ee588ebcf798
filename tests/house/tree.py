"""What the house tests share: the files of the tree, C without its comments, and the verdict."""

import os
import re
import sys
from pathlib import Path

ROOT = Path(os.environ.get("SLM_SOURCE_DIR", Path(__file__).resolve().parents[2]))
SKIPPED_FOLDERS = {".git", "build", "__pycache__"}

# Comments, string literals and character literals, in one pass, so that "//" inside a string and
# a quote inside a comment are taken for what they are.
TOKEN = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def files(*suffixes, under="."):
    """Paths below a folder of the tree with one of these suffixes, sorted."""
    found = []
    for folder, folders, names in os.walk(ROOT / under):
        folders[:] = [f for f in folders if f not in SKIPPED_FOLDERS]
        found += [Path(folder) / n for n in names if not suffixes or n.endswith(suffixes)]
    return sorted(found)


def relative(path):
    return path.relative_to(ROOT).as_posix()


def without_comments(text, keep_strings=True):
    """C text with every comment (and on demand every literal) blanked, line numbers kept."""

    def blank(match):
        token = match.group()
        if token.startswith("/"):
            return " " + "\n" * token.count("\n")
        return token if keep_strings else token[0] + token[0]

    return TOKEN.sub(blank, text)


def lines_matching(text, pattern):
    """(line number, match) for every match of a compiled pattern."""
    for match in pattern.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match


class Verdict:
    """Collects complaints; done() prints them and ends the program."""

    def __init__(self, name):
        self.name = name
        self.checked = 0
        self.complaints = []

    def check(self, good, complaint):
        self.checked += 1
        if not good:
            self.complaints.append(complaint)

    def done(self):
        for complaint in self.complaints:
            print(complaint)
        if self.checked == 0:
            print(f"{self.name}: nothing was checked")
        else:
            print(f"{self.name}: {self.checked} checks, {len(self.complaints)} complaints")
        sys.exit(1 if self.complaints or self.checked == 0 else 0)
