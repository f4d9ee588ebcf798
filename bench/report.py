"""Draws what bench/compare.sh measured.

    python3 bench/report.py [--out docs/img] [--name NAME] RESULTS.csv...

    NAME-roofline.svg   tokens/s of every program as bars, and as an outline what the machine allows:
                        of generation its read bandwidth over the bytes of a token, of prompts its
                        int8 peak over the multiply-accumulates of a token
    NAME-ratio.svg      slm's speed over each peer's
    NAME-depth.svg      tokens/s by the tokens that the cache holds; where there are several depths

Each names its source, machine, date and commit. Nothing but the standard library is used. The
pictures have no background, and colours that can be read on white and on black.
"""
import argparse
import math
import pathlib
import sys
from xml.sax.saxutils import escape

from common import read_csv

TEXT, FAINT = "#747c86", "#8a929c"
SERIES = ["#2f81f7", "#d9722b", "#2c9a48", "#9a60d8", "#b8860b", "#cf4570", "#17929a"]
FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"
WIDTH, LEFT, RIGHT, BAR, GAP = 860, 250, 90, 15, 14
TITLES = {"tg": "Generation", "pp": "Prompt", "load": "Load and first token"}
OF = {"tg": ": model, tokens (at depth)", "pp": ": model, tokens (at depth)", "load": ": model"}


class Picture:
    """Lines of an SVG, and how far down it goes."""

    def __init__(self, title):
        self.parts = []
        self.title = title
        self.y = 0
        self.text(16, 28, title, size=17, weight=600)
        self.y = 46

    def text(self, x, y, words, size=12, anchor="start", weight=400, turn=None):
        """One line of text."""
        turned = f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn else ""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" '
                          f'text-anchor="{anchor}" fill="{TEXT}"{turned}>{escape(words)}</text>')

    def line(self, x1, y1, x2, y2, colour=FAINT, width=1.0, dash=""):
        """A straight line."""
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
                          f'stroke="{colour}" stroke-width="{width}"{dashed}/>')

    def bar(self, x, y, width, height, colour, outline=False):
        """A filled bar, or the outline of one."""
        paint = (f'fill="none" stroke="{colour}" stroke-width="1.2" stroke-dasharray="4 3"' if outline
                 else f'fill="{colour}"')
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" '
                          f'height="{height:.1f}" {paint}/>')

    def legend(self, names):
        """Coloured squares with names; None stands for the outline."""
        x = 16
        for name, colour in names:
            self.bar(x, self.y, 11, 11, colour or FAINT, outline=colour is None)
            self.text(x + 17, self.y + 10, name)
            x += 32 + 6.8 * len(name)
        self.y += 28

    def axis(self, bottom, top, ticks, scale, label, below):
        """Grid, numbers and name of a horizontal axis; the grid lies under the parts from below on."""
        bars = self.parts[below:]
        del self.parts[below:]
        for tick in ticks:
            x = LEFT + scale(tick)
            self.line(x, top, x, bottom, width=0.5)
        self.parts += bars
        for tick in ticks:
            x = LEFT + scale(tick)
            self.text(x, bottom + 16, f"{tick:g}", anchor="middle", size=11)
        self.text(LEFT + (WIDTH - LEFT - RIGHT) / 2, bottom + 34, label, anchor="middle")
        self.y = bottom + 46

    def save(self, path, caption):
        """Writes the file, the caption below everything."""
        for words in caption:
            self.y += 16
            self.text(16, self.y, words, size=11)
        height = self.y + 14
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
            f'width="{WIDTH}" height="{height:.0f}" font-family="{escape(FONT)}" role="img">\n'
            f"<title>{escape(self.title)}</title>\n" + "\n".join(self.parts) + "\n</svg>\n",
            encoding="utf-8")
        print(path)


def number(row, column):
    """A cell as a number; None where it is empty or the file has no such column."""
    return float(row[column]) if row.get(column) else None


def limit(row):
    """The tokens/s that the machine allows a row; None where the file does not tell."""
    if row["test"] == "tg":
        rate, cost = number(row, "read_gbps"), number(row, "bytes_per_token")
    else:
        rate, cost = number(row, "int8_gmacs"), number(row, "macs_per_token")
    return rate * 1e9 / cost if rate and cost else None


def steps(top, count=6):
    """Round numbers from 0 to at least top."""
    raw = max(top, 1e-9) / count
    size = 10 ** math.floor(math.log10(raw))
    size *= next(f for f in (1, 2, 5, 10) if f * size >= raw * (1 - 1e-9))
    return [round(size * i, 9) for i in range(math.ceil(top / size - 1e-9) + 1)]


