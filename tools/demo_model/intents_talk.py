"""Weather and sums."""

from grammar import capital, turn
from phrases import ASIDE, WELL, WONDER, after, more
from slots import WEEKDAYS, number

SKIES = {
    "dry": """sunny|clear|cloudy|partly cloudy|overcast|foggy|misty|windy|hot and sunny|
cold and clear|dry|mild and dry|
bright|mostly sunny|mostly cloudy|grey|hazy|warm and dry|cool and windy|sunny and warm|breezy|
clear and cold""",
    "wet": """light rain|heavy rain|rain|showers|drizzle|thunderstorms|snow|light snow|sleet|hail|
rainy|stormy with rain|
heavy snow|wet|snowy|rain and wind|scattered showers|rain showers|a thunderstorm|pouring rain""",
}
SKIES = {kind: names.replace("\n", "").split("|") for kind, names in SKIES.items()}
NOW = (
    "[|||today|outside|right now|now|at the moment|please|out there|here|this morning|"
    "today please|, please]"
)
WEATHER_ASK = more(
    2,
    ASIDE + " [what's|what is|how's|how is] the weather [like|] " + NOW,
) + [
    "[weather|the weather|weather report|weather forecast|forecast] [today|please|now|for today|"
    "outside|, please|?]",
    "[tell me|give me|read me|say|show me] [the|today's] [weather|forecast|weather forecast|"
    "weather report] " + NOW,
    ASIDE + " [what's|what is] it like [outside|out|out there|outdoors] [today|now|right now|"
    "please|]",
    ASIDE + " [what's|what is] the [forecast|weather forecast|weather report|"
    "weather situation] [for today|today|now|please|]",
    ASIDE + " how does [it|the sky|the weather|the day] look " + NOW,
    ASIDE + " [is it|is the weather|is it still|is the sky] [nice|good|bad|fine|sunny|clear|"
    "cloudy|grey|foggy|windy|lovely|beautiful|pleasant] "
    "[outside|out|today|out there|at the moment|]",
    WONDER + " [the weather|what the weather is like|how the weather is|what it's like outside|"
    "how it looks outside] " + NOW,
    ASIDE + " what [kind|sort] of [weather|day] [do we have|is it|are we having|have we got|"
    "is it going to be] [today|outside|]",
    ASIDE + " [any news on|what's going on with|what's up with|what about|how about|"
    "what can you say about|"
    "what do you know about] the weather " + NOW,
    ASIDE + " [how is the sky|what does the sky look like|how's the sky|what's the sky doing|"
    "what's happening outside|"
    "what's the sky like] " + NOW,
    "[I'm going out|I'm about to leave|we want to go for a walk|I'm going for a run|"
    "I want to hang the laundry out], "
    "[how's the weather|what's the weather like|what is it like outside|tell me the weather]",
    ASIDE + " [is it|is today] a [nice|good|fine|sunny|lovely] day [for a walk|outside|today|"
    "for a picnic|]",
]
UMBRELLA_ASK = [
    ASIDE + " [do|will|should|would] I [need|take|bring|carry|want|pack] [an|my|the] umbrella "
    "[today|now|outside|with me|for today|out there|]",
    ASIDE + " [will|is] it [going to|gonna|likely to|about to] [rain|pour|snow] [today|outside|"
    "now|]",
    ASIDE + " is it [raining|snowing|pouring|wet|drizzling] [outside|now|right now|today|"
    "out there|at the moment|]",
    ASIDE + " will it [rain|pour|snow|get wet|be wet|be dry|stay dry] [today|outside|later today|"
    "now|]",
    ASIDE + " [should|do|will] I [take|need|wear|bring] [a|my|the] [raincoat|rain jacket|"
    "rain boots|waterproof jacket] "
    "[today|outside|now|]",
    ASIDE + " [any|is there|is there any|do we have|are we getting|do you see] rain [today|"
    "outside|coming|now|]",
    ASIDE + " [will|do|would] I get [wet|soaked] [outside|out there|today|if I go out|"
    "without an umbrella]",
    ASIDE + " [umbrella|raincoat] [today|or not|today or not|needed|yes or no]",
    WONDER + " [if|whether] [it's raining|it will rain|I need an umbrella|"
    "I should take an umbrella|it's going to rain|"
    "it stays dry|I need a raincoat] [today|outside|now|]",
    ASIDE + " [is it|does it stay|is it staying|will it stay] dry [outside|today|out there|]",
    ASIDE + " can I [leave the umbrella at home|hang the washing outside|"
    "go out without an umbrella|go without a raincoat] [today|]",
    "[I'm going out|I'm leaving|I'm about to go], [do I need an umbrella|will it rain|"
    "is it raining|should I take an umbrella]",
]
TEMP_ASK = [
    ASIDE + " how [warm|cold|hot|chilly|cool] [is it|does it get|is it really|will it be|are we] "
    "[outside|today|out there|out|now|right now|at the moment|outdoors|]",
    ASIDE + " [what's|what is] the [temperature|outside temperature|outdoor temperature|"
    "temperature outside|"
    "temperature today|current temperature] [now|right now|please|today|]",
    ASIDE + " how many degrees [is it|are there|do we have|are we at|have we got] [outside|today|"
    "now|out there|]",
    ASIDE + " is it [cold|warm|hot|chilly|freezing|mild] [outside|today|out|out there|right now]",
    ASIDE + " [do|will|should] I [need|wear|take|want] [a|my] [jacket|coat|scarf|warm jacket|"
    "sweater|warm coat|hat] "
    "[today|outside|now|out there|]",
    ASIDE + " what does the [thermometer|outside thermometer] [say|show|read] [now|today|outside|]",
    WONDER + " [the temperature|how warm it is|how cold it is|how hot it is|"
    "how many degrees it is|what the temperature is] "
    "[outside|today|outside now|out there|]",
    "[tell me|give me|say|read me] the [temperature|outside temperature|temperature outside|"
    "degrees outside] [now|please|today|]",
    "[temperature|temperature outside|outside temperature|degrees outside] [please|now|today|"
    ", please|?]",
]
LATER = (
    "[tomorrow|on {d}|this weekend|next week|next {d}|tomorrow morning|at the weekend|"
    "the day after tomorrow|"
    "next month|in the next days|this week|later this week|tomorrow night]"
)
# Those that stand in others come last.
LATER_DAYS = sorted(LATER[1:-1].split("|"), key=len, reverse=True)
AWAY_ASK = [
    ASIDE + " [what's|what is|how's|how is] the weather [going to be|going to be like|looking|"
    "] " + LATER,
    ASIDE + " [what|how] will the weather be [like|] " + LATER,
    ASIDE + " [will it|is it going to] [rain|snow|be sunny|be warm|be cold|be nice|be dry|"
    "be windy|get hot] " + LATER,
    "[weather|the weather|forecast|weather forecast|the forecast] [for|] " + LATER + " [please|]",
    WONDER + " [what the weather will be like|if it will rain|how the weather will be|"
    "whether it will snow] " + LATER,
    ASIDE + " [and|what about|how about|and how about] the weather " + LATER,
    ASIDE + " [do|will] I need [an umbrella|a coat|a jacket] " + LATER,
    ASIDE + " how [warm|cold|hot] will it [be|get] " + LATER,
    "[tell me|give me|read me] the [weather|forecast|weather forecast] for " + LATER,
]


