"""Plain wishes: what most people say most of the time, beside the many wordings that the demo model
learned from. In a template (a|b|) is a choice, which may be of nothing, and {name} one of a list."""

import re

from slots import number

ROOMS = """kitchen|kitchen|living room|living room|bedroom|bedroom|bathroom|bathroom|hall|hallway|
office|study|garage|garden|dining room|attic|cellar|nursery|guest room|kids room|front room|porch|
landing|balcony|basement|toilet"""
LIGHTS = "light|light|lights|lights|lamp|lamp|lamps"
DEVICES = """fan|tv|television|radio|kettle|coffee machine|heater|oven|dishwasher|washing machine|
dryer|heating|air conditioning|computer|stereo|speaker|iron|vacuum|toaster|printer|boiler"""
COLOURS = "red|blue|green|yellow|orange|purple|pink|white|warm white"
BLINDS = "blinds|curtains|shutters|blind|shades"
DAYS = "monday|tuesday|wednesday|thursday|friday|saturday|sunday"
WHEN = "tomorrow|tomorrow|tomorrow morning|today|tonight|this evening|this afternoon|on {day}"
ITEMS = """milk|eggs|bread|butter|cheese|apples|bananas|coffee|tea|sugar|flour|rice|pasta|tomatoes|
potatoes|onions|salt|chicken|fish|yogurt|water|juice|soap|paper|oil|carrots|lemons|honey|jam|beer|
wine|chocolate|toothpaste|ham|meat|salad|oranges|garlic|cereal|biscuits|cake"""
KINDS = "pasta|pizza|egg|tea|rice|bread|oven|cake|laundry|potato|kitchen"
MUSIC = """jazz|rock|pop|some jazz|some music|classical music|the radio|blues|something quiet|
something calm|quiet music|piano music|the news|my playlist"""
TASKS = """call (mum|dad|my mother|the doctor|anna|tom)|(water|feed) the (plants|flowers|cat|dog)|
take out the (bins|rubbish|trash)|(do|check|empty) the (laundry|oven|dishwasher|washing)|
(buy|get) (milk|bread|eggs)|take my (medicine|pills)|pay the (bills|rent)|walk the dog|
lock the (door|car)|go to bed|get up|leave|turn off the (oven|iron)|close the window"""
LISTS = {"room": ROOMS, "light": LIGHTS, "device": DEVICES, "colour": COLOURS, "blinds": BLINDS,
         "day": DAYS, "when": WHEN, "item": ITEMS, "kind": KINDS, "music": MUSIC, "task": TASKS}
# Between bars that are not in parentheses.
LISTS = {name: re.split(r"\|(?![^(]*\))", text.replace("\n", "")) for name, text in LISTS.items()}