def label_of(row):
    """What a row is of, without its program."""
    depth = f" (at {row['depth']})" if row["depth"] != "0" else ""
    return f"{row['model']}, {row['n']}{depth}"


def grouped(rows, *columns):
    """Rows by equal values in columns, in the order of their appearance."""
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[c] for c in columns), []).append(row)
    return list(groups.values())


def caption_of(rows, sources):
    """Where the figures come from."""
    def all_of(column):
        return ", ".join(dict.fromkeys(r[column] for r in rows if r.get(column)))

    programs = dict.fromkeys(" ".join(filter(None, (r["program"], r.get("commit"), r.get("options"))))
                             for r in rows if r["median"])
    rounds = ", ".join(dict.fromkeys(r["rounds"] for r in rows if r["median"]))
    return [f"{all_of('cpu')}, {all_of('threads')} threads, {all_of('date')}",
            f"Median of {rounds} rounds in turns: {'; '.join(programs)}",
            f"Source: {', '.join(sources)}"]


def draw_roofline(rows, colours, path, caption):
    """Bars for every program within the outline of what the machine allows."""
    picture = Picture("Tokens per second and what the machine allows")
    picture.legend([*colours.items(), ("ceiling", None)])
    for test in ("tg", "pp"):
        groups = grouped([r for r in rows if r["test"] == test], "model", "n", "depth")
        if not groups:
            continue
        tops = [number(r, "max") or number(r, "median") or 0 for g in groups for r in g]
        limits = [limit(r) or 0 for g in groups for r in g]
        # A ceiling far above all bars would flatten them: the axis then ends, and so does it.
        end = min(max(tops + limits), 3 * max(tops)) if max(tops) > 0 else max(limits)
        ticks = steps(end)
        room = WIDTH - LEFT - RIGHT

        def scale(value, last=ticks[-1]):
            return room * min(value, last) / last

        picture.text(16, picture.y + 12, TITLES[test] + OF[test], size=13, weight=600)
        top = picture.y = picture.y + 22
        below = len(picture.parts)
        for group in groups:
            high, roof = BAR * len(group), limit(group[0])
            picture.text(LEFT - 10, picture.y + high / 2 + 4, label_of(group[0]), anchor="end")
            for i, row in enumerate(group):
                value = number(row, "median")
                y = picture.y + BAR * i
                if value is None:
                    picture.text(LEFT + 4, y + 11, row["note"][:60] or "not measured", size=10)
                    continue
                picture.bar(LEFT, y + 1, scale(value), BAR - 2, colours[row["program"]])
                words = f"{value:.4g}" + (f" ({100 * value / roof:.0f} %)" if roof else "")
                x = scale(value) + 5
                if roof and x < scale(roof) < x + 6.8 * len(words):  # not across the outline
                    x = scale(roof) + 5
                picture.text(LEFT + x, y + 11, words, size=11)
            if roof:
                picture.bar(LEFT, picture.y - 2, scale(roof), high + 4, FAINT, outline=True)
                picture.text(LEFT + scale(roof) + 4, picture.y + high + 8, f"{roof:.4g}", size=10)
            picture.y += high + GAP
        of = "read bandwidth / bytes" if test == "tg" else f"{rows[0].get('int8_level', '')} peak / MACs"
        picture.axis(picture.y, top - 4, ticks, scale, f"tokens/s (ceiling: {of} a token)", below)
        picture.y += 8
    picture.save(path, caption)


def draw_ratio(rows, colours, path, caption):
    """How many times as fast slm is as each peer."""
    rows = [r for r in rows if number(r, "ratio")]
    picture = Picture("Speed of slm over that of others")
    picture.legend([(n, c) for n, c in colours.items() if any(r["program"] == n for r in rows)])
    ticks = steps(max(number(r, "ratio") for r in rows))
    room = WIDTH - LEFT - RIGHT

    def scale(value):
        return room * value / ticks[-1]

    top, below = picture.y, len(picture.parts)
    for test in TITLES:
        groups = grouped([r for r in rows if r["test"] == test], "model", "n", "depth")
        if groups:
            picture.text(16, picture.y + 12, TITLES[test] + OF[test], size=13, weight=600)
            picture.y += 20
        for group in groups:
            words = group[0]["model"] if test == "load" else label_of(group[0])
            picture.text(LEFT - 10, picture.y + BAR * len(group) / 2 + 4, words, anchor="end")
            for row in group:
                value = number(row, "ratio")
                picture.bar(LEFT, picture.y + 1, scale(value), BAR - 2, colours[row["program"]])
                picture.text(LEFT + scale(value) + 5, picture.y + 11, f"{value:.3g}", size=11)
                picture.y += BAR
            picture.y += GAP
    picture.line(LEFT + scale(1), top, LEFT + scale(1), picture.y, colour=TEXT, width=1.6)
    picture.axis(picture.y, top, ticks, scale, "times as fast (1: equal)", below)
    picture.save(path, caption)