def weather(gen, ctx):
    """Weather from the system message, or an honest no."""
    kind = gen.pick(["sky", "sky", "umbrella", "temp", "away"])
    if kind == "away":
        said = gen.pick(WEEKDAYS)
        typed = said if gen.chance(0.6) else said.lower()
        way = gen.carrier(AWAY_ASK)
        user = gen.typed(way, d=typed)
        if "weather" in ctx.tools:
            return [other_day(gen, way, said, user)]
        bot = "I have no forecast, so I can't tell what the weather will be."
        return [turn("weather", user, bot, ["no forecast"])]
    user = gen.user({"sky": WEATHER_ASK, "umbrella": UMBRELLA_ASK, "temp": TEMP_ASK}[kind])
    call = result = None
    if ctx.weather:
        sky, degrees = ctx.weather
    elif "weather" in ctx.tools:
        sky, degrees = outside(gen)
        call, result = ("weather", {}), {"weather": sky, "degrees": int(degrees)}
    else:
        bot = "I can't see outside, and I have no live weather data."
        return [turn("weather", user, bot, ["can't see outside"])]
    if kind == "sky":
        bot = gen.answer(["The weather today is {s}, with {w} degrees."], s=sky, w=degrees)
        need = [sky, degrees + " degrees"]
    elif kind == "temp":
        bot, need = gen.answer(["It's {w} degrees outside."], w=degrees), [degrees + " degrees"]
    elif sky in SKIES["wet"]:
        bot = gen.answer(["Yes, the weather today is {s}, so take an umbrella."], s=sky)
        need = ["yes", sky, "umbrella"]
    else:
        bot = gen.answer(["No, it looks dry today. The weather is {s}."], s=sky)
        need = ["no", "dry", sky]
    return [turn("weather", user, bot, need, (), call, result)]


