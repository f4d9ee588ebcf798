"""Timers, alarms, reminders, the clock and the calendar."""

from grammar import turn
from slots import MONTHS, WEEKDAYS, clock, day, duration, nonce, task, your

OKAY = "[Okay|Okay|Sure|All right], "
TIMER_NAMES = """pasta|egg|eggs|rice|pizza|cake|tea|laundry|bread|oven|nap|workout|chicken|potato|
cookie|cookies|homework|break|coffee|soup|roast|lasagne|yoga|reading|meditation|shower|plank|steak|
toast|muffin|pie|dough|study|game|parking|garden|dishwasher|washing|noodle|porridge|curry""".replace(
    "\n", ""
).split(
    "|"
)

TIMER = [
    "[set|start|make|create|put on|begin] a timer for {d}",
    "[set|start|make] a {d} timer",
    "timer for {d}",
    "[set|start] [the|my|] timer [for|to] {d}",
    "[time|count down] {d}",
    "{d} timer",
    "[give me|I need|I want|I'd like] a timer for {d}",
    "[tell me|let me know|beep|ring] [when {d} are up|in {d}|after {d}]",
    "[set|start] a countdown [of|for] {d}",
    "timer {d}",
    "a timer [of|for] {d}",
    "[start|begin] timing {d}",
    "[warn|alert|ping] me [in|after] {d}",
]
TIMER_HELD = [
    "run a timer, {d} should do",
    "I'm boiling something, time it for {d}",
    "would you time {d} on the clock",
    "new timer with {d}",
]
NAMED = [
    "[set|start|make|create] a {k} timer for {d}",
    "{k} timer for {d}",
    "{k} timer, {d}",
    "[set|start] a timer for [the|my|] {k} for {d}",
    "[set|start] a {d} timer for the {k}",
    "[set|start] a {d} {k} timer",
    "I need a {k} timer of {d}",
    "[set|start] a timer called {k} for {d}",
]
NAMED_HELD = ["let the {k} timer run for {d}", "one {k} timer with {d} on it"]


def timer(gen, ctx):
    """Set a timer, with follow-ups."""
    turns = []
    typed_d, spoken = gen.fresh(lambda: duration(gen.rng))
    kind = gen.rng.random()
    name = ""
    if kind < 0.2:
        name = gen.pick(TIMER_NAMES) if gen.chance(0.85) else nonce(gen.rng)
        user = gen.user(NAMED, NAMED_HELD, command=True, d=typed_d, k=name)
        bot = gen.answer(
            [OKAY + "I've set a {k} timer for {d}.", OKAY + "your {k} timer is set for {d}."],
            k=name,
            d=spoken,
        )
        turns.append(turn("timer", user, bot, [name, "timer", "for " + spoken]))
    elif kind < 0.33:
        user = gen.user(
            [
                "[set|start|make|create|I need|I want] a timer",
                "timer [please|]",
                "start the timer",
                "a timer please",
                "set timer",
                "new timer",
                "I'd like a timer",
            ],
            ["could I have a timer"],
            command=gen.chance(0.5),
        )
        turns.append(
            turn("timer", user, gen.answer(["For how long?", "Sure, for how long?"]), ["how long"])
        )
        user = gen.user(
            ["[for|] {d}", "{d} please", "let's say {d}", "make it {d}", "[hmm|oh], {d}"],
            ["{d} should be enough"],
            d=typed_d,
        )
        bot = gen.answer([OKAY + "I've set a timer for {d}."], d=spoken)
        turns.append(turn("follow-up: missing length", user, bot, ["timer for " + spoken]))
    else:
        user = gen.user(TIMER, TIMER_HELD, command=True, d=typed_d)
        bot = gen.answer(
            [
                OKAY + "I've set a timer for {d}.",
                OKAY + "I've set a timer for {d}.",
                OKAY + "your timer is set for {d}.",
            ],
            d=spoken,
        )
        turns.append(turn("timer", user, bot, ["timer", "for " + spoken]))
    ctx.timer = (name + " timer").strip(), spoken
    while gen.chance(0.4) and ctx.timer:
        turns += timer_follow(gen, ctx)
    return turns


