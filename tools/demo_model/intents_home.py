"""Lights, switched devices, blinds and heating."""

from grammar import turn
from phrases import ASIDE, ASK, CHANGE, REASON, TAIL, WANT, WELL, after, more
from slots import BLINDS, COLOURS, ROOMS, device, is_plural, number, place, typed, whereabouts

TURN = "[turn|turn|switch|switch|put|flip]"
EITHER = "[{state} {what}|{what} {state}]"
SWITCH = more(
    3,
    "[turn|turn|switch|put|flip|power|click] {state} {what} " + TAIL,
    "[turn|turn|switch|put|flip|get] {what} {state} " + TAIL,
) + [
    "{what} {state} " + TAIL,
    ASK + " [turn|switch|put] " + EITHER,
    WANT + " {what} {state} " + TAIL,
    REASON + ", [turn|switch|put] " + EITHER,
    "[turn|switch|put] " + EITHER + ", " + REASON,
    "[make sure|see to it|check|ensure|take care|please make sure] [that|"
    "] {what} {be} {state} " + TAIL,
    "{what} [should|must|can|could|may|has to|needs to|ought to] be {state} " + TAIL,
    "[turn|switch] {what} back {state} " + TAIL,
    "[why {be} {what} not|shouldn't {what} be|can {what} be|could {what} be|would you have|"
    "may I have|{be} {what} not] {state} " + TAIL,
    "set {what} to {state} " + TAIL,
    "{state} with {what} " + TAIL,
    "{what}: {state}",
    "[I forgot to|I didn't|somebody needs to|someone has to|I'd rather not get up to|"
    "I'm too lazy to|I can't get up to|I have no time to|I'm not able to|it would help to|"
    "we forgot to|my job for you is to|your task is to|the next thing is to] "
    "[turn|switch|put] " + EITHER + " [|, can you do it|, please do it|, do it for me]",
]
ON_ONLY = [
    "[start|activate|enable|fire up|power up|light up|wake up|run] {what} " + TAIL,
    ASK + " [start|activate|enable|power up] {what}",
    "[start|activate|enable] {what}, " + REASON,
    "[I need to use|we need|I want to use|we're going to use|I'm about to use] {what} " + TAIL,
]
OFF_ONLY = [
    "[shut off|deactivate|disable|power down|kill|stop|shut down|cut|quit] {what} " + TAIL,
    ASK + " [shut off|deactivate|disable|shut down] {what}",
    "[shut off|deactivate|disable|shut down] {what}, " + REASON,
    "[I don't need|we don't need|nobody needs|we're done with|I'm done with|I'm finished with|"
    "no more need for|nobody is using|I left on] {what} [any more|now|] " + TAIL,
    "[no more|enough of|out with] {what} " + TAIL,
    "[I left|we left|I think I left|somebody left|did I leave|the kids left] {what} on "
    "[|, turn {them} off|, switch {them} off|, please turn {them} off]",
    "{what} [shouldn't|mustn't|don't need to|needn't] be on [any more|now|all night|all day|"
    "] " + TAIL,
]
WHERE = "[in|inside] the {room}"
VAGUE_ON = [
    "it's [really|so|very|pretty|too|rather|quite|way too|awfully|a bit|a little|getting|] "
    "[dark|dim|gloomy|black|murky] " + WHERE + " [now|again|at the moment|for reading|]",
    "[I|we] [can't|can hardly|can barely|cannot] see [anything|a thing|much|my hand|what I'm doing|"
    "my feet|where I'm going] " + WHERE + " [any more|now|]",
    "[make it bright|make it brighter|give me some light|give us some light|I need light|"
    "I need some light|I want light|we need light|let there be light|more light|some light|"
    "bring light|"
    "I want it bright|get me some light|light, please,|a little light|let's have some light|"
    "can I have some light|could we have light|can I get some light] " + WHERE + " " + TAIL,
    "[light up|illuminate|brighten up|lighten|lighten up] the {room} " + TAIL,
    "[turn|switch|put] on the {room} " + TAIL,
    "[turn|switch|put] the {room} on " + TAIL,
    "the {room} is [really|so|very|pretty|too|rather|quite|way too|] "
    "[dark|dim|gloomy|black] [now|again|today|]",
    "[I|we] [need|want|have|would like] to [see something|see|read|work|look for something|"
    "find something|find my keys] in the dark {room}",
    "[why is it so dark|who turned the light out|it's night already] " + WHERE + " [|again]",
]
VAGUE_OFF = [
    "[make it dark|no light|less light|no more light|I want it dark|I don't need light|lights out|"
    "we don't need light|I want no light|enough light|let it be dark|kill the light|"
    "it should be dark|I'd like it dark|there should be no light|nobody needs light|"
    "I need it dark] "
    + WHERE + " " + TAIL,
    "it's [really|so|very|pretty|too|rather|quite|way too|awfully|a bit|a little|far too|] "
    "bright " + WHERE + " [now|again|to sleep|for me|]",
    "[nobody|no one] [is|sits|sleeps|works|is sitting] " + WHERE + " [any more|now|at the moment|]",
    "[turn|switch|put] off the {room} " + TAIL,
    "[turn|switch|put] the {room} off " + TAIL,
    "[darken|black out|make dark] the {room} " + TAIL,
    "the {room} is [really|so|very|pretty|too|rather|quite|way too|far too|] bright [now|again|]",
    "[everybody|everyone] [has left|left|went out of|is out of|is gone from] the {room} [now|]",
    "[too much|there's too much|there is too much] light " + WHERE + " [now|to sleep|for me|]",
]