def outside(gen):
    """The sky, and the degrees as digits."""
    degrees = gen.rng.choice([n for n in range(-10, 37) if abs(n) != 1])
    return gen.pick(SKIES[gen.pick(["dry", "wet"])]), str(degrees)


def other_day(gen, way, weekday, user):
    """The weather of another day, from the tool, which may have none."""
    words = next(w for w in LATER_DAYS if w in way)
    said = words.format(d=weekday)
    call = "weather", {"day": said.removeprefix("on ").removeprefix("at ")}
    if gen.chance(0.2):
        bot = "I have no forecast, so I can't tell what the weather will be."
        return turn("weather", user, bot, ["no forecast"], (), call,
                    {"ok": False, "error": "no forecast"})
    sky, degrees = outside(gen)
    bot = gen.answer(["The weather {d} will be {s}, with {w} degrees."], d=said, s=sky, w=degrees)
    return turn("weather", user, bot, [said, sky, degrees + " degrees"], (), call,
                {"weather": sky, "degrees": int(degrees)})


SIGNS = {
    "plus": ["plus", "+", "and", "added to"],
    "minus": ["minus", "-", "take away", "less"],
    "times": ["times", "x", "*", "multiplied by"],
    "divided by": ["divided by", "/", "over", "shared by"],
}
SUM_ASK = more(2, ASIDE + " [what's|what is] {s} [please|, please|again|]", "{s} [please|, please|"
"|?]") + [
    ASIDE + " [how much|how many] [is|makes] {s} [please|, please|again|]",
    "[calculate|work out|compute|solve|do|figure out|add up|tell me|give me] {s} [please|for me|"
    ", please|quickly|]",
    "[can you|could you|would you|please|will you] [work out|calculate|solve|compute|figure out|"
    "tell me|do] {s} [for me|please|]",
    WONDER + " [what|how much] {s} [is|makes|comes to|gives|equals|adds up to]",
    ASIDE + " {s} [is|is what|is how much|makes what|equals|equals what|gives what|makes|"
    "comes to what|gives|=]",
    ASIDE + " what [does|would|will] {s} [make|give|come to|equal|add up to|yield]",
    ASIDE + " what do [you|we|I] get [for|from|if you do|when you do|with|out of] {s}",
    "[what's|what is|tell me|give me|find|say] the [result|answer|value|solution|outcome] [of|to|"
    "for] {s} [please|]",
    "[quick sum|a sum|sum|maths question|math question|calculation|small sum|homework|easy one|"
    "next sum|maths]: {s}",
    "[help me|I need help|give me a hand|I'm stuck] with {s} [please|]",
    "[I need|I want|I'd like] [the answer to|the result of|to work out|to calculate|"
    "to know what] {s} [is|please|]",
    "[how about|what about|and|now|next|then|try] {s}",
]
NEXT_SUM = [
    "[and|okay, and|now|then|and then|so|good, and|right, and|fine, and|] [that|it|the result|"
    "] {m} {c} [please|]",
    "[now|and now|then|next|okay, now|and then] [do|take|make it|calculate|work out|] [that|it|"
    "the result|this] {m} {c}",
    "[what's|what is|how much is|tell me|and what's|and what is|and how much is] [that|it|"
    "the result|this] {m} {c} [?|please|]",
    "[what if|how about|what about] [you take|we take|I take|] [that|it|the result] {m} {c}",
]