def draw_depth(rows, colours, path, caption):
    """A panel for each model and test with several depths: a curve for each program."""
    panels = [g for g in grouped([r for r in rows if r["test"] != "load"], "model", "test", "n")
              if len({r["depth"] for r in g if r["median"]}) > 1]
    if not panels:
        return
    picture = Picture("Tokens per second by depth")
    picture.legend([*colours.items(), ("ceiling of generation", None)])
    left, high = 70, 190
    room = WIDTH - left - RIGHT
    for panel in panels:
        head = panel[0]
        picture.text(16, picture.y + 12, f"{TITLES[head['test']]}: {head['model']}, {head['n']} tokens",
                     size=13, weight=600)
        top, bottom = picture.y + 26, picture.y + 26 + high
        depths = sorted({float(r["depth"]) for r in panel})
        roofs = [limit(r) if r["test"] == "tg" else None for r in panel]
        ticks = steps(max([number(r, "max") or 0 for r in panel] + [r or 0 for r in roofs]), 4)

        def place(depth, value, far=depths[-1], last=ticks[-1], base=bottom):
            return left + room * depth / far, base - high * value / last

        for tick in ticks:
            _, y = place(0, tick)
            picture.line(left, y, left + room, y, width=0.5)
            picture.text(left - 8, y + 4, f"{tick:g}", anchor="end", size=11)
        for depth in depths:
            x, _ = place(depth, 0)
            picture.line(x, bottom, x, bottom + 4)
            picture.text(x, bottom + 17, f"{depth:g}", anchor="middle", size=11)
        picture.text(left + room / 2, bottom + 34, "tokens in the cache before", anchor="middle")
        picture.text(20, (top + bottom) / 2, "tokens/s", anchor="middle", turn=-90)
        roof = sorted({(float(r["depth"]), f) for r, f in zip(panel, roofs) if f})
        curves = [(roof, FAINT, "4 3")]
        for name, colour in colours.items():
            points = sorted((float(r["depth"]), number(r, "median")) for r in panel
                            if r["program"] == name and r["median"])
            curves.append((points, colour, ""))
        for points, colour, dash in curves:
            spots = [place(*point) for point in points]
            for (x1, y1), (x2, y2) in zip(spots, spots[1:]):
                picture.line(x1, y1, x2, y2, colour=colour, width=1.2 if dash else 2.2, dash=dash)
            for x, y in spots if not dash else []:
                picture.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" fill="{colour}"/>')
        picture.y = bottom + 52
    picture.save(path, caption)


def main():
    """Command line."""
    parser = argparse.ArgumentParser(prog="bench/report.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("docs/img"))
    parser.add_argument("--name", help="what the files' names begin with (default: the first CSV's)")
    parser.add_argument("results", nargs="+", type=pathlib.Path)
    args = parser.parse_args()
    rows = [row for path in args.results for row in read_csv(path)]
    needed = {"program", "model", "test", "n", "depth", "rounds", "median", "ratio"}
    if not rows or not needed <= rows[0].keys():
        sys.exit(f"report: {args.results[0]}: got {len(rows)} rows, wanted some that "
                 "bench/compare.sh wrote")
    names = list(dict.fromkeys(r["program"] for r in rows))
    if len(names) > len(SERIES):
        sys.exit(f"report: got {len(names)} programs, wanted at most {len(SERIES)}")
    colours = dict(zip(names, SERIES))
    caption = caption_of(rows, [p.name for p in args.results])
    stem = args.name or args.results[0].stem
    draw_roofline(rows, colours, args.out / f"{stem}-roofline.svg", caption)
    if any(number(r, "ratio") for r in rows):
        draw_ratio(rows, colours, args.out / f"{stem}-ratio.svg", caption)
    draw_depth(rows, colours, args.out / f"{stem}-depth.svg", caption)


if __name__ == "__main__":
    main()