def one_light(heard, word):
    """The arguments that say which light is meant; a plain lamp goes without saying."""
    special = word in heard and word not in ("light", "lights", "lamp", "lamps")
    return {"place": whereabouts(heard, word), "lamp": word if special else None}


def switch(gen, ctx):
    """Turn a light or a device on or off, with follow-ups."""
    lamp = gen.chance(0.65)
    said, heard, word, state = gen.fresh(
        lambda: (*(place(gen.rng) if lamp else device(gen.rng)), gen.pick(["on", "off"]))
    )
    many = is_plural(said, word)
    ways = SWITCH + more(1, *(ON_ONLY if state == "on" else OFF_ONLY))
    user = gen.user(ways, command=True, what=said, state=state,
                    be="are" if many else "is", them="them" if many else "it")
    bot = gen.answer(["Okay, I've turned {s} {w}."], s=state, w=heard)
    intent = "lights" if lamp else "devices"
    if lamp:
        call = "light", one_light(heard, word) | {"state": state}
    else:
        call = "device", {"name": word, "place": whereabouts(heard, word), "state": state}
    other = "off" if state == "on" else "on"
    turns = [turn(intent, user, bot, [heard, state], [other], call)]
    if gen.chance(0.5):
        turns += after_switch(gen, heard, word, state, call, "them" if many else "it")
    return turns


ANOTHER = [
    "[and|and also|also|plus|oh and|now|then|and then|okay, and|good, and|thanks, and|next,|"
    "great, now|] [in|] the {r} [too|as well|also|please|, please|now|] ",
    "[and|so|okay, and|now|thanks, and|] what about [in|] the {r} [|too|as well]",
    "[same|the same|do the same|do it|same thing|the same thing|just the same|likewise] "
    "[in|for|with] the {r} [please|too|now|, thanks|as well|]",
    "[now|also|and|then|oh, and|okay, now|please also] [do|do it in|do that in|repeat that in|"
    "repeat it for|the same for|the same in|that for|that in] the {r} [please|too|now|as well|]",
    "[can you|could you|would you|please|I'd like you to|I want you to|you can] "
    "[also do|do] [it in|that in|the same in|the same for|] the {r} [too|as well|]",
    "the {r} [needs it|wants it|could use it|should get it|should have it|one] [too|as well]",
    "[how about|and how about|what about|and] [the one in|the ones in|] the {r} [|too|as well|now]",
    "[and|also|now|plus] [the one|the ones|that|it] in the {r} [too|as well|please|also|]",
    "[I meant|I also meant|I want it in|I need it in|we want that in|I'd like it in|we need it in] "
    "the {r} [too|as well|also]",
]
BACK = [
    CHANGE + ", [turn|switch|put] {it} {s} [again|please|after all|]",
    "[turn|switch|put|flip|set] {it} [back|] {s} [again|please|now|at once|after all|for now|]",
    CHANGE + ", {s} [again|please|after all|is better|]",
    "[and|now|okay, now|then|good, now|and then|all right, now|thanks, now] "
    "[turn|switch|put|] {it} [back|] {s} [again|please|]",
    "[can you|could you|would you|please|I'd like you to|I want you to|you can|you may] "
    "[turn|switch|put] {it} [back|] {s} [again|now|after all|]",
    "[I want|I need|I'd like|we want|we need|I'd rather have|I'd prefer] {it} {s} [again|"
    "after all|now|]",
    "{they} [should|must|can|could] be {s} [again|after all|now|]",
    "{s} [again|again please|please|after all|once more|now]",
]


