"""Lights, switched devices, blinds, heating and music."""

from grammar import turn
from slots import BLINDS, COLOURS, ROOMS, device, listen, number, place, typed, your

OKAY = "[Okay|Okay|Sure|All right|Done], "
SWITCH = [
    "[turn|switch|turn|put] {state} {what}",
    "[turn|switch|turn|put] {what} {state}",
    "{what} {state}",
    "[get|have] {what} {state}",
    "{state} with {what}",
    "I [want|need] {what} {state}",
    "[turn|switch] {what} back {state}",
    "[turn|switch] {state} {what} [again|at once|straight away]",
    "[let's|let us] [turn|switch|have] {what} {state}",
    "[make sure|see to it] {what} [is|are] {state}",
    "I'd like {what} {state}",
    "{what} should be {state}",
    "it's time to [turn|switch] {state} {what}",
    "[turn|switch] {state} {what} and that's all",
    "set {what} to {state}",
]
SWITCH_HELD = [
    "would it be possible to have {what} {state}",
    "{what}: {state}",
    "do you think you could turn {state} {what} for us",
    "I forgot, {what} must be {state}",
    "we're in the dark here, switch {state} {what}",
    "my hands are full, turn {what} {state}",
]
VAGUE_ON = [
    "it's too dark in the {room}",
    "I can't see anything in the {room}",
    "[make it bright|give me some light|I need light] in the {room}",
    "[light up|illuminate] the {room}",
    "[turn|switch|put] on the {room}",
    "[turn|switch|put] the {room} on",
    "[more light|some light] in the {room} [please|]",
    "I [need|want] to see something in the {room}",
    "it's [really|so|very|pretty] dark in the {room}",
]
VAGUE_OFF = [
    "[make it dark|no light] in the {room}",
    "it's too bright in the {room}",
    "nobody is in the {room} [any more|now|]",
    "[turn|switch|put] off the {room}",
    "[less light|no more light] in the {room} [please|]",
    "[darken|make dark] the {room}",
]


def switch(gen, ctx):
    """Turn a light or a device on or off, with follow-ups."""
    lamp = gen.chance(0.65)
    said, heard, word, state = gen.fresh(
        lambda: (*(place(gen.rng) if lamp else device(gen.rng)), gen.pick(["on", "off"]))
    )
    user = gen.user(SWITCH, SWITCH_HELD, command=True, what=said, state=state)
    bot = gen.answer([OKAY + "I've [turned|turned|switched] {s} {w}."], s=state, w=heard)
    intent = "lights" if lamp else "devices"
    turns = [turn(intent, user, bot, [heard, state], ["off" if state == "on" else "on"])]
    if gen.chance(0.5):
        turns += after_switch(gen, heard, word, state, lamp)
    return turns


def after_switch(gen, heard, word, state, lamp):
    """A follow-up to switching: another room, back again, dimmer, another colour."""
    other = "off" if state == "on" else "on"
    kind = gen.rng.random()
    if kind < 0.4:
        room = gen.fresh(lambda: (gen.pick(ROOMS), word, state))[0]
        full = "the " + room + " " + word
        user = gen.user(
            [
                "and [in |]the {r} [too|as well|also|]",
                "the {r} [too|as well|also]",
                "[also|now|same for|same with|do the same in|and also] the {r}",
                "and what about the {r}",
                "[can you|please] do the {r} too",
            ],
            ["oh, and the {r} while you're at it", "the {r} needs it too"],
            r=room,
        )
        bot = gen.answer([OKAY + "I've turned {s} {w} too."], s=state, w=full)
        return [turn("follow-up: another room", user, bot, [room, state])]
    if kind < 0.7 or not lamp:
        it = "them" if word.endswith("s") else "it"
        user = gen.user(
            [
                "[turn|switch] " + it + " {s} [again|]",
                "[no|actually|sorry|wait], {s}",
                "and {s} again",
                "[actually|no], [turn|switch] " + it + " {s} [please|]",
                "now [turn|switch] " + it + " [back|] {s}",
                "{s} again please",
            ],
            ["I changed my mind, " + it + " should be {s}", "hmm, {s} after all"],
            s=other,
        )
        bot = gen.answer([OKAY + "I've turned {s} {w} again."], s=other, w=heard)
        return [turn("follow-up: back again", user, bot, [heard, other])]
    if kind < 0.85:
        return [colour_turn(gen, "[it|them]", heard, "follow-up: colour")]
    return [level_turn(gen, "[it|them]", heard, "follow-up: level")]


