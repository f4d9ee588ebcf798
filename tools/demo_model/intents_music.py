"""Music: what to play, and its controls."""

from grammar import turn
from phrases import ASK, CHANGE, REASON, TAIL, WELL, after, more
from slots import listen, typed, your

WHERE_TO = (
    "[||||in the background|on the speaker|on the speakers|for us|now|for me|for the kids|loudly|"
    "quietly|at a low volume|while I cook|while I work|for dinner|for the party|in the living room|"
    "for a while|to relax|to wake up|for our guests|next|first|tonight|again]"
)
PLAY = more(2, "play {w} " + WHERE_TO) + [
    "[put on|start|start playing|stream|queue up|turn on|crank up|spin|fire up] {w} " + WHERE_TO,
    "[I want|I'd like|I would like|we want|I'd love|I really want|I wish|we'd like] "
    "to [hear|listen to] {w} " + WHERE_TO,
    "[let's|let us|let me|can I|could I|can we|could we|may I|may we|shall we|"
    "I feel like I should] "
    "[hear|listen to] {w} " + WHERE_TO,
    "{w} [please|, please|now|would be nice|would be lovely|would be great|sounds good|"
    "on the speaker|"
    "on the speakers|in the background|for a change|is what I want|to start the day|for dinner]",
    "[give me|give us|let me hear|let me listen to|let us hear|make some noise with|bring on|"
    "surprise us with] "
    "{w} " + WHERE_TO,
    "[can we have|can I have|could we have|could I have|could we get|how about|what about|"
    "may we have|"
    "I'd like|we'd like|I could do with|I fancy|I would love|I need|we need|I could use|"
    "I wouldn't mind] {w} "
    + WHERE_TO,
    "[I'm|I am|we're|we are|I'm really|I'm just|everybody's] in the mood for {w} " + WHERE_TO,
    "I feel like [hearing|listening to|a little|] {w} " + WHERE_TO,
    ASK + " [play|put on|start] {w}",
    REASON + ", [play|put on|start] {w}",
    "[it's time for|time for|it's the right moment for|nothing beats|I haven't heard enough of|"
    "this house needs|this room needs|I love|I miss|dinner calls for|this evening calls for] {w}, "
    "[play it|put it on|play some|please play it|start it]",
    "[play|put on] {w}, [I'm cooking|we have guests|I love it|I'm bored|it's party time|"
    "the kids want to dance|I need to relax|it helps me work|I want to dance|it's my favourite]",
    "[music|song|playlist]: {w}",
]
OTHER = [
    CHANGE + ", [play|put on|] {w} [instead|rather|please|]",
    "{w} [instead|rather|is better|would be better|instead please|please]",
    "[change|switch|go over|move] to {w} [please|now|instead|]",
    "[rather|better|and now|and then|next|after that|now|then|later] [play|put on|] {w} [please|]",
    "[can you|could you|would you|please|can we|could we] [play|put on|switch to|hear|have] {w} "
    "[instead|now|rather|please]",
    "[let's|I'd rather|we'd rather|I would rather|I'd prefer to|let us|I want to] [hear|listen to|"
    "have] {w} [instead|now|]",
    "[not that|not this|I don't like this|I don't like it|this is boring|we're tired of this], "
    "[play|put on|] {w} [instead|please|]",
    "[swap|exchange|change] [that|this|it] for {w}",
]
# The call behind each of the controls.
CALLS = {
    "paused the music": ("music", {"action": "pause"}),
    "stopped the music": ("music", {"action": "stop"}),
    "started the music again": ("music", {"action": "resume"}),
    "skipped to the next song": ("music", {"action": "next"}),
    "gone back to the previous song": ("music", {"action": "previous"}),
    "turned the volume up": ("volume", {"change": "up"}),
    "turned the volume down": ("volume", {"change": "down"}),
    "muted the sound": ("volume", {"change": "mute"}),
    "turned on shuffle": ("music", {"action": "shuffle"}),
    "put this song on repeat": ("music", {"action": "repeat"}),
}
THE_MUSIC = "[the music|the song|this song|this|that|it|the track|this track|my music|the playlist]"
CONTROLS = {
    "paused the music": [
        "pause [" + THE_MUSIC[1:-1] + "|playback|] " + TAIL,
        "[hold|freeze|put on hold] " + THE_MUSIC + " [for a moment|for a minute|for a bit|"
        "] " + TAIL,
        "[hit|press|push] pause " + TAIL,
        "[take a break from|interrupt] the music " + TAIL,
        ASK + " pause " + THE_MUSIC,
        REASON + ", pause " + THE_MUSIC,
        "pause " + THE_MUSIC + ", [the phone is ringing|someone is at the door|I need to talk|"
        "I have to take a call|one moment|just for a second|for a minute]",
    ],
    "stopped the music": [
        "stop [the music|the song|playing|playback|music|playing music|that song|this song|"
        "the playlist] " + TAIL,
        "[music|song|radio music] off " + TAIL,
        "turn off [the|that|this|my] [music|song|playlist] " + TAIL,
        "turn [the|that|this|my] [music|song|playlist] off " + TAIL,
        "[no more|enough|that's enough|end|kill|cut|quit|switch off|shut off|finish] [the|"
        "] music " + TAIL,
        "[quiet|silence|I want silence|I need silence|I want quiet|I need quiet] [please|now|]",
        "I [don't want|don't need|can't stand|have heard enough] [any|this|the] music [now|"
        "any more|]",
        ASK + " [stop|turn off|switch off] the music",
        REASON + ", [stop|turn off|switch off] the music",
    ],
    "started the music again": [
        "[resume|continue|unpause] [" + THE_MUSIC[1:-1] + "|playing|playback|] " + TAIL,
        "[carry on|go on] [playing|with the music|with the song|with the playlist] " + TAIL,
        "[keep playing|play on|keep the music going|start it again|press play|hit play] " + TAIL,
        "play " + THE_MUSIC + " again " + TAIL,
        ASK + " [resume|continue|unpause] " + THE_MUSIC,
        "[bring|turn|switch] the music back [on|] " + TAIL,
        "[I'm back|the call is over|okay], [resume|continue|go on with] " + THE_MUSIC,
    ],
    "skipped to the next song": [
        "[next|the next] [song|track|one|tune] " + TAIL,
        "skip [it|this|this song|this one|that|this track|the song|that one|one|ahead|forward|"
        "] " + TAIL,
        "[play|go to|move on to|jump to|skip to|switch to|on to|give me] the next [song|one|track|"
        "tune] " + TAIL,
        "[another|a different|a new] [song|track|tune] " + TAIL,
        "I [don't like|hate|am tired of|don't want|can't stand|know|am sick of] this [song|one|"
        "track|tune]"
        "[, next|, skip it|, skip|, next please|]",
        ASK + " [skip|skip this song|go to the next song|play the next song]",
        "this [song|one|track|tune] is [boring|bad|awful|not for me|too slow|too sad|too long], "
        "[next|skip it|next one|next please]",
    ],
    "gone back to the previous song": [
        "[previous|last|the previous|the last] [song|track|tune] " + TAIL,
        "go back [a song|one song|to the last song|a track|one track|to the previous song|"
        "to the song before|to the last track] " + TAIL,
        "[play|repeat|give me|jump to|return to] the [previous|last] [song|one|track|tune] [again|"
        "] " + TAIL,
        "[what was that song, play it again|I liked the last song|play the one before|"
        "the song before] " + TAIL,
        ASK + " [go back one song|play the previous song|play the last song again]",
    ],
    "turned the volume up": [
        "[louder|volume up|turn it up|turn up the volume|turn the volume up|turn up the sound|"
        "pump it up|raise the volume|increase the volume|crank up the volume|more volume] "
        "[a bit|a little|a notch|] " + TAIL,
        "[make it|make the music|a bit|a little|much|play it|play the music|I want it|"
        "the music] louder " + TAIL,
        "[turn|crank|pump|bring] [up the music|the music up|the song up|up the song|it up] [a bit|"
        "a little|a notch|] " + TAIL,
        "I [can't|can hardly|can barely] hear [it|the music|the song|a thing|anything|you|"
        "the words]",
        "[it's|the music is|this is|that's|the volume is] [too|much too|a bit too|so|"
        "far too] [quiet|soft|low]",
        ASK + " [turn it up|turn up the volume|turn the volume up|make it louder]",
    ],
    "turned the volume down": [
        "[quieter|softer|volume down|turn it down|turn down the volume|turn the volume down|"
        "turn down the sound|lower the volume|decrease the volume|reduce the volume|less volume] "
        "[a bit|a little|a notch|] " + TAIL,
        "[make it|make the music|a bit|a little|much|play it|play the music|I want it|"
        "the music] [quieter|softer] " + TAIL,
        "[turn|bring|take] [down the music|the music down|the song down|down the song|"
        "it down] [a bit|a little|a notch|] " + TAIL,
        "[it's|the music is|this is|that's|the volume is] [too|much too|a bit too|so|far too|"
        "way too] loud [for me|now|]",
        "not so loud [please|]",
        "[the baby is sleeping|my ears hurt|the neighbours complain|"
        "I'm on the phone], [turn it down|quieter please|not so loud]",
        ASK + " [turn it down|turn down the volume|turn the volume down|make it quieter]",
    ],
    "muted the sound": [
        "mute [it|the music|the sound|everything|the song|the speaker|the speakers|the volume|all|"
        "that|] " + TAIL,
        "[sound off|no sound|turn off the sound|turn the sound off|cut the sound|kill the sound|"
        "switch the sound off] " + TAIL,
        ASK + " [mute the music|mute the sound|mute it|turn the sound off]",
    ],
    "turned on shuffle": [
        "[shuffle|shuffle it|shuffle the songs|turn on shuffle|turn shuffle on|shuffle mode|"
        "shuffle my songs|"
        "shuffle the playlist|shuffle the music|shuffle this playlist|put it on shuffle] " + TAIL,
        "[mix|mix up|mix the songs up|play the songs in a random order|play in random order|"
        "play them in any order] " + TAIL,
        ASK + " [shuffle the songs|turn on shuffle|mix up the songs|shuffle it]",
    ],
    "put this song on repeat": [
        "[repeat|loop] [this|this song|it|the song|this track|that song|the track] " + TAIL,
        "[play|put] [this song|it|this|the song] [again and again|over and over|on repeat|"
        "on a loop|in a loop] " + TAIL,
        ASK + " [repeat this song|loop this song|put this song on repeat]",
    ],
}
VOLUME = [
    "[set|turn|put|change|bring|move|take|adjust] the [volume|volume|sound level] [up to|down to|"
    "to] {n} " + TAIL,
    "volume [to|at|on|] {n} " + TAIL,
    "[set|put|turn] the [sound|music|speaker|speakers] [volume|] to {n} " + TAIL,
    "[make|I want|I'd like|I need] the volume {n} " + TAIL,
    "the volume [should|must|can|could] be {n} " + TAIL,
    ASK + " [set|turn|put|change] the volume to {n}",
    REASON + ", [set|turn|put|change] the volume to {n}",
    "[play|let it play|play it|play the music] at [volume|a volume of] {n} " + TAIL,
]