def after_switch(gen, heard, word, state, call, it):
    """A follow-up to switching: another room, back again, dimmer, another colour."""
    other = "off" if state == "on" else "on"
    tool, said = call
    lamp = tool == "light"
    kind = gen.rng.random()
    if kind < 0.4:
        room = gen.fresh(lambda: (gen.pick(ROOMS), word, state))[0]
        user = gen.user(after(WELL, ANOTHER), r=room)
        bot = gen.answer(["Okay, I've turned {s} the {r} {w} too."], s=state, r=room, w=word)
        return [turn("follow-up: another room", user, bot, [room, word, state], [other],
                     (tool, said | {"place": room}))]
    if kind < 0.7 or not lamp:
        user = gen.user(after(WELL, BACK), it=it, s=other,
                        they="they" if it == "them" else it)
        bot = gen.answer(["Okay, I've turned {s} {w} again."], s=other, w=heard)
        return [turn("follow-up: back again", user, bot, [heard, other], [state],
                     (tool, said | {"state": other}))]
    if kind < 0.85:
        return [colour_turn(gen, it, heard, word, "follow-up: colour")]
    return [level_turn(gen, it, heard, word, "follow-up: level")]


COLOUR = [
    "[make|turn|set|change|colour|paint|light|switch|put] {w} {c} " + TAIL,
    "[set|change|switch|turn|put|move|go] {w} to {c} " + TAIL,
    ASK + " [make|turn|set|change] {w} [to|] {c}",
    "[I want|I'd like|I would like|we want|I'd love|I need|I'd prefer|let me have|can I have|"
    "could I have|give me] {w} [in|to be] {c} " + TAIL,
    REASON + ", [make|turn|set|change] {w} [to|] {c}",
    "{c} [for|on|in|with] {w} " + TAIL,
    "[change|set|switch|make] the colour of {w} to {c} " + TAIL,
    "[how about|what about|let's try|try|let's have|I fancy|I feel like|"
    "I'd like] {c} for {w} " + TAIL,
    "{w} [should|must|could|can|ought to|would look nice if they could] be {c} " + TAIL,
    "{w} {c} " + TAIL,
]
LEVEL = [
    "[dim|set|turn|put|bring|change|move|take|adjust|get] {w} to {n} " + TAIL,
    "{w} [at|to|on|] {n} " + TAIL,
    "[make|I want|I'd like|we want|I need] {w} [at|] {n} [bright|brightness|] " + TAIL,
    "[set|change|put|bring|adjust|take] the [brightness|level|intensity] of {w} to {n} " + TAIL,
    ASK + " [set|dim|turn|bring|put] {w} to {n}",
    REASON + ", [set|dim|bring|turn] {w} to {n}",
    "{n} [is right|is enough|is fine|would be nice|would be good|should do|is best|"
    "is plenty] for {w}",
    "[how about|what about|let's try|try|give me|go for|I'd say] {n} [for|on|from] {w} " + TAIL,
    "{w} [should|must|can|could] be [at|] {n} [bright|brightness|] " + TAIL,
    "[dim|turn|lower|bring|raise|fade] {w} [down to|up to|to] {n} " + TAIL,
]


def colour_turn(gen, said, heard, word, intent):
    """Change the colour of a light."""
    tone = gen.fresh(lambda: (gen.pick(COLOURS), heard))[0]
    user = gen.user(COLOUR, command=True, w=said, c=tone)
    bot = gen.answer(["Okay, I've set {w} to {c}."], w=heard, c=tone)
    return turn(intent, user, bot, [heard, tone], (),
                ("light", one_light(heard, word) | {"colour": tone}))


