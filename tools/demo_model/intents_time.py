"""Timers, alarms and reminders."""

from grammar import turn
from phrases import ASIDE, ASK, ASK_YOU, CHANGE, REASON, TAIL, WANT, WELL, WONDER, after, more
from slots import clock, day, duration, nonce, spoken_list, task, your

TIMER_NAMES = """pasta|egg|eggs|rice|pizza|cake|tea|laundry|bread|oven|nap|workout|chicken|potato|
cookie|cookies|homework|break|coffee|soup|roast|lasagne|yoga|reading|meditation|shower|plank|steak|
toast|muffin|pie|dough|study|game|parking|garden|dishwasher|washing|noodle|porridge|
curry""".replace(
    "\n", ""
).split(
    "|"
)

TIMER = more(
    2,
    "[set|start|make|create|put on|begin|run|set up|launch] [a|the|a new|my|another] timer [for|"
    "for|to|of] {d} " + TAIL,
    "[set|start|make|create|run|begin] a {d} timer " + TAIL,
    "[timer|a timer|one timer|new timer|a new timer|kitchen timer] [for|of|at|with|to|,|"
    "] {d} " + TAIL,
) + [
    "{d} timer " + TAIL,
    "{d} on the [timer|clock|kitchen timer|stopwatch] " + TAIL,
    WANT + " a timer [for|of|to run for|that runs] {d} " + TAIL,
    WANT + " a {d} timer",
    "[time|count down|count off|track|measure] {d} [for me|for us|please|on the clock|] " + TAIL,
    "[tell me|let me know|beep|ring|alert me|buzz|call me|shout|give me a signal|notify me|"
    "ping me|warn me] "
    "[when {d} are up|in {d}|after {d}|when {d} have passed|once {d} are over|when {d} are over|"
    "{d} from now] " + TAIL,
    "[set|start|begin|run|make] a countdown [of|for|from] {d} " + TAIL,
    "[countdown|count down] [of|for|from|] {d} " + TAIL,
    "[start|begin|keep] [timing|counting down|counting] {d} " + TAIL,
    ASK + " [set|start|make|run] a timer [for|of] {d}",
    ASK + " [time|count down] {d}",
    REASON + ", [set|start] a timer for {d}",
    "[I'm boiling something|I'm baking|I'm cooking eggs|there's something in the oven|"
    "the pasta is in|"
    "I'm steeping tea|I'm doing a plank|the kids may play|I want to rest|I'm taking a break|"
    "I'm going to nap|"
    "the rice is on|I have a pot on the stove|the cake is in the oven], "
    "[time it for {d}|set a timer for {d}|time {d}|{d} please|start {d}|give me {d}|set {d}|"
    "a timer for {d}|let me know in {d}|count {d}]",
    "[set|start|run] a timer[, {d}| and make it {d}|, {d} should do|, say {d}|, about {d}|"
    ", {d} please|, it should run {d}]",
    "[set|put|turn|start] [the|my] [timer|kitchen timer|countdown] [on|to|at|for] {d} " + TAIL,
    "[let|have] [a|the] timer [run for|run|go off in|ring in|beep in|count] {d} " + TAIL,
    "[remind me|tell me that time's up] in {d} " + "[|, it's for the oven|, that's all|please]",
]
NAMED = [
    "[set|start|make|create|run|set up] [a|the|my|a new] {k} timer [for|of|to] {d} " + TAIL,
    "{k} timer [for|of|,|at|] {d} " + TAIL,
    "[set|start|run|create] a timer for [the|my|] {k} [for|of|,] {d} " + TAIL,
    "[set|start|run|create] a {d} timer for [the|my|] {k} " + TAIL,
    "[set|start|run] a {d} {k} timer " + TAIL,
    WANT + " a {k} timer [of|for] {d} " + TAIL,
    "[set|start|create] a timer [called|named|labelled] {k} [for|of|with] {d} " + TAIL,
    ASK + " [set|start|make] a {k} timer for {d}",
    REASON + ", [set|start] a {k} timer for {d}",
    "{d} [for the {k}|{k} timer|on the {k} timer] " + TAIL,
    "[let|have] the {k} timer run [for|] {d} " + TAIL,
    "[time|watch] the {k} for {d} " + TAIL,
]
BARE = [
    "[set|start|make|create|run|begin|set up] [a|the|a new|my] timer " + TAIL,
    "[timer|a timer|new timer|set timer|start timer|another timer] " + TAIL,
    WANT + " a timer " + TAIL,
    ASK + " [set|start|run] a timer",
    REASON + ", [set|start] a timer",
]
LENGTH = [
    "[for|make it|let's say|say|about|it's|I need|I want|set it to|I think|let's do|do|give it|"
    "give me|make that|just|only|well,|hmm,|oh,|um,|let me think,|maybe|probably|for about|"
    "well, for] {d} [please|, please|thanks|]",
    "{d} [please|, please|should be enough|should do|will do|is fine|is good|I think|"
    "would be good|thanks|"
    "is enough|sounds good|sounds right|, thank you|would be fine|ought to do]",
    "{d}",
]


