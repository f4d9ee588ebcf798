"""Weather, sums and the shopping list."""

from grammar import capital, turn
from slots import WEEKDAYS, item, nonce, number, typed

OKAY = "[Okay|Okay|Sure|All right], "
SKIES = {
    "sunny": "dry",
    "clear": "dry",
    "cloudy": "dry",
    "partly cloudy": "dry",
    "overcast": "dry",
    "foggy": "dry",
    "misty": "dry",
    "windy": "dry",
    "hot and sunny": "dry",
    "cold and clear": "dry",
    "dry": "dry",
    "mild and dry": "dry",
    "light rain": "wet",
    "heavy rain": "wet",
    "rain": "wet",
    "showers": "wet",
    "drizzle": "wet",
    "thunderstorms": "wet",
    "snow": "wet",
    "light snow": "wet",
    "sleet": "wet",
    "hail": "wet",
    "rainy": "wet",
    "stormy with rain": "wet",
}
WEATHER_ASK = [
    "[what's|what is|how's|how is] the weather [like|today|outside|right now|like today|like outside|]",
    "weather [today|please|report|forecast|now|]",
    "[tell me|give me] the [weather|forecast|weather forecast]",
    "[what's|what is] it like [outside|out|out there]",
    "[what's|what is] the forecast [for today|today|]",
    "how does it look outside",
    "[is it|is the weather] [nice|good|bad|fine] [outside|out|today]",
    "do you know [the weather|what the weather is like]",
    "what kind of weather do we have",
]
WEATHER_HELD = [
    "what's going on with the weather",
    "how is the sky looking",
    "any news on the weather",
]
UMBRELLA_ASK = [
    "[do I|will I|should I] [need|take|bring] an umbrella [today|]",
    "[will|is] it [going to|gonna] rain [today|]",
    "is it raining [outside|now|]",
    "will it rain [today|later|]",
    "should I take a raincoat",
    "do I need [my raincoat|a raincoat]",
    "[any|is there] rain [today|]",
]
UMBRELLA_HELD = ["will I get wet outside", "umbrella today or not"]
TEMP_ASK = [
    "how [warm|cold|hot] is it [outside|today|out there|out|now|]",
    "[what's|what is] the temperature [outside|today|out there|outside today]",
    "how many degrees [is it|are there] [outside|today|]",
    "is it [cold|warm|hot] [outside|today|out]",
    "do I need a [jacket|coat] [today|]",
]
TEMP_HELD = ["what does the thermometer outside say", "how warm does it get out there"]
AWAY_ASK = [
    "[what's|what is|how's|how is] the weather [going to be|] [tomorrow|on {d}|this weekend|next week]",
    "will it [rain|snow|be sunny] [tomorrow|on {d}|this weekend|next week]",
    "weather [tomorrow|for tomorrow|on {d}|next week]",
]
BLIND = [
    "I can't see outside, and I have no live weather data.",
    "I can't see outside and have no weather data, sorry.",
]


def weather(gen, ctx):
    """Weather from the system message, or an honest no."""
    kind = gen.pick(["sky", "sky", "umbrella", "temp", "away"])
    if kind == "away":
        said = gen.pick(WEEKDAYS)
        user = gen.user(
            AWAY_ASK,
            ["and how about the weather on {d}"],
            d=said if gen.chance(0.6) else said.lower(),
        )
        bot = gen.answer(["I have no forecast, so I can't tell what the weather will be."])
        return [turn("weather", user, bot, ["no forecast"])]
    asks, held = {
        "sky": (WEATHER_ASK, WEATHER_HELD),
        "umbrella": (UMBRELLA_ASK, UMBRELLA_HELD),
        "temp": (TEMP_ASK, TEMP_HELD),
    }[kind]
    user = gen.user(asks, held)
    if not ctx.weather:
        return [turn("weather", user, gen.answer(BLIND), ["can't see outside"])]
    sky, degrees = ctx.weather
    warm = number(degrees) + " degrees"
    if kind == "sky":
        bot, need = gen.answer(
            ["The weather today is {s}, with {w}.", "Today it's {s}, with {w}."], s=sky, w=warm
        ), [sky, warm]
        bot = bot.replace("it's " + sky, "there's " + sky) if sky.split()[-1] in NOUN_SKIES else bot
    elif kind == "temp":
        bot, need = gen.answer(["It's {w} outside."], w=warm), [warm]
    elif SKIES[sky] == "wet":
        bot, need = gen.answer(["Yes, the weather today is {s}, so take an umbrella."], s=sky), [
            "yes",
            sky,
            "umbrella",
        ]
    else:
        bot, need = gen.answer(["No, it looks dry today. The weather is {s}."], s=sky), [
            "no",
            "dry",
            sky,
        ]
    return [turn("weather", user, bot, need)]