def level_turn(gen, said, heard, word, intent):
    """Set a brightness in percent."""
    n = gen.fresh(
        lambda: (gen.rng.choice([gen.rng.randint(1, 20) * 5, gen.rng.randint(1, 100)]), heard)
    )[0]
    amount = str(n) if gen.chance(0.6) else number(n)
    sign = gen.pick(["%", " percent", " percent", " per cent"])
    if sign == "%":
        amount = str(n)
    user = gen.user(LEVEL, command=True, w=said, n=amount + sign)
    bot = gen.answer(["Okay, I've set {w} to {n} percent."], w=heard, n=amount)
    return turn(intent, user, bot, [heard, amount + " percent"], (),
                ("light", one_light(heard, word) | {"brightness": n}))


LITTLE = "[||a bit|a little|a touch|a tad|slightly|some|somewhat|much|a lot]"
DIMMER = [
    "[dim|turn down|lower|soften|tone down|take down|bring down] {w} " + LITTLE + " " + TAIL,
    "[dim|soften|tone down|lower] {w} " + LITTLE + ", " + REASON,
    "[make|turn|get|set] {w} " + LITTLE + " [darker|dimmer|softer|less bright|lower] " + TAIL,
    "[turn|bring|take|put] {w} down " + LITTLE + " " + TAIL,
    "{w} [{be}|{be} just|{be} still|{be} really|seem] [too|far too|way too|a bit too|much too] "
    "[bright|strong|glaring|harsh] " + "[now|for me|for my eyes|for the film|for the baby|]",
    ASK + " [dim|turn down|soften|lower] {w} " + LITTLE,
    WANT + " {w} " + LITTLE + " [darker|dimmer|softer|less bright|lower]",
    "{w} " + LITTLE + " [darker|dimmer|softer|less bright|less glaring|lower] " + TAIL,
    "[less|a bit less|a little less] [light|brightness] from {w} " + TAIL,
]
BRIGHTER = [
    "[brighten|brighten up|turn up|raise] {w} " + LITTLE + " " + TAIL,
    "[brighten|turn up|raise] {w} " + LITTLE + ", " + REASON,
    "[make|turn|get|set] {w} " + LITTLE + " [brighter|lighter|stronger|higher|less dim] " + TAIL,
    "[turn|bring|take|put] {w} up " + LITTLE + " " + TAIL,
    "{w} [{be}|{be} just|{be} still|{be} really|seem] [too|far too|way too|a bit too|much too] "
    "[dim|dark|weak|faint] " + "[now|for me|for my eyes|for reading|]",
    ASK + " [brighten|turn up|raise] {w} " + LITTLE,
    WANT + " {w} " + LITTLE + " [brighter|lighter|stronger|higher]",
    "{w} " + LITTLE + " [brighter|lighter|stronger|higher] " + TAIL,
    "[more|a bit more|a little more] [light|brightness] from {w} " + TAIL,
]


def shade(gen, ctx):
    """Colour, brightness level, or dimmer and brighter."""
    said, heard, word = gen.fresh(lambda: place(gen.rng))
    kind = gen.rng.random()
    if kind < 0.35:
        return [colour_turn(gen, said, heard, word, "lights")]
    if kind < 0.65:
        return [level_turn(gen, said, heard, word, "lights")]
    down = gen.chance(0.5)
    be = "are" if is_plural(said, word) else "is"
    user = gen.user(DIMMER if down else BRIGHTER, command=gen.chance(0.6), w=said, be=be)
    done = "dimmed" if down else "brightened"
    bot = gen.answer(["Okay, I've {v} {w}."], v=done, w=heard)
    change = {"change": "dimmer" if down else "brighter"}
    return [turn("lights", user, bot, [heard, done], (),
                 ("light", one_light(heard, word) | change))]