def play(what):
    """The call that plays it."""
    return "music", {"action": "play", "what": what.removeprefix("my ")}


def music(gen, ctx):
    """Play something, with follow-ups."""
    what = gen.fresh(lambda: listen(gen.rng))
    user = gen.user(PLAY, command=gen.chance(0.5), w=what)
    bot = gen.answer(["Okay, playing {w}."], w=your(what))
    turns = [turn("music", user, bot, [your(what)], (), play(what))]
    if gen.chance(0.3):
        other = gen.fresh(lambda: listen(gen.rng))
        user = gen.user(after(WELL, OTHER), w=other)
        bot = gen.answer(["Okay, playing {w} instead."], w=your(other))
        turns.append(turn("follow-up: other music", user, bot, [your(other)], (),
                          play(other)))
    if gen.chance(0.3):
        turns += control(gen, ctx)
    return turns


def control(gen, ctx):
    """Pause, skip, volume."""
    rng = gen.rng
    if gen.chance(0.18):
        n = rng.choice([rng.randint(0, 10), rng.randint(1, 20) * 5])
        unit = gen.pick(["", "", " percent", "%"])
        amount = str(n) if unit == "%" else typed(rng, n)
        user = gen.user(VOLUME, command=True, n=amount + unit)
        said = amount + (" percent" if unit else "")
        bot = gen.answer(["Okay, I've set the volume to {n}."], n=said)
        return [turn("music", user, bot, ["volume", said], (), ("volume", {"level": n}))]
    act = gen.pick(list(CONTROLS))
    user = gen.user(after(WELL, CONTROLS[act]), command=gen.chance(0.3))
    return [turn("music", user, gen.answer(["Okay, I've {a}."], a=act), [act], (), CALLS[act])]