def set_timer(length, name=None, action="set"):
    """The call that sets or changes a timer."""
    return "timer", {"action": action, "name": name, "length": length}


def timer(gen, ctx):
    """Set a timer, with follow-ups."""
    turns = []
    typed_d, spoken = gen.fresh(lambda: duration(gen.rng))
    kind = gen.rng.random()
    name = ""
    if kind < 0.2:
        name = gen.pick(TIMER_NAMES) if gen.chance(0.93) else nonce(gen.rng)
        user = gen.user(NAMED, command=True, d=typed_d, k=name)
        bot = gen.answer(["Okay, I've set a {k} timer for {d}."], k=name, d=spoken)
        turns.append(turn("timer", user, bot, [name, "timer", "for " + spoken], (),
                          set_timer(spoken, name)))
    elif kind < 0.33:
        user = gen.user(BARE, command=gen.chance(0.5))
        turns.append(turn("timer", user, gen.answer(["For how long?"]), ["how long"],
                          wants="timer"))
        user = gen.user(after(WELL, LENGTH), d=typed_d)
        bot = gen.answer(["Okay, I've set a timer for {d}."], d=spoken)
        turns.append(turn("follow-up: missing length", user, bot, ["timer for " + spoken], (),
                          set_timer(spoken)))
    else:
        user = gen.user(TIMER, command=gen.chance(0.7), d=typed_d)
        bot = gen.answer(["Okay, I've set a timer for {d}."], d=spoken)
        turns.append(turn("timer", user, bot, ["timer", "for " + spoken], (), set_timer(spoken)))
    ctx.timer = (name + " timer").strip(), spoken
    while gen.chance(0.4) and ctx.timer:
        turns += timer_follow(gen, ctx, name or None)
    return turns


NEW_LENGTH = [
    "[make it|make that|change it to|change that to|set it to|set it for|let it run|give it|"
    "put it to|"
    "let's make it|let's say|go for|better|rather|I meant|I'd rather have|I mean] {d} "
    "[instead|please|after all|instead please|, please|]",
    CHANGE + ", [make it|make that|set it to|change it to|I need|I meant|it's|] {d} [instead|"
    "please|after all|]",
    "{d} [instead|is better|would be better|after all|instead please|rather|, I meant|, not that]",
    "[change|set|switch|move|adjust|reset|extend|shorten] the timer to {d} [instead|please|]",
    "[can you|could you|please|would you|I'd like you to] [make it|make that|change it to|"
    "set it to] {d} [instead|please|]",
    "[I need|it needs|I want|it takes|I think I need|it should be|it should run] {d} [instead|"
    "rather|after all|actually]",
    "[that's too short|that's too long|that's not enough|not long enough|too long|too short|"
    "that's wrong], "
    "[make it|make that|set it to|I need|] {d} [please|]",
]
LEFT = [
    ASIDE + " how [long|much time|much|many minutes] [is|are] left [on the timer|on it|now|]",
    ASIDE + " how [much longer|long still|much more time|long to go] [on the timer|now|"
    "until it rings|do I have|]",
    ASIDE + " [what's|what is] left [on the timer|on it|now]",
    ASIDE + " [how long|how much time|how many minutes] do [I|we] [still have|have left]",
    ASIDE + " [is|isn't] [the|my] timer [done|finished|over|up|still running|about to ring] [yet|"
    "soon|now|]",
    ASIDE + " [how is|how's|what about|where is] [the|my] timer [doing|getting on|at|going|now]",
    "[check|look at] [the|my] timer " + TAIL,
    ASIDE + " when [will|does] [the|my] timer [ring|go off|end|finish|beep|stop]",
    WONDER + " how [much time|long|many minutes] [is left|I still have|the timer still has]",
    ASIDE + " [is|are] [there much time|the minutes|my time] [left|over|up] [yet|now|]",
]
WHICH_TIMER = [
    ASIDE + " [how long|what|for how long] [is|was] [the|my] timer [set for|set to|for] [again|"
    "now|]",
    ASIDE + " what did I set [the|my] timer [to|for] [again|]",
    ASIDE + " [which|what] timers [do I have|are running|are set|have I set|did I set|are there|"
    "are on]",
    ASIDE + " [how long|what length] did I [set|choose|pick|say|want] [for the timer|it for]",
    WONDER + " how long [the|my] timer [was|is|is set for|runs]",
    ASIDE + " [do I have|have I got|is there] [a timer|any timers|any timer] [set|running|"
    "on] [now|]",
    "[list|show me|tell me|read me|name|show] [my|the|all|all my] timers " + TAIL,
]