# A subject has one weight, however many templates it has.
SUBJECTS = {
    "light": (16, """turn (on|off) the {room} {light}
        turn the {room} {light} (on|off)
        turn (on|off) the {light} in the {room}
        switch (on|off) the {light} in the {room}
        switch the {room} {light} (on|off)
        turn (on|off) the {light}
        (turn|switch) (on|off) all (the|) lights
        turn (on|off) all the lights (in the {room}|upstairs|downstairs)
        turn (off|on) everything (in the {room}|)
        dim the (lights|lamp|{room} {light}) (to {percent}|)
        set the {room} {light} to ({percent}|{colour})
        set the (brightness|light|lights) (in the {room}|) to {percent}
        make the {room} (light|lights|lamp) ({colour}|brighter|darker|dimmer|warmer)
        make (it|them|that) (a bit|a little|much|) (brighter|darker|dimmer|{colour})
        (it is|it's) (too|very|a bit|so) (dark|bright) in (here|the {room})
        (is|are) the {room} (light|lights) (on|off)
        lights (on|off) (in the {room}|)"""),
    "again": (6, """(and|) the (one|ones) in the {room} (too|as well|)
        and (the|in the|) {room} (too|as well|)
        and (off|on) again
        turn (it|them|that) (on|off) (again|)
        switch (it|them|that) (on|off) (again|)
        (a bit|a little) (more|less|brighter|louder|warmer)
        what about (the {room}|tomorrow|{day})
        (no|actually) make (it|that) ({clock}|{length}|{percent}|{degrees})
        (no|actually) the {room}
        the same (again|in the {room})"""),
    "timer": (14, """(set|start) a timer for {length}
        (set|start) a {length} timer
        (set|start) a {kind} timer for {length}
        (set|start) a timer (of|for) {length} for the ({kind}|{item})
        timer for {length}
        {length}
        add {length} to the (timer|{kind} timer)
        (stop|cancel|pause|delete) the (timer|{kind} timer|timers)
        cancel (my|all|all the) timers
        how (long|much time) is (left|left on the timer|left on the {kind} timer)
        (how long is|what is) the timer (at|on|set for)"""),
    "alarm": (11, """set an alarm for {clock} ({when}|)
        set (my|the) alarm (for|to) {clock} ({when}|)
        wake me (up|) at {clock} ({when}|)
        wake (me|us) (up|) ({when}|) at {clock}
        alarm at {clock}
        {clock}
        (cancel|delete|stop|turn off) (my|the) alarm (for {when}|)
        (what|which) alarms (do i have|are set)
        when is my alarm
        (change|move) (my|the) alarm to {clock}
        snooze (the alarm|)"""),
    "reminder": (9, """remind me to {task} (at {clock}|in {length}|{when}|) ({when}|)
        remind me (at {clock}|in {length}|{when}) to {task}
        remind me {when} at {clock} to {task}
        what (reminders do i have|are my reminders|should i remember)
        (delete|cancel|clear) (the|my|all|all my) (reminder|reminders)"""),
    "shopping": (12, """(add|put) {item} (to|on) (the|my) (shopping|) list
        (add|put) {item} and {item} (to|on) (the|my) (shopping|) list
        add {item} {item} and {item} to the shopping list
        add {count} {item} to the (shopping|) list
        (remove|take|delete) (the|) {item} (from|off) (the|my) (shopping|) list
        (what is|what's) on (the|my) (shopping|) list
        what do (i|we) (need|have) (to buy|on the list)
        (is|are) (there|) {item} on (the|my) (shopping|) list
        we (need|are out of|have no more) {item}
        (clear|empty) (the|my) shopping list"""),
    "weather": (8, """(what is|what's|how is|how's) the weather (like|) ({when}|outside|)
        (will|does|is) it (going to|) (rain|snow|be cold|be warm|be sunny) ({when}|)
        (is it|will it be) (cold|warm|hot|raining|windy|sunny|wet) (outside|{when}|)
        how (cold|warm|hot) (is it|will it be) (outside|{when}|)
        do i need (an umbrella|a coat|a jacket|an umbrella {when})
        what is the (temperature|forecast) (outside|for {when}|)"""),
    "clock": (7, """what time is it (now|)
        (what is|what's) the time
        (what is|what's) the (date|day) (today|)
        (what|which) (day|date) is it (today|)
        which day of the week is (it|today)
        (what|which) (month|year) is it"""),
    "music": (12, """play {music} (in the {room}|on the speaker|)
        play (some|a little) {music}
        (stop|pause|resume|continue) (the music|playing|the radio)
        (next|previous) (song|track) (please|)
        (skip|play|repeat) (this|that|the next) song
        turn (the|) volume (up|down) (a bit|a little|)
        turn (it|the music|that|the radio) (up|down) (a bit|a little|)
        (set the volume|volume) to {number} (percent|)
        make it (a bit|a little|) (louder|quieter)
        (louder|quieter) (please|)"""),
    "blinds": (5, """(open|close|lower|raise) the {blinds} (in the {room}|)
        (open|close) the {room} {blinds}
        (pull|roll) (up|down) the {blinds} (in the {room}|)
        close all the {blinds}
        open the {blinds} (half way|halfway|a bit|)"""),
    "heating": (7, """set the (heating|temperature|thermostat) (in the {room}|) to {degrees}
        (turn|switch) the heating (up|down|on|off) (in the {room}|a bit|)
        make it ({degrees}|a bit|a little|) (warmer|cooler|colder) (in the {room}|in here|)
        (it is|it's|i am|i'm) (too|a bit|so|very) (cold|warm|hot) (in here|in the {room}|)
        (how warm is it|what is the temperature) (in the {room}|in here)"""),
    "device": (7, """turn (on|off) the {device} (in the {room}|)
        switch (on|off) the {device}
        (turn|switch) the {device} (on|off)
        is the {device} (on|off|still on)"""),
    "sum": (4, """(what is|what's|how much is) {number} (plus|minus|times|divided by) {number}
        what is {number} percent of {number}"""),
    "talk": (8, """(good|) (morning|evening|afternoon|night)
        (hello|hi|hey) (there|)
        (thanks|thank you) (very much|a lot|that is all|)
        (yes|no|okay|yes please|no thanks|no thank you|never mind|stop|cancel|go on|sure|alright)
        how are you (today|)
        tell me a (joke|story)
        what can you do
        who are you
        what is your name
        can you help me
        goodbye"""),
}