def timer_follow(gen, ctx):
    """Change, ask about or cancel the timer that runs."""
    label, length = ctx.timer
    kind = gen.rng.random()
    if kind < 0.55:
        typed_d, spoken = gen.fresh(lambda: duration(gen.rng))
        user = gen.user(
            [
                "[make it|make that|change it to|change that to|set it to] {d} [instead|]",
                "[actually|no|sorry|wait], {d}",
                "[actually|no|sorry|oh], make it {d} [instead|please|]",
                "{d} instead",
                "change the timer to {d}",
                "[I meant|better|rather] {d}",
                "[can you|could you] make it {d}",
            ],
            ["hold on, I need {d}", "let's go with {d} after all"],
            d=typed_d,
        )
        bot = gen.answer(["Okay, I've changed the {k} to {d}."], k=label, d=spoken)
        ctx.timer = label, spoken
        return [turn("follow-up: new length", user, bot, [label, spoken])]
    if kind < 0.75:
        user = gen.user(
            [
                "how [long|much time|much] is left [on the timer|]",
                "how much longer",
                "[what's|what is] left on the timer",
                "how many minutes are left",
                "is the timer [done|finished]",
                "how is the timer doing",
                "check the timer",
            ],
            ["where is my timer at"],
        )
        bot = gen.answer(
            ["I can't see the countdown from here, but I set the {k} for {d}."], k=label, d=length
        )
        return [turn("follow-up: time left", user, bot, [label, length, "can't"])]
    if kind < 0.85:
        user = gen.user(
            [
                "[how long|what] [is|was] [the|my] timer [set for|set to|for]",
                "what did I set the timer [to|for]",
                "[which|what] timers [do I have|are running|are set]",
            ],
            ["remind me how long the timer was"],
        )
        return [
            turn(
                "follow-up: which timer",
                user,
                gen.answer(["Your {k} is set for {d}."], k=label, d=length),
                [label, length],
            )
        ]
    ctx.timer = None
    return [cancel_turn(gen, "timer", "follow-up: cancel")]


CANCEL = [
    "[cancel|stop|delete|remove|end|turn off|switch off] [the|my|that|this] {k}",
    "[no more|forget the|forget about the] {k}",
    "{k} off",
    "[cancel|stop|end] {k}",
    "I don't need the {k} [any more|now]",
    "turn the {k} off",
    "[kill|drop] the {k}",
]
CANCEL_HELD = ["the {k} can go", "get rid of my {k}"]


def cancel_turn(gen, word, intent):
    """Cancel a timer or an alarm."""
    user = gen.user(CANCEL, CANCEL_HELD, command=True, k=word)
    bot = gen.answer([OKAY + "I've cancelled the {k}."], k=word)
    return turn(intent, user, bot, ["cancelled the " + word])


def cancel(gen, ctx):
    """Cancel without a timer or alarm before it in the talk."""
    word = gen.pick(["timer", "alarm", "reminder"])
    return [
        cancel_turn(
            gen, word, "timer" if word == "timer" else "alarm" if word == "alarm" else "reminder"
        )
    ]


ALARM = [
    "[set|make|create|put|add] an alarm for {t}{d}",
    "[set|put] [an|the|my] alarm [for|to] {t}{d}",
    "wake me [up|] at {t}{d}",
    "alarm [for|at] {t}{d}",
    "alarm {t}{d}",
    "[I need|I want|I'd like] an alarm [at|for] {t}{d}",
    "I [need|have|want] to [get up|wake up|be up] at {t}{d}",
    "[set|make] an alarm at {t}{d}",
    "get me up at {t}{d}",
    "[ring|beep] at {t}{d}",
    "[let me sleep|I want to sleep] until {t}{d}",
    "set the alarm clock [for|to] {t}{d}",
]
ALARM_HELD = [
    "make sure I'm awake at {t}{d}",
    "new alarm, {t}{d}",
    "I have to be out of bed by {t}{d}",
]


def alarm(gen, ctx):
    """Set an alarm, with follow-ups."""
    when, (said, heard) = gen.fresh(lambda: (clock(gen.rng), day(gen.rng)))
    turns = []
    if gen.chance(0.12):
        user = gen.user(
            [
                "[set|make|create|I need|I want] an alarm",
                "alarm [please|]",
                "set alarm",
                "new alarm",
                "wake me up",
                "set an alarm{d}",
            ],
            ["could I have an alarm"],
            command=gen.chance(0.5),
            d="",
        )
        turns.append(
            turn(
                "alarm", user, gen.answer(["For what time?", "Sure, for what time?"]), ["what time"]
            )
        )
        user = gen.user(
            ["[for|at|] {t}{d}", "{t}{d} please", "let's say {t}{d}", "make it {t}{d}"],
            ["{t}{d} should do"],
            t=when,
            d=said,
        )
        intent = "follow-up: missing time"
    else:
        user = gen.user(ALARM, ALARM_HELD, command=True, t=when, d=said)
        intent = "alarm"
    bot = gen.answer(
        [OKAY + "I've set an alarm for {t}{d}.", OKAY + "your alarm is set for {t}{d}."],
        t=when,
        d=heard,
    )
    turns.append(turn(intent, user, bot, ["alarm", "for " + when + heard]))
    ctx.alarm = when + heard
    while gen.chance(0.35) and ctx.alarm:
        turns += alarm_follow(gen, ctx)
    return turns