def running(gen):
    """A line of the list of timers."""
    length = duration(gen.rng)[1]
    return length + " for " + gen.pick(TIMER_NAMES) if gen.chance(0.4) else length


def listed(gen, tool, draw, empty, some):
    """The call that lists what a tool keeps: the call, its result, the answer and its rule."""
    lines = [draw(gen) for _ in range(gen.pick([0, 1, 1, 1, 2, 2, 3]))]
    lines = list(dict.fromkeys(lines))
    bot = some + spoken_list(lines) + "." if lines else empty
    return {"call": (tool, {"action": "list"}), "result": {tool + "s": lines}, "bot": bot,
            "need": [spoken_list(lines)] if lines else [empty]}


def list_timers(gen):
    """The timers as the tool lists them."""
    return listed(gen, "timer", running, "You have no timers.", "Still to go: ")


def timer_follow(gen, ctx, name):
    """Change, ask about or cancel the timer that runs."""
    label, length = ctx.timer
    kind = gen.rng.random()
    if kind < 0.5:
        typed_d, spoken = gen.fresh(lambda: duration(gen.rng))
        user = gen.user(after(WELL, NEW_LENGTH), d=typed_d)
        bot = gen.answer(["Okay, I've changed the {k} to {d}."], k=label, d=spoken)
        ctx.timer = label, spoken
        return [turn("follow-up: new length", user, bot, [label, spoken], (),
                     set_timer(spoken, name, "change"))]
    if kind < 0.8 and "timer" in ctx.tools:
        left = kind < 0.67
        return [turn("follow-up: time left" if left else "follow-up: which timer",
                     gen.user(LEFT if left else WHICH_TIMER), **list_timers(gen))]
    if kind < 0.67:
        bot = gen.answer(
            ["I can't see the countdown from here, but I set the {k} for {d}."], k=label, d=length
        )
        need = [label, length, "can't"]
        return [turn("follow-up: time left", gen.user(LEFT), bot, need)]
    if kind < 0.8:
        bot = gen.answer(["Your {k} is set for {d}."], k=label, d=length)
        return [turn("follow-up: which timer", gen.user(WHICH_TIMER), bot, [label, length])]
    ctx.timer = None
    return [cancel_turn(gen, "timer", "follow-up: cancel", label, name)]