def clock(rng):
    """A time of the day."""
    hour = rng.choice(range(1, 13))
    return rng.choice([
        number(hour), f"{number(hour)} o'clock", f"half past {number(hour)}",
        f"quarter (past|to) {number(hour)}",
        f"{rng.choice(['ten', 'twenty', 'five'])} (past|to) {number(hour)}",
        f"{number(hour)} {number(rng.choice([10, 15, 20, 30, 40, 45, 50, rng.randint(10, 59)]))}",
        f"{number(hour)} thirty", f"{number(hour)} (am|pm)", rng.choice(["noon", "midnight"])])


def length(rng):
    """How long something lasts."""
    minutes = rng.choice([1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10, 10, 12, 15, 20, 25, 30, 40, 45, 50, 90,
                          rng.randint(1, 99)])
    return rng.choice([
        *[f"{number(minutes)} minute{'s' * (minutes > 1)}"] * 6, "half an hour", "an hour", "one hour",
        "an hour and a half", f"{number(rng.randint(2, 12))} hours", "a quarter of an hour",
        f"{number(rng.choice([10, 20, 30, 45, 60, 90]))} seconds", "one minute", "a minute",
        f"{number(rng.randint(2, 20))} and a half minutes"])


def fill(rng, name):
    """One of the list."""
    if name == "clock":
        return clock(rng)
    if name == "length":
        return length(rng)
    if name == "percent":
        tens = [*range(10, 101, 10)] * 2
        return number(rng.choice([*tens, rng.randint(1, 100)])) + " percent"
    if name == "degrees":
        return number(rng.choice([1, 2, 3, *range(15, 27)])) + " degrees"
    if name == "count":
        return number(rng.randint(2, 12))
    if name == "number":
        return number(rng.choice([rng.randint(0, 20), rng.randint(0, 100), 10 * rng.randint(1, 10)]))
    return rng.choice(LISTS[name])


def wish(rng):
    """A sentence, as it is spoken."""
    weights = [weight for weight, _ in SUBJECTS.values()]
    _, templates = rng.choices(list(SUBJECTS.values()), weights)[0]
    text = rng.choice(templates.split("\n")).strip()
    while found := re.search(r"\{(\w+)\}|\(([^()]*)\)", text):
        got = fill(rng, found[1]) if found[1] else rng.choice(found[2].split("|"))
        text = text[:found.start()] + got + text[found.end():]
    polite = rng.random()
    if polite < 0.12:
        text += " please"
    elif polite < 0.2:
        text = rng.choice(["please ", "can you ", "could you ", "okay ", "and "]) + text
    return text.replace("-", " ").split()