def vague(gen, ctx):
    """It's too dark in here: the light of a room without its name."""
    room, state = gen.fresh(lambda: (gen.pick(ROOMS), gen.pick(["on", "off"])))
    ways = VAGUE_ON if state == "on" else VAGUE_OFF
    if gen.chance(0.2):
        user = gen.user([t.replace(WHERE, "[in here|here|"
        "in this room]") for t in ways if WHERE in t])
        bot = gen.answer(["Okay, I've turned {s} the light."], s=state)
        return [turn("lights", user, bot, ["light", state], (), ("light", {"state": state}))]
    user = gen.user(after(ASIDE, ways), room=room)
    bot = gen.answer(["Okay, I've turned {s} the {r} light."], s=state, r=room)
    return [turn("lights", user, bot, [room, state], (),
                 ("light", {"place": room, "state": state}))]


def blinds(gen, ctx):
    """Open and close blinds."""
    kind, room, act = gen.fresh(
        lambda: (gen.pick(BLINDS), gen.pick(ROOMS), gen.pick(["open", "close"]))
    )
    what = gen.pick(["the {r} {k}", "the {k} in the {r}", "the {k}"]).format(r=room, k=kind)
    if act == "open":
        verbs, state, way = "[open|raise|pull up|open up|lift|draw back|roll up]", "open", "up"
        why = (
            "[I want to look out|let some sun in|let the light in|good morning|it's morning|"
            "I need daylight]"
        )
    else:
        verbs, state, way = "[close|lower|shut|pull down|let down|draw|roll down]", "closed", "down"
        why = (
            "[the sun is blinding me|keep the sun out|the neighbours can see us|it's night|"
            "I want privacy|it's getting dark]"
        )
    user = gen.user(
        [
            verbs + " {w} " + TAIL,
            verbs + " {w} " + TAIL,
            ASK + " " + verbs + " {w}",
            WANT + " {w} [" + state + "|" + way + "] " + TAIL,
            REASON + ", " + verbs + " {w}",
            "{w} [" + way + "|" + state + "] " + TAIL,
            "[make sure|see to it|check|ensure] [that|] {w} are " + state + " " + TAIL,
            why + ", " + verbs + " {w} " + TAIL,
            verbs + " {w}, " + why,
            "{w} [should|must|can] [be " + state + "|go " + way + "] " + TAIL,
        ],
        command=gen.chance(0.6),
        w=what,
    )
    done = "opened" if act == "open" else "closed"
    bot = gen.answer(["Okay, I've {d} {w}."], d=done, w=what)
    call = "blinds", {"place": room if room in what else None, "state": state}
    return [turn("devices", user, bot, [what, done], (), call)]


HEAT_TO = [
    "[set|put|change|turn|adjust|get|move] {w} to {n} " + TAIL,
    "{w} [to|at|on] {n} " + TAIL,
    "[make|I want|I'd like|we want|we need|I need|keep|let's have] {w} [at|on] {n} " + TAIL,
    "[turn|bring|push|take] {w} [up|down] to {n} " + TAIL,
    ASK + " [set|put|turn|change|adjust] {w} to {n}",
    REASON + ", [set|put|turn|bring] {w} to {n}",
    "[let|have] {w} [go to|be at|be|stay at|run at] {n} " + TAIL,
    "{w} [should|must|can|could] [be|be at|go to|be set to|stay at] {n} " + TAIL,
    "[set|put|change|adjust] {w} [up|down|over|] to {n}, " + REASON,
]
NEW_HEAT = [
    "[make it|make that|change it to|set it to|put it to|turn it to|better|rather|I'd prefer|"
    "let's say|let's make it|how about|go for|try|I meant|I'd rather have] {n} [degrees|"
    "] [instead|please|after all|]",
    CHANGE + ", [make it|make that|set it to|change it to|] {n} [degrees|] [instead|please|"
    "after all|]",
    "{n} [degrees|] [would be better|is better|is nicer|would be nicer|instead|is enough|please|"
    "would be fine|is warm enough|after all]",
    "[can you|could you|please|would you] [make it|make that|set it to|change it to|"
    "change that to] "
    "{n} [degrees|] [instead|please|]",
    "[turn|bring|take|put] it [up|down] to {n} [degrees|] [please|instead|]",
]
COLD = [
    "[I'm|I am|we're|I feel|we are|I'm really|I'm feeling|my feet are|my hands are|everybody is] "
    "[cold|freezing|so cold|too cold|very cold|shivering|rather cold|a bit cold|chilly|"
    "ice cold] [in here|now|again|today|]",
    "it's [too|so|very|really|rather|quite|a bit|pretty|awfully|getting|] [cold|chilly|freezing|"
    "cool] "
    "[in here|inside|in the house|in the room|in this room|for me|at home]",
    "[make it|can you make it|could you make it|get it|I want it|I'd like it|let's make it|"
    "please make it] "
    + LITTLE + " warmer [in here|inside|in this room|for us|]",
    "[brr|brrr|wow|oh dear|ugh], [it's|it is] [so|really|very|] [cold|chilly|freezing] [in here|]",
    "[I|we] [need|want|could do with|could use] [more|some|a bit more|a little more] [heat|warmth|"
    "heating] [in here|]",
    "the [house|room|flat|place] is [too|so|very|really|rather|quite|freezing|a bit|] cold [now|"
    "today|]",
]
HOT = [
    "[I'm|I am|we're|I feel|we are|I'm really|I'm feeling|everybody is] "
    "[hot|too hot|sweating|so hot|very hot|boiling|melting|rather hot|too warm] [in here|now|"
    "again|today|]",
    "it's [too|so|very|really|rather|quite|a bit|pretty|awfully|] [hot|warm|stuffy|boiling] "
    "[in here|inside|in the house|in the room|in this room|for me|at home]",
    "[make it|can you make it|could you make it|get it|I want it|I'd like it|let's make it|"
    "please make it] "
    + LITTLE + " [cooler|colder] [in here|inside|in this room|for us|]",
    "[phew|wow|oh dear|ugh|puh], [it's|it is] [so|really|very|] [hot|warm|boiling] [in here|]",
    "[I|we] [need|want|could do with] less [heat|warmth|heating] [in here|]",
    "the [house|room|flat|place] is [too|so|very|really|rather|quite|a bit|] [warm|hot] [now|"
    "today|]",
]