NOUN_SKIES = ("rain", "showers", "drizzle", "thunderstorms", "snow", "sleet", "hail")
SIGNS = {
    "plus": ["plus", "+", "and", "added to"],
    "minus": ["minus", "-", "take away", "less"],
    "times": ["times", "x", "*", "multiplied by"],
    "divided by": ["divided by", "/", "over"],
}
SUM_ASK = [
    "[what's|what is] {s}",
    "how much is {s}",
    "{s}",
    "[calculate|work out|compute|solve] {s}",
    "[can you|please] [work out|calculate] {s}",
    "[tell me|do you know] [what|how much] {s} is",
    "{s} is [what|how much]",
    "what does {s} make",
    "{s} equals",
    "what do you get for {s}",
]
SUM_HELD = ["I'd like to know what {s} comes to", "quick sum: {s}", "help me with {s}"]


def sum_parts(rng):
    """Two small numbers, an operation and the result."""
    op = rng.choice(["plus", "plus", "plus", "minus", "minus", "times", "times", "divided by"])
    if op == "plus":
        a, b = rng.randint(0, 20), rng.randint(0, 20)
        if rng.random() < 0.1:
            a, b = 10 * rng.randint(1, 9), 10 * rng.randint(1, 9)
        return a, op, b, a + b
    if op == "minus":
        a, b = rng.randint(0, 20), rng.randint(0, 20)
        if rng.random() < 0.1:
            a, b = 10 * rng.randint(1, 9), 10 * rng.randint(1, 9)
        return a, op, b, a - b
    a, b = rng.randint(0, 12), rng.randint(1, 12)
    if op == "times":
        return a, op, b, a * b
    return a * b, op, b, a