CANCEL = [
    "[cancel|stop|delete|remove|end|turn off|switch off|kill|drop|scrap|erase|clear|abort|quit|"
    "undo|"
    "get rid of|call off|throw away|skip] [the|my|that|this] {k} [again|] " + TAIL,
    "[no more|forget the|forget about the|never mind the|forget my|away with the|no] {k} [please|"
    ", please|now|]",
    "[the|my|that|this] {k} [can go|is not needed|isn't needed|is no longer needed|should stop|"
    "must go|can be cancelled|"
    "can be deleted|is over|off] [now|please|any more|]",
    "{k} [off|stop|away] [please|now|]",
    "[cancel|stop|end|delete|remove] {k} " + TAIL,
    "I [don't need|no longer need|don't want|won't need] [the|my|that|a] {k} [any more|now|"
    "after all|]",
    "[turn|switch] [the|my|that|this] {k} off " + TAIL,
    ASK + " [cancel|stop|delete|turn off] [the|my|that] {k}",
    REASON + ", [cancel|stop|delete|turn off] [the|my|that] {k}",
]
CANCEL_IT = [
    "[cancel|stop|delete|remove|drop|end|scrap|turn off|switch off|undo|abort] [it|that|"
    "this] [again|] " + TAIL,
    CHANGE + ", [cancel|stop|delete|drop|end|scrap] [it|that] [please|again|]",
    "I [don't need|no longer need|don't want|won't need] it [any more|now|after all]",
    "[can you|could you|please|would you] [cancel|stop|delete|remove] [it|that] [again|please|now|"
    "]",
    "turn [it|that] off " + TAIL,
]


def cancel_turn(gen, word, intent, label=None, name=None):
    """Cancel a timer or an alarm; label is what it is called in this talk."""
    ways = CANCEL + (after(WELL, CANCEL_IT) if label else [])
    user = gen.user(ways, command=gen.chance(0.4), k=word)
    bot = gen.answer(["Okay, I've cancelled the {k}."], k=label or word)
    return turn(intent, user, bot, ["cancelled the " + (label or word)], (),
                (word, {"action": "cancel", "name": name}))


def cancel(gen, ctx):
    """Cancel without a timer or alarm before it in the talk."""
    word = gen.pick(["timer", "alarm", "reminder"])
    ctx.timer = None if word == "timer" else ctx.timer
    ctx.alarm = None if word == "alarm" else ctx.alarm
    if ctx.tools and word == "timer" and gen.chance(0.5):
        name = gen.pick(TIMER_NAMES)
        user = gen.user(CANCEL, command=gen.chance(0.4), k=name + " timer")
        bot = gen.answer(["Okay, I've cancelled the {k} timer."], k=name)
        return [turn("timer", user, bot, [f"cancelled the {name} timer"], (),
                     ("timer", {"action": "cancel", "name": name}))]
    return [cancel_turn(gen, word, word)]


ALARM = more(
    2,
    "[set|make|create|put|add|set up|schedule] [an|the|my|a new|another] alarm [for|at|"
    "to] {t}{d} " + TAIL,
    "wake [me|us|me up|us up] at {t}{d} " + TAIL,
) + [
    "[alarm|an alarm|new alarm|set alarm|wake-up alarm|morning alarm] [for|at|to|,|"
    "] {t}{d} " + TAIL,
    WANT + " an alarm [at|for] {t}{d} " + TAIL,
    "I [need|have|want|must|would like|ought|want] to [get up|wake up|be up|be awake|rise|"
    "get out of bed|"
    "be out of bed] [at|by] {t}{d} " + TAIL,
    "[get|have] me [up|out of bed] at {t}{d} " + TAIL,
    "[ring|beep|buzz|sound the alarm|go off|make some noise] at {t}{d} " + TAIL,
    "[let me sleep|I want to sleep|I'd like to sleep|let us sleep] until {t}{d} " + TAIL,
    "[set|turn|put] [the|my] alarm [clock|] [for|to|on|at] {t}{d} " + TAIL,
    ASK + " set an alarm for {t}{d}",
    ASK_YOU + " [wake me up at|wake me at|get me up at] {t}{d}",
    REASON + ", [wake me up at|wake me at|set an alarm for|set the alarm for] {t}{d}",
    "[make sure|see to it|take care] [that|] I'm [up|awake|out of bed] [at|by] {t}{d} " + TAIL,
    "[my flight leaves early|I have an early meeting|school starts early|the train goes early|"
    "I mustn't oversleep|I can't be late|big day ahead|I'm going to bed now|early start|"
    "I have work in the morning], [wake me up at|wake me at|set an alarm for|alarm for|"
    "set my alarm to] {t}{d}",
    "[don't|do not] let me sleep [past|later than|longer than|after] {t}{d} " + TAIL,
    "[I should|I'd better|we must|we have to|we need to] [get up|be up|be awake|wake up] [at|"
    "by] {t}{d}"
    "[, set an alarm|, wake me|, please wake me|]",
]
BARE_ALARM = [
    "[set|make|create|add|set up|put on] [an|the|my|a new] alarm " + TAIL,
    "[alarm|an alarm|set alarm|new alarm|another alarm] " + TAIL,
    "wake me [up|] [please|]",
    WANT + " an alarm " + TAIL,
    ASK + " set an alarm",
    ASK_YOU + " [wake me up|wake me]",
    REASON + ", [set an alarm|wake me up]",
]
TIME_OF = [
    "[for|at|make it|let's say|say|about|it's|set it for|set it to|I think|well,|hmm,|oh,|um,|"
    "maybe|"
    "probably|let me think,|let's do|I'd say|for about|how about|best at] {t}{d} [please|, please|"
    "thanks|]",
    "{t}{d} [please|, please|should do|will do|is fine|is good|I think|would be good|thanks|"
    "sounds good|"
    "is early enough|, thank you|would be fine|is best|is perfect]",
    "{t}{d}",
]