def alarm_follow(gen, ctx):
    """Change, ask about or cancel the alarm."""
    kind = gen.rng.random()
    if kind < 0.6:
        when = gen.fresh(lambda: clock(gen.rng))
        user = gen.user(
            [
                "[make it|make that|change it to|change that to|move it to|set it to] {t} [instead|]",
                "[actually|no|sorry|wait], {t}",
                "[actually|no|sorry], make it {t} [instead|please|]",
                "{t} instead",
                "change the alarm to {t}",
                "[I meant|better|rather] {t}",
            ],
            ["on second thought, {t}", "let's go with {t} after all"],
            t=when,
        )
        ctx.alarm = when
        return [
            turn(
                "follow-up: new time",
                user,
                gen.answer(["Okay, I've changed the alarm to {t}."], t=when),
                ["alarm to " + when],
            )
        ]
    if kind < 0.8:
        user = gen.user(
            [
                "[when|what time] is [my|the] alarm [set for|set|]",
                "when [will you wake me|do I get up]",
                "[which|what] alarms [do I have|are set]",
                "is my alarm set",
            ],
            ["what did I pick for the alarm"],
        )
        return [
            turn(
                "follow-up: which alarm",
                user,
                gen.answer(["Your alarm is set for {t}."], t=ctx.alarm),
                [ctx.alarm],
            )
        ]
    ctx.alarm = None
    return [cancel_turn(gen, "alarm", "follow-up: cancel")]


def reminder(gen, ctx):
    """Reminders with a task and perhaps a time."""

    def when():
        kind = gen.rng.random()
        if kind < 0.3:
            return "", ""
        if kind < 0.6:
            text = " at " + clock(gen.rng)
            extra = day(gen.rng)
            return text + extra[0], text + extra[1]
        if kind < 0.8:
            said, spoken = duration(gen.rng)
            return " in " + said, " in " + spoken
        said, heard = day(gen.rng)
        return (said, heard) if said else (" tomorrow", " tomorrow")

    job, (said, heard) = gen.fresh(lambda: (task(gen.rng), when()))
    user = gen.user(
        [
            "remind me to {j}{w}",
            "remind me{w} to {j}",
            "[set|make|add|create] a reminder to {j}{w}",
            "[don't|do not] let me forget to {j}{w}",
            "I [need|have|must remember] to {j}{w}, remind me",
            "reminder to {j}{w}",
            "I [must not|mustn't|shouldn't] forget to {j}{w}",
            "help me remember to {j}{w}",
        ],
        ["nudge me to {j}{w}", "make sure I remember to {j}{w}"],
        command=True,
        j=job,
        w=said,
    )
    bot = gen.answer(["[Okay|Okay|Sure], I'll remind you to {j}{w}."], j=your(job), w=heard)
    turns = [turn("reminder", user, bot, ["remind you to " + your(job) + heard])]
    if gen.chance(0.25):
        new = gen.fresh(lambda: clock(gen.rng))
        user = gen.user(
            [
                "[make it|make that|change it to|move it to|better] [at|] {t} [instead|]",
                "[actually|no|sorry], at {t}",
                "[at|] {t} instead",
            ],
            ["on second thought, at {t}"],
            t=new,
        )
        bot = gen.answer(["Okay, I'll remind you to {j} at {t}."], j=your(job), t=new)
        turns.append(turn("follow-up: new time", user, bot, [your(job) + " at " + new]))
    return turns