def colour_turn(gen, said, heard, intent):
    """Change the colour of a light."""
    tone = gen.fresh(lambda: (gen.pick(COLOURS), heard))[0]
    user = gen.user(
        [
            "[make|turn|set|change] " + said + " {c}",
            "[set|change|switch|turn] " + said + " to {c}",
            "I [want|would like] " + said + " [in|to be] {c}",
            "{c} for " + said,
        ],
        ["how about {c} for " + said, "paint " + said + " {c}"],
        command=True,
        c=tone,
    )
    bot = gen.answer(
        [OKAY + "I've [made {w} {c}|set {w} to {c}|set {w} to {c}]."], w=heard, c=tone
    )
    return turn(intent, user, bot, [heard, tone])


def level_turn(gen, said, heard, intent):
    """Set a brightness in percent."""
    n = gen.fresh(
        lambda: (gen.rng.choice([gen.rng.randint(1, 20) * 5, gen.rng.randint(1, 100)]), heard)
    )[0]
    sign = gen.pick(["%", " percent", " percent", " per cent"])
    amount = str(n) + sign if sign == "%" else typed(gen.rng, n) + sign
    user = gen.user(
        [
            "[dim|set|turn|put|bring|change] " + said + " to {n}",
            said + " [at|to] {n}",
            "[make|I want] " + said + " {n} [bright|]",
            "[set|change|put] the brightness of " + said + " to {n}",
        ],
        ["take " + said + " to {n}", "{n} is right for " + said],
        command=True,
        n=amount,
    )
    bot = gen.answer([OKAY + "I've set {w} to {n} percent."], w=heard, n=number(n))
    return turn(intent, user, bot, [heard, number(n) + " percent"])


def shade(gen, ctx):
    """Colour, brightness level, or dimmer and brighter."""
    said, heard, _ = gen.fresh(lambda: place(gen.rng))
    kind = gen.rng.random()
    if kind < 0.35:
        return [colour_turn(gen, said, heard, "lights")]
    if kind < 0.7:
        return [level_turn(gen, said, heard, "lights")]
    down = gen.chance(0.5)
    ways = (
        [
            "[dim|turn down|lower] {w}",
            "[make|turn] {w} [darker|dimmer|softer|less bright|lower]",
            "{w} [is|are] too bright",
        ]
        if down
        else [
            "[brighten|turn up] {w}",
            "[make|turn] {w} [brighter|lighter|stronger|higher]",
            "{w} [is|are] too [dim|dark|weak]",
        ]
    )
    held = ["{w} a bit less glaring"] if down else ["a bit more from {w}"]
    user = gen.user(ways, held, command=True, w=said)
    word = "dimmed" if down else "brightened"
    return [
        turn("lights", user, gen.answer([OKAY + "I've {v} {w}."], v=word, w=heard), [heard, word])
    ]


def vague(gen, ctx):
    """It's too dark in here: the light of a room without the word light."""
    room = gen.fresh(lambda: gen.pick(ROOMS))
    state = gen.pick(["on", "off"])
    user = gen.user(
        VAGUE_ON if state == "on" else VAGUE_OFF,
        ["the {room} is pitch black"] if state == "on" else ["too much light in the {room}"],
        room=room,
    )
    bot = gen.answer([OKAY + "I've turned {s} the light in the {r}."], s=state, r=room)
    return [turn("lights", user, bot, [room, state])]


def blinds(gen, ctx):
    """Open and close blinds."""
    kind, room, act = gen.fresh(
        lambda: (gen.pick(BLINDS), gen.pick(ROOMS), gen.pick(["open", "close"]))
    )
    what = gen.pick(["the {r} {k}", "the {k} in the {r}", "the {k}", "all the {k}"]).format(
        r=room, k=kind
    )
    verbs = "[open|raise|pull up|open up]" if act == "open" else "[close|lower|shut|pull down]"
    user = gen.user(
        [
            verbs + " {w}",
            "I want {w} " + ("open" if act == "open" else "closed"),
            "{w} " + ("up" if act == "open" else "down"),
            "[let's|] " + verbs + " {w}",
        ],
        ["would you see to it that {w} " + ("open" if act == "open" else "close")],
        command=True,
        w=what,
    )
    done = "opened" if act == "open" else "closed"
    return [
        turn("devices", user, gen.answer([OKAY + "I've {d} {w}."], d=done, w=what), [what, done])
    ]