def bare_day(text):
    """A day as an argument: without "on" or "at" in front; None where no day was said."""
    return text.strip().removeprefix("on ").removeprefix("at ") or None


def alarm(gen, ctx):
    """Set an alarm, with follow-ups."""
    when, (said, heard) = gen.fresh(lambda: (clock(gen.rng), day(gen.rng)))
    turns = []
    if gen.chance(0.12):
        user = gen.user(BARE_ALARM, command=gen.chance(0.5))
        turns.append(turn("alarm", user, gen.answer(["For what time?"]), ["what time"],
                          wants="alarm"))
        user = gen.user(after(WELL, TIME_OF), t=when, d=said)
        intent = "follow-up: missing time"
    else:
        user = gen.user(ALARM, command=gen.chance(0.7), t=when, d=said)
        intent = "alarm"
    bot = gen.answer(["Okay, I've set an alarm for {t}{d}."], t=when, d=heard)
    turns.append(turn(intent, user, bot, ["alarm", "for " + when + heard], (),
                      ("alarm", {"action": "set", "time": when, "day": bare_day(heard)})))
    ctx.alarm = when + heard
    while gen.chance(0.35) and ctx.alarm:
        turns += alarm_follow(gen, ctx)
    return turns


NEW_TIME = [
    "[make it|make that|change it to|change that to|move it to|set it to|set it for|put it to|"
    "let's make it|"
    "let's say|better|rather|I meant|I mean|I'd rather have|go for] {t} [instead|please|after all|"
    "instead please|]",
    CHANGE + ", [make it|make that|set it to|change it to|move it to|I meant|it's|] {t} [instead|"
    "please|after all|]",
    "{t} [instead|is better|would be better|after all|instead please|rather|, I meant|"
    "suits me better]",
    "[change|set|switch|move|adjust|reset|shift|push] the alarm to {t} [instead|please|]",
    "[can you|could you|please|would you|I'd like you to] [make it|make that|change it to|"
    "move it to] {t} [instead|please|]",
    "[I need to get up|wake me|wake me up|I want to get up|I have to be up] at {t} [instead|"
    "rather|after all]",
    "[that's too early|that's too late|too early|too late|that's wrong], "
    "[make it|make that|set it to|] {t} [please|]",
]
WHICH_ALARM = [
    ASIDE + " [when|what time|for when|for what time] is [my|the] alarm [set for|set|] [again|now|"
    "]",
    ASIDE + " [when|what time|at what time] [will you wake me|do I get up|do I have to get up|"
    "will I wake up|"
    "does the alarm ring|does my alarm go off|will the alarm ring] [again|]",
    ASIDE + " [which|what] alarms [do I have|are set|have I set|did I set|are there|are on]",
    ASIDE + " [is my alarm set|did you set the alarm|is the alarm on|do I have an alarm|"
    "is there an alarm set] [now|]",
    ASIDE + " [what did I|what time did I|which time did I] [set|choose|pick|"
    "say] for the alarm [again|]",
    WONDER + " [when|what time] [the|my] alarm [is|is set for|rings|will ring|goes off]",
    "[list|show me|tell me|read me|show] [my|the|all|all my] alarms " + TAIL,
]


