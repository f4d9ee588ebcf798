"""The clock and the calendar: facts of the system message, or honestly not known."""

from grammar import turn
from phrases import ASIDE, WONDER
from slots import MONTHS, WEEKDAYS, clock_time, date

NOW = "[|||now|right now|please|at the moment|currently|here|again|just now|exactly|, please]"
DAY_NOW = "[|||today|now|right now|please|again|exactly|, please]"
ASKS = {
    "time": [
        ASIDE + " [what's|what is|what was] the [time|current time|exact time|time of day|"
        "hour] " + NOW,
        ASIDE + " what time [is it|do we have|have we got|does the clock say|might it be|"
        "have you got] " + NOW,
        "[tell me|give me|say|read me|show me|let me have|just tell me] the [time|current time|"
        "exact time] " + NOW,
        WONDER + " [what time it is|the time|how late it is|what the time is|"
        "what the clock says] " + NOW,
        ASIDE + " [have you got|do you have|got|do we have|can I have|could I have|"
        "may I have] the [time|current time] " + NOW,
        ASIDE + " [the time|time|clock|current time|time check|clock check] [please|now|, please|"
        "?] ",
        ASIDE + " how late [is it|is it already|are we|has it got] " + NOW,
        ASIDE + " what does the [clock|watch] [say|show|read] " + NOW,
        "[I lost track of time|my watch stopped|I have no watch|I don't have my phone|"
        "I left my watch at home], "
        "[what time is it|what's the time|tell me the time|how late is it] " + NOW,
        ASIDE + " is it [late|early|still early|already late|lunchtime|bedtime] [yet|already|now|]",
    ],
    "date": [
        ASIDE + " [what's|what is] [the date|today's date|the date today|the current date|"
        "the full date] " + NOW,
        ASIDE + " [what|which] date [is it|do we have|have we got|is today|are we on] " + DAY_NOW,
        "[tell me|give me|say|read me|just tell me|show me] [the date|today's date|"
        "the current date] " + DAY_NOW,
        WONDER + " [what date it is|the date|today's date|what the date is|"
        "which date we have] " + DAY_NOW,
        ASIDE + " [the date|date|today's date|date today|calendar] [please|today please|, please|"
        "?]",
        ASIDE + " what does the calendar say " + DAY_NOW,
        ASIDE + " [do you have|have you got|can I have|could I have] [the date|"
        "today's date] " + NOW,
        ASIDE + " [what|which] [day of the month|day and month|number] [is it|"
        "do we have] " + DAY_NOW,
        "[I have to date a letter|I'm filling in a form|I lost track of the days], "
        "[what's the date|what date is it|what's today's date] " + DAY_NOW,
    ],
    "day": [
        ASIDE + " [what|which] day [is it|do we have|have we got|is today|are we on] " + DAY_NOW,
        ASIDE + " [what|which] day of the week [is it|do we have|have we got|is today|"
        "are we on] " + DAY_NOW,
        ASIDE + " [what|which] weekday [is it|do we have|have we got|is today] " + DAY_NOW,
        ASIDE + " [what's|what is] today [?|]",
        WONDER + " [what day it is|which day it is|what day of the week it is|what weekday it is|"
        "which weekday we have] "
        + DAY_NOW,
        "[tell me|give me|say|just tell me] [the|today's] [day|weekday|day of the week] " + NOW,
        ASIDE + " [the day|the weekday|the day of the week] [please|today please|, please]",
    ],
    "next": [
        ASIDE + " [what|which] day [is it|is|will it be|do we have|have we got|"
        "will we have] tomorrow [please|, please|]",
        ASIDE + " [what|which] [day of the week|weekday] [is|is it|will it be|"
        "do we have] tomorrow [please|, please|]",
        ASIDE + " [what's|what is] tomorrow [?|]",
        WONDER + " [what day|which day|what weekday|which weekday] [tomorrow is|it is tomorrow|"
        "it will be tomorrow]",
        ASIDE + " tomorrow is [what|which] [day|weekday]",
        "[tell me|give me|say] [tomorrow's day|tomorrow's weekday|the day tomorrow] [please|]",
    ],
    "past": [
        ASIDE + " [what|which] day was [it yesterday|yesterday] [please|, please|again|]",
        ASIDE + " [what|which] [day of the week|weekday] was [it yesterday|yesterday] [please|"
        ", please|again|]",
        ASIDE + " what was yesterday [?|]",
        WONDER + " [what day|which day|what weekday|which weekday] [yesterday was|"
        "it was yesterday]",
        ASIDE + " yesterday was [what|which] [day|weekday]",
        ASIDE + " [what|which] day did we have yesterday [please|]",
    ],
    "month": [
        ASIDE + " [what|which] month [is it|do we have|have we got|is this|are we in] " + NOW,
        WONDER + " [what month it is|which month it is|the month|which month we are in] " + NOW,
        "[tell me|give me|say] the [month|current month] " + NOW,
        ASIDE + " [what's|what is] the [month|current month] " + NOW,
    ],
    "year": [
        ASIDE + " [what|which] year [is it|do we have|have we got|is this|are we in] " + NOW,
        WONDER + " [what year it is|which year it is|the year|which year we are in] " + NOW,
        "[tell me|give me|say] the [year|current year] " + NOW,
        ASIDE + " [what's|what is] the [year|current year] " + NOW,
    ],
}