def heating(gen, ctx):
    """Set or change the temperature."""
    rng = gen.rng
    where = gen.pick(["the heating", "the heating", "the thermostat", "the temperature"])
    room = None
    if gen.chance(0.4):
        room = gen.pick(ROOMS)
        where += " in the " + room
    if gen.chance(0.65):
        n = gen.fresh(lambda: (rng.randint(5, 30), where))[0]
        amount = typed(rng, n)
        unit = gen.pick([" degrees", " degrees", "", "°", " degrees Celsius"])
        if unit == "°":
            amount = str(n)
        user = gen.user(HEAT_TO, command=True, w=where, n=amount + unit)
        bot = gen.answer(["Okay, I've set {w} to {n} degrees."], w=where, n=amount)
        call = "heating", {"place": room, "degrees": n}
        turns = [turn("heating", user, bot, [where, amount + " degrees"], (), call)]
        if gen.chance(0.4):
            other = rng.randint(5, 30)
            m = typed(rng, other)
            user = gen.user(after(WELL, NEW_HEAT), n=m)
            bot = gen.answer(["Okay, I've changed {w} to {n} degrees."], w=where, n=m)
            turns.append(turn("follow-up: new temperature", user, bot, [where, m + " degrees"], (),
                              ("heating", {"place": room, "degrees": other})))
        return turns
    warmer = gen.chance(0.5)
    way = "up" if warmer else "down"
    if gen.chance(0.5):
        verbs = "[raise|increase]" if warmer else "[lower|reduce|decrease]"
        user = gen.user(
            [
                "[turn|put|bring|move|take] {w} " + way + " " + LITTLE + " " + TAIL,
                verbs + " {w} " + LITTLE + " " + TAIL,
                "[turn|put] " + way + " {w} " + LITTLE + " " + TAIL,
                "{w} " + LITTLE + f" [{'higher' if warmer else 'lower'}|{way}] " + TAIL,
                ASK + " [turn " + way + "|" + verbs[1:-1] + "] {w} " + LITTLE,
                REASON + ", turn " + way + " {w} " + LITTLE,
            ],
            command=True,
            w=where,
        )
    else:
        where, room = "the heating", None
        user = gen.user(after(ASIDE, COLD if warmer else HOT))
    bot = gen.answer(["Okay, I've turned {s} {w} a little."], w=where, s=way)
    call = "heating", {"place": room, "change": "warmer" if warmer else "cooler"}
    return [turn("heating", user, bot, [where, way], (), call)]