def ringing(gen):
    """A line of the list of alarms."""
    return clock(gen.rng) + day(gen.rng)[1]


def list_alarms(gen):
    """The alarms as the tool lists them."""
    return listed(gen, "alarm", ringing, "You have no alarms.", "Your alarms are set for ")


def alarm_follow(gen, ctx):
    """Change, ask about or cancel the alarm."""
    kind = gen.rng.random()
    if kind < 0.55:
        when = gen.fresh(lambda: (clock(gen.rng), "new"))[0]
        user = gen.user(after(WELL, NEW_TIME), t=when)
        ctx.alarm = when
        bot = gen.answer(["Okay, I've changed the alarm to {t}."], t=when)
        return [turn("follow-up: new time", user, bot, ["alarm to " + when], (),
                     ("alarm", {"action": "change", "time": when}))]
    if kind < 0.78 and "alarm" in ctx.tools:
        return [turn("follow-up: which alarm", gen.user(WHICH_ALARM), **list_alarms(gen))]
    if kind < 0.78:
        bot = gen.answer(["Your alarm is set for {t}."], t=ctx.alarm)
        return [turn("follow-up: which alarm", gen.user(WHICH_ALARM), bot, [ctx.alarm])]
    ctx.alarm = None
    return [cancel_turn(gen, "alarm", "follow-up: cancel", "alarm")]


REMIND = more(
    2,
    "remind [me|us|me please] to {j}{w} " + "[||please|, please|thanks|, thank you]",
    "remind [me|us]{w} to {j} " + "[||please|, please|thanks|, thank you]",
) + [
    "[set|make|add|create|put|schedule|set up] [a|me a|another|a new] reminder to {j}{w} " + TAIL,
    "[set|make|add|create|set up] a reminder{w} to {j} " + TAIL,
    "[don't|do not|never] let [me|us] forget to {j}{w} [please|]",
    "I [need|have|must remember|want to remember|should remember|ought|mustn't forget|"
    "would like] to {j}{w}, "
    "[remind me|please remind me|can you remind me|set a reminder|make a note|don't let me forget|"
    "could you remind me|will you remind me|keep me on track]",
    "[reminder|new reminder|a reminder|note to self|note]: {j}{w}",
    "[reminder|a reminder|one reminder] to {j}{w} " + TAIL,
    "I [must not|mustn't|shouldn't|can't|don't want to|may not|better not|tend to|"
    "always] forget to {j}{w} "
    "[|, remind me|, please remind me]",
    "[help me remember|help me not to forget|make sure I remember|see to it that I remember|"
    "make sure I don't forget|"
    "keep in mind that I have|be sure to tell me|tell me|nudge me|prompt me|poke me|alert me|"
    "notify me|ping me|"
    "give me a nudge|give me a reminder|send me a reminder|jog my memory] to {j}{w} [please|]",
    WANT + " a reminder to {j}{w}",
    ASK_YOU + " remind me to {j}{w}",
    ASK_YOU + " remind me{w} to {j}",
    REASON + ", remind me to {j}{w}",
    "[I'm so forgetful|my memory is bad|I have so much to do|"
    "I keep forgetting], remind me to {j}{w}",
]
NEW_WHEN = [
    "[make it|make that|change it to|move it to|better|rather|I meant|let's say|set it for|put it|"
    "let's make it|I mean|do it] [at|] {t} [instead|please|after all|]",
    CHANGE + ", [make it|remind me|] at {t} [instead|please|]",
    CHANGE + ", make it {t} [instead|please|]",
    "[at|] {t} [instead|is better|would be better|instead please|after all]",
    "[can you|could you|please|would you] [make it|make that|change it to|move it to|"
    "remind me at] {t} [instead|please|]",
    "[change|move|set|shift] the reminder to {t} [instead|please|]",
]


def when(gen):
    """When to be reminded, if at all: (as typed, as repeated)."""
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


def set_reminder(job, heard, action="set"):
    """The call that sets or changes a reminder."""
    return "reminder", {"action": action, "task": your(job), "when": heard.strip() or None}