def sums(gen, ctx):
    """Small sums; large ones are declined."""
    rng = gen.rng
    if gen.chance(0.12):
        op = gen.pick(list(SIGNS))
        low = 150 if op == "divided by" else 21
        big, other = gen.fresh(
            lambda: (
                10 * rng.choice([rng.randint(low // 10, 30), rng.randint(low // 10, 999)])
                + rng.randint(1, 9),
                rng.choice([rng.randint(2, 99), rng.randint(2, 999)]),
            )
        )
        a, b = (other, big) if op in ("plus", "times") and gen.chance(0.5) else (big, other)
        text = f"{a} {rng.choice(SIGNS[op])} {b}"
        user = gen.user(SUM_ASK, SUM_HELD, s=text)
        return [
            turn(
                "sums: too large",
                user,
                gen.answer(["That's too large for me. I only do small sums."]),
                ["too large"],
            )
        ]
    a, op, b, result = gen.fresh(lambda: sum_parts(rng))
    sign = rng.choice([SIGNS[op][0], SIGNS[op][0], SIGNS[op][1], rng.choice(SIGNS[op])])
    digits = rng.random() < 0.6
    form = str if digits else number
    if digits and sign in "+-*/x" and rng.random() < 0.4:
        text = f"{a}{sign}{b}"
    else:
        text = f"{form(a)} {sign} {form(b)}"
    user = gen.user(SUM_ASK, SUM_HELD, s=text)
    bot = capital(f"{number(a)} {op} {number(b)} is {number(result)}.")
    turns = [turn("sums", user, bot, [f"is {number(result)}."])]
    if 0 <= result <= 20 and gen.chance(0.3):
        c = rng.randint(0, 20)
        more = rng.choice(["plus", "minus"])
        total = result + c if more == "plus" else result - c
        user = gen.user(
            ["[and|] {m} {c}", "and [that|then] {m} {c}", "now {m} {c}"],
            ["okay, {m} {c}"],
            m=more,
            c=typed(rng, c),
        )
        bot = capital(f"{number(result)} {more} {number(c)} is {number(total)}.")
        turns.append(turn("follow-up: sum", user, bot, [f"is {number(total)}."]))
    return turns


def spoken_list(items):
    """a, b and c."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


ADD = [
    "[add|put] {i} [to|on] [the|my|our] [shopping list|list|shopping list|grocery list]",
    "add {i}",
    "[add|put] {i} on it",
    "we [need|are out of|have no more] {i}",
    "[buy|get] {i} [next time|]",
    "I [need|need to buy|have to buy|want] {i} [on the list|from the shop]",
    "{i} [on|to|for] the [list|shopping list]",
    "write [down|] {i} on the list",
    "shopping list: {i}",
    "[note|write] {i} [down|] [on|for] the shopping list",
    "we need to [buy|get] {i}",
]
ADD_HELD = [
    "jot down {i} for the shop",
    "don't let me leave the shop without {i}, list it",
    "the list is missing {i}",
]
READ = [
    "[what's|what is] on [my|the|our] [list|shopping list]",
    "[read|tell] me [my|the] [list|shopping list]",
    "[show|read out|read] [my|the] [list|shopping list]",
    "what do [I|we] [need to buy|have to buy|need]",
    "[what|which things] [did I|have I] [put|got] on the list",
    "the list please",
    "shopping list please",
    "what's on it",
    "and what's on the list now",
    "what do I have on my list",
]
READ_HELD = ["go through the list with me", "so what is on there so far"]


def shopping(gen, ctx):
    """Add, remove, read and clear the list of this conversation."""
    turns = []
    for _ in range(gen.pick([1, 1, 2, 2, 3])):
        kind = gen.rng.random()
        if kind < 0.14 and ctx.items:
            turns.append(remove_turn(gen, ctx))
        elif kind < 0.3 and not ctx.items or (kind < 0.4 and len(turns) > 0):
            turns.append(read_turn(gen, ctx))
        elif kind < 0.44:
            user = gen.user(
                [
                    "[clear|empty|delete|erase|wipe|reset] [my|the] [list|shopping list]",
                    "remove everything from [the|my] [list|shopping list]",
                    "[start|make] a new [list|shopping list]",
                    "delete everything on [the|my] list",
                ],
                ["throw my whole list away"],
                command=True,
            )
            ctx.items = []
            turns.append(
                turn(
                    "shopping",
                    user,
                    gen.answer([OKAY + "your shopping list is empty now."]),
                    ["list is empty now"],
                )
            )
        else:
            turns.append(add_turn(gen, ctx, len(turns) > 0))
    return turns


def add_turn(gen, ctx, following):
    """Put one to three things on the list."""
    count = gen.pick([1, 1, 1, 2, 2, 3])
    new = gen.fresh(lambda: tuple(dict.fromkeys(item(gen.rng) for _ in range(count))))
    new = [i for i in new if i not in ctx.items] or [nonce(gen.rng)]
    said = " and ".join(new) if len(new) < 3 or gen.chance(0.3) else spoken_list(new)
    if following and ctx.items and gen.chance(0.6):
        user = gen.user(
            [
                "and {i} [too|as well|]",
                "also {i}",
                "[oh|oh,] and {i}",
                "{i} [too|as well]",
                "[and|also] add {i} [too|as well|]",
                "add {i} [too|as well]",
            ],
            ["plus {i} while we're at it"],
            i=said,
        )
        intent = "follow-up: more items"
    else:
        user = gen.user(ADD, ADD_HELD, command=gen.chance(0.5), i=said)
        intent = "shopping"
    ctx.items += new
    bot = gen.answer(
        [
            OKAY + "I've added {i} to your shopping list.",
            OKAY + "I've put {i} on your shopping list.",
        ],
        i=spoken_list(new),
    )
    return turn(intent, user, bot, [["added", "put"], "shopping list"] + new)


def remove_turn(gen, ctx):
    """Take one thing off the list."""
    gone = gen.pick(ctx.items)
    user = gen.user(
        [
            "[remove|delete|take|cross] {i} [off|from] [the|my] [list|shopping list]",
            "[remove|delete] {i} [again|]",
            "no {i} [after all|any more]",
            "take {i} off [again|]",
            "I [don't need|already have|have] {i} [now|any more|already]",
            "we don't need {i} [any more|]",
        ],
        ["scratch {i}", "forget {i}"],
        command=gen.chance(0.4),
        i=gone,
    )
    ctx.items = [i for i in ctx.items if i != gone]
    bot = gen.answer([OKAY + "I've taken {i} off your shopping list."], i=gone)
    return turn("follow-up: remove item", user, bot, ["taken " + gone + " off"])


def read_turn(gen, ctx):
    """Read the list out."""
    user = gen.user(READ, READ_HELD, command=False)
    if not ctx.items:
        return turn(
            "shopping", user, gen.answer(["Your shopping list is empty so far."]), ["list is empty"]
        )
    text = spoken_list(ctx.items)
    return turn(
        "follow-up: read list",
        user,
        gen.answer(["On your shopping list you have {i}."], i=text),
        [text],
    )