def heating(gen, ctx):
    """Set or change the temperature."""
    rng = gen.rng
    where = gen.pick(
        [
            "the heating",
            "the heating",
            "the thermostat",
            "the temperature",
            "the heating in the " + gen.pick(ROOMS),
            "the temperature in the " + gen.pick(ROOMS),
        ]
    )
    if gen.chance(0.7):
        n = gen.fresh(lambda: (rng.randint(5, 30), where))[0]
        amount = typed(rng, n) + gen.pick([" degrees", " degrees", "", "°"])
        user = gen.user(
            [
                "[set|put|change|turn] {w} to {n}",
                "{w} [to|at] {n}",
                "[make|I want] {w} {n}",
                "[turn|bring] {w} [up|down] to {n}",
                "[heat|warm] to {n} with {w}",
            ],
            ["let {w} go to {n}", "could {w} be {n}"],
            command=True,
            w=where,
            n=amount,
        )
        bot = gen.answer([OKAY + "I've set {w} to {n} degrees."], w=where, n=number(n))
        turns = [turn("heating", user, bot, [where, number(n) + " degrees"])]
        if gen.chance(0.35):
            m = rng.randint(5, 30)
            user = gen.user(
                [
                    "[make it|make that|better|no,|actually|actually,|rather] {n} [degrees|] [instead|]",
                    "[change|set] it to {n}",
                    "{n} would be better",
                ],
                ["hmm, {n} is nicer"],
                n=typed(rng, m),
            )
            bot = gen.answer([OKAY + "I've changed {w} to {n} degrees."], w=where, n=number(m))
            turns.append(
                turn("follow-up: new temperature", user, bot, [where, number(m) + " degrees"])
            )
        return turns
    warmer = gen.chance(0.5)
    if gen.chance(0.6):
        user = gen.user(
            [
                "[turn|put] {w} " + ("up" if warmer else "down") + " [a bit|a little|]",
                ("[raise|increase]" if warmer else "[lower|reduce|decrease]") + " {w}",
            ],
            ["{w} " + ("higher" if warmer else "lower")],
            command=True,
            w=where,
        )
    else:
        where = "the heating"
        user = gen.user(
            (
                [
                    "[I'm|I am|we're|I feel] [cold|freezing|so cold]",
                    "it's [too|so|very|really|] cold in here",
                    "make it warmer [in here|]",
                ]
                if warmer
                else [
                    "[I'm|I am|we're|I feel] [hot|too hot|sweating]",
                    "make it [cooler|colder] [in here|]",
                    "it's [too|so|very|really|] [hot|warm] in here",
                ]
            ),
            ["brr, it's chilly"] if warmer else ["phew, it's boiling in here"],
        )
    way = "up" if warmer else "down"
    bot = gen.answer([OKAY + "I've turned {w} {s} a little."], w=where, s=way)
    return [turn("heating", user, bot, [where, way])]