def reminder(gen, ctx):
    """Reminders with a task and perhaps a time."""
    job, (said, heard) = gen.fresh(lambda: (task(gen.rng), when(gen)))
    user = gen.user(after(WELL, REMIND), j=job, w=said)
    bot = gen.answer(["Okay, I'll remind you to {j}{w}."], j=your(job), w=heard)
    turns = [turn("reminder", user, bot, ["remind you to " + your(job) + heard], (),
                  set_reminder(job, heard))]
    if gen.chance(0.3):
        new = gen.fresh(lambda: (clock(gen.rng), "reminder"))[0]
        user = gen.user(after(WELL, NEW_WHEN), t=new)
        bot = gen.answer(["Okay, I'll remind you to {j} at {t}."], j=your(job), t=new)
        turns.append(turn("follow-up: new time", user, bot, [your(job) + " at " + new], (),
                          set_reminder(job, "at " + new, "change")))
    elif gen.chance(0.1):
        turns.append(cancel_turn(gen, "reminder", "follow-up: cancel", "reminder"))
    return turns


REMINDERS = [
    ASIDE + " [which|what] reminders [do I have|are set|have I set|did I set|are there|"
    "have I got] [now|today|for today|]",
    ASIDE + " what [will|do|should|did] you [remind me of|remind me about] [today|tomorrow|again|]",
    ASIDE + " [do I have|have I got|are there] [any|some] reminders [set|left|today|for today|]",
    ASIDE + " what did I [ask|tell|want] you to remind me of [again|]",
    "[list|show me|tell me|read me|read|read out] [my|the|all|all my] reminders " + TAIL,
    WONDER + " [what|which] reminders [I have|are set|there are]",
]
BARE_REMINDER = [
    "[set|make|add|create|set up] [a|another|a new] reminder " + TAIL,
    "[reminder|a reminder|new reminder] [please|now|, please|]",
    "remind me [please|of something|later|]",
    WANT + " a reminder " + TAIL,
    ASK_YOU + " remind me [of something|]",
    REASON + ", [set a reminder|remind me of something]",
]
JOB = [
    "to {j}{w} [please|, please|]",
    "{j}{w} [please|, please|]",
    "[that I have to|I have to|that I must|I must|I need to|that I need to] {j}{w} [please|]",
]
LEAVE_IT = [
    "[oh, |no, |ah, |actually, |okay, |] [never mind|forget it|leave it|forget about it|"
    "not now|nothing|don't bother] [then|thanks|please|]",
    "[cancel that|I changed my mind|no, thanks|no need|let it be|never mind, thanks|stop]",
]


def asked_back(gen, ctx):
    """What is missing is asked for: it then comes, or the request is dropped."""
    tool, ways, bot = gen.pick([
        ("reminder", BARE_REMINDER, "What should I remind you of?"),
        ("timer", BARE, "For how long?"),
        ("alarm", BARE_ALARM, "For what time?"),
    ])
    first = turn(tool, gen.user(ways, command=gen.chance(0.5)), bot, [bot.rstrip("?")], wants=tool)
    if tool == "reminder" and gen.chance(0.6):
        job, (said, heard) = gen.fresh(lambda: (task(gen.rng), when(gen)))
        user = gen.user(after(WELL, JOB), j=job, w=said)
        bot = gen.answer(["Okay, I'll remind you to {j}{w}."], j=your(job), w=heard)
        return [first, turn("follow-up: missing task", user, bot,
                            ["remind you to " + your(job) + heard], (), set_reminder(job, heard))]
    bot = gen.answer(["Okay, I'll leave it."])
    return [first, turn("follow-up: never mind", gen.user(LEAVE_IT), bot, ["leave it"])]


def due(gen):
    """A line of the list of reminders."""
    return your(task(gen.rng)) + when(gen)[1]


def ask_list(gen, ctx):
    """What timers, alarms and reminders there are."""
    kind = gen.pick(["timer", "timer", "alarm", "reminder"])
    if kind == "timer":
        return [turn("timer", gen.user(LEFT + WHICH_TIMER), **list_timers(gen))]
    if kind == "alarm":
        return [turn("alarm", gen.user(WHICH_ALARM), **list_alarms(gen))]
    found = listed(gen, "reminder", due, "You have no reminders.", "I'll remind you to ")
    return [turn("reminder", gen.user(REMINDERS), **found)]