def clock_ask(gen, ctx):
    """The time, date, day, month, year from the system message, or honestly not."""
    kind = gen.pick(
        ["time"] * 4 + ["date", "date", "day", "day", "next", "past", "month", "year"]
    )
    user = gen.user(ASKS[kind])
    if "clock" in ctx.tools and not (ctx.time if kind == "time" else ctx.date):
        time, now = clock_time(gen), date(gen, gen.rng.randint(2024, 2035))
        intent, text, need = ("clock", f"It's {time}.", time) if kind == "time" else (
            "calendar", *in_words(kind, now))
        return [turn(intent, user, text, [need], (), ("clock", {}),
                     {"time": time, "date": "{}, {} {} {}".format(*now)})]
    if kind == "time":
        if ctx.time:
            return [turn("clock", user, gen.answer(["It's {t}."], t=ctx.time), [ctx.time])]
        bot = "I don't have a clock here, so I can't tell the time."
        return [turn("clock", user, bot, ["don't have a clock"])]
    if kind == "year" and not (ctx.date and ctx.date[3]):
        bot = "I don't know the year, sorry. Nobody has told me."
        return [turn("calendar", user, bot, ["don't know the year"])]
    if not ctx.date:
        bot = "I don't have a calendar here, so I can't tell the date."
        return [turn("calendar", user, bot, ["don't have a calendar"])]
    text, need = in_words(kind, ctx.date)
    return [turn("calendar", user, text, [need])]


def in_words(kind, known):
    """The answer to a question about the date, and what must be in it."""
    weekday, number_, month, year = known
    i = WEEKDAYS.index(weekday)
    full = f"{weekday}, {number_} {month}" + (f" {year}" if year else "")
    after, before = WEEKDAYS[(i + 1) % 7], WEEKDAYS[(i - 1) % 7]
    return {
        "date": (f"It's {full}.", full),
        "day": (f"It's {weekday}.", weekday),
        "month": (f"It's {month}.", month),
        "year": (f"It's {year}.", str(year)),
        "next": (f"Tomorrow is {after}.", after),
        "past": (f"Yesterday was {before}.", before),
    }[kind]


DAY_AFTER = [
    ASIDE + " [what|which] day [comes|is|comes right|comes next|falls|do we have] after {d} [?|"
    "again|please|]",
    ASIDE + " [what|which] day [follows|comes next after] {d} [again|please|]",
    ASIDE + " [after|right after] {d} [comes|is|comes the] [which|what] day",
    "[name|tell me|give me|say] the day [after|that follows|that comes after|"
    "following] {d} [please|]",
    WONDER + " [what|which] day [comes after|is after|follows] {d}",
    ASIDE + " {d} is followed by [which|what] day",
]
DAY_BEFORE = [
    ASIDE + " [what|which] day [comes|is|comes right|comes just|falls|do we have] before {d} [?|"
    "again|please|]",
    ASIDE + " [what|which] day [precedes|comes ahead of] {d} [again|please|]",
    ASIDE + " [before|right before] {d} [comes|is|comes the] [which|what] day",
    "[name|tell me|give me|say] the day [before|that precedes|that comes before|"
    "preceding] {d} [please|]",
    WONDER + " [what|which] day [comes before|is before|precedes] {d}",
    ASIDE + " {d} is preceded by [which|what] day",
]


def order_ask(gen, ctx):
    """Which day or month comes after or before another."""
    after = gen.chance(0.5)
    names = gen.pick([WEEKDAYS, MONTHS])
    i = gen.rng.randrange(len(names))
    said = names[i] if gen.chance(0.6) else names[i].lower()
    word = "day" if names is WEEKDAYS else "month"
    asks = [a.replace("day", word) for a in (DAY_AFTER if after else DAY_BEFORE)]
    reply = names[(i + (1 if after else -1)) % len(names)]
    bot = gen.answer(["{r} comes {w} {d}."], r=reply, w="after" if after else "before", d=names[i])
    return [turn("calendar", gen.user(asks, d=said), bot, [reply + " comes"])]