PLAY = [
    "play {w}",
    "[put on|put on|start|start playing] {w}",
    "I [want|would like|want] to [hear|listen to] {w}",
    "let's [hear|listen to] {w}",
    "{w} please",
    "[give me|let me hear|let me listen to] {w}",
    "play {w} [in the background|on the speaker|for us|now]",
    "[can we have|how about] {w}",
    "[I'm|I am] in the mood for {w}",
    "I feel like [hearing|listening to] {w}",
]
PLAY_HELD = ["could we have {w} on the speakers", "spin {w}", "I fancy hearing {w}", "music: {w}"]
CONTROLS = {
    "paused the music": [
        "pause [it|the music|the song|that|this|]",
        "hold the music",
        "pause playback",
    ],
    "stopped the music": [
        "stop [the music|the song|playing|playback|music]",
        "[music|song] off",
        "turn off the music",
        "turn the music off",
        "no more music",
        "quiet please",
        "silence",
        "I don't want [any|] music [now|any more]",
    ],
    "started the music again": [
        "[resume|continue|unpause] [it|the music|the song|playing|playback]",
        "carry on [playing|with the music]",
        "keep playing",
        "play on",
        "play [it|the music] again",
    ],
    "skipped to the next song": [
        "next [song|track|one]",
        "skip [it|this|this song|this one|that|this track|]",
        "play the next [song|one|track]",
        "another song",
        "I don't like this [song|one|track]",
    ],
    "gone back to the previous song": [
        "[previous|last] [song|track]",
        "go back [a song|one song|to the last song]",
        "play the [previous|last] [song|one|track] [again|]",
    ],
    "turned the volume up": [
        "[louder|volume up|turn it up|turn up the volume|turn the volume up]",
        "[make it|a bit|a little] louder",
        "turn the music up",
        "turn up the music",
        "I can't hear [it|the music]",
        "increase the volume",
        "more volume",
    ],
    "turned the volume down": [
        "[quieter|softer|volume down|turn it down|turn down the volume|turn the volume down]",
        "[make it|a bit|a little] [quieter|softer]",
        "turn the music down",
        "turn down the music",
        "it's too loud",
        "[decrease|lower] the volume",
        "less volume",
        "not so loud",
    ],
    "muted the sound": [
        "mute [it|the music|the sound|everything|]",
        "mute the volume",
        "sound off",
    ],
    "turned on shuffle": [
        "[shuffle|shuffle it|shuffle the songs|turn on shuffle|shuffle mode]",
        "mix the songs up",
    ],
    "put this song on repeat": [
        "[repeat|loop] [this|this song|it|the song]",
        "play this song again and again",
    ],
}
CONTROLS_HELD = {
    "paused the music": ["freeze the song for a moment", "hit pause"],
    "stopped the music": ["that's enough music", "kill the music"],
    "skipped to the next song": ["move on to the next song", "this song is boring, next"],
    "turned the volume up": ["crank up the volume", "pump up the volume"],
    "turned the volume down": ["bring the volume down a bit", "this is way too loud"],
}


def music(gen, ctx):
    """Play something, with follow-ups."""
    what = gen.fresh(lambda: listen(gen.rng))
    heard = your(what)
    turns = [
        turn(
            "music",
            gen.user(PLAY, PLAY_HELD, command=gen.chance(0.6), w=what),
            gen.answer(["Okay, playing {w}.", "Sure, playing {w}.", "Here's {w}."], w=heard),
            [heard],
        )
    ]
    if gen.chance(0.3):
        other = gen.fresh(lambda: listen(gen.rng))
        user = gen.user(
            [
                "[no|actually|no wait|hmm], [play|put on|] {w} [instead|rather]",
                "{w} instead",
                "[change|switch] to {w}",
                "rather {w}",
                "and now {w}",
            ],
            ["let's swap that for {w}"],
            w=other,
        )
        bot = gen.answer(
            ["Okay, playing {w} instead.", "Sure, playing {w} instead."], w=your(other)
        )
        turns.append(turn("follow-up: other music", user, bot, [your(other)]))
    if gen.chance(0.3):
        turns += control(gen, ctx)
    return turns


def control(gen, ctx):
    """Pause, skip, volume."""
    if gen.chance(0.22):
        n = gen.fresh(
            lambda: (gen.rng.choice([gen.rng.randint(0, 10), gen.rng.randint(1, 20) * 5]), "volume")
        )[0]
        tail = gen.pick(["", "", " percent", "%"])
        amount = str(n) + tail if tail == "%" else typed(gen.rng, n) + tail
        user = gen.user(
            [
                "[set|turn|put|change] the volume [up to|down to|to|to] {n}",
                "volume [to|at|] {n}",
                "[set|put] the [sound|music] to {n}",
            ],
            ["take the volume to {n}"],
            command=True,
            n=amount,
        )
        unit = " percent" if tail else ""
        bot = gen.answer([OKAY + "I've set the volume to {n}{u}."], n=number(n), u=unit)
        return [turn("music", user, bot, ["volume", number(n) + unit])]
    act = gen.pick(list(CONTROLS))
    user = gen.user(CONTROLS[act], CONTROLS_HELD.get(act, ()), command=gen.chance(0.5))
    return [turn("music", user, gen.answer([OKAY + "I've {a}."], a=act), [act])]