TIME_ASK = [
    "[what's|what is] the time [now|right now|please|]",
    "what time is it [now|right now|please|]",
    "[tell me|give me|say] the time",
    "[do you know|can you tell me|could you tell me] [the time|what time it is]",
    "[have you got|do you have|got] the time",
    "the time please",
    "time please",
    "how late is it",
    "what's the current time",
]
DATE_ASK = [
    "[what's|what is] [the date|today's date|the date today]",
    "what date is it [today|]",
    "[tell me|give me] [the date|today's date]",
    "[do you know|can you tell me] [the date|today's date|what date it is]",
    "which date is it [today|]",
    "date please",
]
DAY_ASK = [
    "[what|which] day is it [today|now|]",
    "[what|which] day of the week is it [today|]",
    "[what|which] weekday is it [today|]",
    "[what's|what is] today",
    "[tell me|do you know] [what|which] day it is",
]
MONTH_ASK = ["[what|which] month is it [now|]", "[what|which] month are we in", "tell me the month"]
NEXT_ASK = [
    "[what|which] day is [it tomorrow|tomorrow]",
    "[what|which] day of the week is tomorrow",
    "what's tomorrow",
    "what is tomorrow",
]
PAST_ASK = [
    "[what|which] day was [it yesterday|yesterday]",
    "[what|which] day of the week was yesterday",
    "what was yesterday",
]
YEAR_ASK = ["[what|which] year is it [now|]", "[what|which] year are we in", "tell me the year"]
TIME_HELD = ["any idea how late it is", "could I have the time"]
DATE_HELD = ["what's on the calendar for today's date", "the date today please"]


def clock_ask(gen, ctx):
    """The time, date, day, month, year from the system message, or honestly not."""
    kind = gen.pick(
        ["time", "time", "time", "date", "date", "day", "day", "next", "past", "month", "year"]
    )
    asks = {
        "time": TIME_ASK,
        "date": DATE_ASK,
        "day": DAY_ASK,
        "next": NEXT_ASK,
        "past": PAST_ASK,
        "month": MONTH_ASK,
        "year": YEAR_ASK,
    }[kind]
    held = {"time": TIME_HELD, "date": DATE_HELD}.get(kind, ())
    user = gen.user(asks, held)
    intent = "clock" if kind == "time" else "calendar"
    if kind == "time":
        if ctx.time:
            return [
                turn(intent, user, gen.answer(["It's {t}.", "It is {t}."], t=ctx.time), [ctx.time])
            ]
        return [
            turn(
                intent,
                user,
                gen.answer(["I don't have a clock here, so I can't tell the time."]),
                ["don't have a clock"],
            )
        ]
    if kind == "year":
        return [
            turn(
                intent,
                user,
                gen.answer(["I don't know the year, sorry. Nobody has told me."]),
                ["don't know the year"],
            )
        ]
    if not ctx.date:
        return [
            turn(
                intent,
                user,
                gen.answer(["I don't have a calendar here, so I can't tell the date."]),
                ["don't have a calendar"],
            )
        ]
    weekday, number_, month = ctx.date
    i = WEEKDAYS.index(weekday)
    full = f"{weekday}, {number_} {month}"
    text, need = {
        "date": ("[It's|Today is] " + full + ".", full),
        "day": ("[It's|Today is] " + weekday + ".", weekday),
        "month": ("It's " + month + ".", month),
        "next": ("Tomorrow is " + WEEKDAYS[(i + 1) % 7] + ".", WEEKDAYS[(i + 1) % 7]),
        "past": ("Yesterday was " + WEEKDAYS[(i - 1) % 7] + ".", WEEKDAYS[(i - 1) % 7]),
    }[kind]
    return [
        turn(
            intent,
            user,
            gen.answer([text.replace("[It's|Today is]", gen.pick(["It's", "Today is"]))]),
            [need],
        )
    ]


DAY_AFTER = [
    "[what|which] day [comes|is] [after|next after] {d}",
    "[what|which] day follows {d}",
    "after {d} [comes|is] which day",
]
DAY_BEFORE = ["[what|which] day [comes|is] before {d}", "before {d} [comes|is] which day"]


def order_ask(gen, ctx):
    """Which day or month comes after or before another."""
    after = gen.chance(0.5)
    names = gen.pick([WEEKDAYS, MONTHS])
    i = gen.rng.randrange(len(names))
    said = names[i] if gen.chance(0.6) else names[i].lower()
    word = "day" if names is WEEKDAYS else "month"
    asks = [a.replace("day", word) for a in (DAY_AFTER if after else DAY_BEFORE)]
    held = ["name the " + word + (" after" if after else " before") + " {d}"]
    reply = names[(i + (1 if after else -1)) % len(names)]
    bot = gen.answer(["{r} comes {w} {d}."], r=reply, w="after" if after else "before", d=names[i])
    return [turn("calendar", gen.user(asks, held, d=said), bot, [reply + " comes"])]