def small_sum(rng):
    """Two small numbers, an operation and the result."""
    op = rng.choice(["plus"] * 3 + ["minus"] * 3 + ["times"] * 2 + ["divided by"])
    if op == "plus":
        a, b = rng.randint(0, 20), rng.randint(0, 20)
        return a, op, b, a + b
    if op == "minus":
        a, b = rng.randint(0, 20), rng.randint(0, 20)
        if a < b and rng.random() < 0.6:
            a, b = b, a
        return a, op, b, a - b
    a, b = rng.randint(0, 10), rng.randint(0, 10)
    if op == "times":
        return a, op, b, a * b
    b = max(b, 1)
    return a * b, op, b, a


def large_sum(rng):
    """A sum beyond the small ones, as typed."""
    op = rng.choice(list(SIGNS))
    low = 110 if op == "divided by" else 30
    big = rng.choice([rng.randint(low, 300), rng.randint(low, 9999), rng.randint(low, 999)])
    other = rng.choice([rng.randint(2, 99), rng.randint(2, 999)])
    a, b = (other, big) if op in ("plus", "times") and rng.random() < 0.5 else (big, other)
    form = str if rng.random() < 0.85 or max(a, b) > 999 else number
    return f"{form(a)} {rng.choice(SIGNS[op])} {form(b)}"


def sums(gen, ctx):
    """Small sums, at times several; large ones are declined."""
    rng = gen.rng
    turns = []
    for _ in range(rng.choice([1, 2, 3, 4])):
        if gen.chance(0.1):
            user = gen.user(SUM_ASK, s=large_sum(rng))
            bot = "That's too large for me. I only do small sums."
            turns.append(turn("sums: too large", user, bot, ["too large"]))
            continue
        a, op, b, result = small_sum(rng)
        sign = rng.choice([SIGNS[op][0], SIGNS[op][0], SIGNS[op][1], rng.choice(SIGNS[op])])
        digits = rng.random() < 0.6 or sign in "+-*/x"
        form = str if digits else number
        text = f"{form(a)} {sign} {form(b)}"
        if sign in "+-*/x" and rng.random() < 0.4:
            text = text.replace(" ", "")
        user = gen.user(SUM_ASK, s=text)
        bot = capital(f"{number(a)} {op} {number(b)} is {number(result)}.")
        turns.append(turn("sums", user, bot, [f"is {number(result)}."]))
    if turns[-1]["intent"] == "sums" and 0 <= result <= 20 and gen.chance(0.3):
        sign, c = rng.choice(["plus", "minus"]), rng.randint(0, 20)
        total = result + c if sign == "plus" else result - c
        typed_c = str(c) if gen.chance(0.6) else number(c)
        user = gen.user(after(WELL, NEXT_SUM), m=sign, c=typed_c)
        bot = capital(f"{number(result)} {sign} {number(c)} is {number(total)}.")
        turns.append(turn("follow-up: sum", user, bot, [f"is {number(total)}."]))
    return turns
