"""Slot values: rooms, devices, times, durations, items, names, and made-up words."""

ROOMS = """kitchen|bedroom|living room|bathroom|hall|hallway|garage|garden|office|study|attic|
cellar|basement|dining room|guest room|kids' room|nursery|playroom|laundry room|utility room|
pantry|porch|balcony|terrace|patio|landing|stairs|staircase|workshop|library|den|lounge|corridor|
conservatory|shed|driveway|front room|back room|upstairs bathroom|downstairs bathroom|main bedroom|
spare room|spare bedroom|sunroom|gym|closet|entrance|front door|back door|back garden|front garden|
music room|sewing room|storage room|boiler room|greenhouse|master bedroom|toilet|ensuite|loft|
games room|reading corner|wardrobe|mudroom|sitting room|family room|yard|backyard|lobby|
breakfast room|carport|deck|upstairs hall|downstairs hall|
hallway upstairs|bathroom upstairs|guest bathroom|guest bedroom|girls' room|boys' room|
baby's room|study room|reading room|TV room|dressing room|drawing room|kitchenette|cloakroom|
wine cellar|summer house|tool shed|wash room|winter garden|roof terrace|front hall|entryway|
foyer|stairwell|hobby room|craft room|home office|cinema room|snug|crawl space|bar|pool area|
barn|stable|workroom|school room|doorway|garden shed|pool house|
children's room""".replace("\n", "").split("|")

FIXTURES = """light|light|light|lights|lights|lights|lamp|lamp|lamps|ceiling light|floor lamp|
desk lamp|table lamp|reading lamp|bedside lamp|wall light|wall lights|spotlights|night light|
fairy lights|LED strip|chandelier|bulb|standing lamp|pendant light|sconce|lantern|lanterns|
light strip|string lights|LEDs|downlights|ceiling lamp|overhead light|
standing lamp|spotlight|main light|main lights|corner lamp|big light|small lamp|lights|light|light|
lights|lamp""".replace("\n", "").split("|")

DEVICES = """fan|TV|television|kettle|coffee machine|heater|radio|dishwasher|washing machine|dryer|
oven|toaster|air conditioning|humidifier|dehumidifier|air purifier|stereo|speaker|printer|computer|
electric blanket|Christmas tree|sprinkler|sprinklers|pump|fountain|extractor fan|ceiling fan|
robot vacuum|vacuum|projector|game console|microwave|fireplace|towel rail|heating|boiler|
rice cooker|slow cooker|aquarium light|pond pump|charger|router|plug|socket|iron|
electric kettle|coffee maker|espresso machine|blender|mixer|food processor|juicer|waffle iron|
air fryer|grill|electric grill|hot plate|freezer|fridge|water heater|space heater|patio heater|
radiator|underfloor heating|hair dryer|sewing machine|laptop|monitor|scanner|soundbar|
record player|amplifier|DVD player|games console|Xbox|PlayStation|smart plug|power strip|
extension lead|lawn mower|pool pump|hot tub|jacuzzi|sauna|steamer|dish rack heater|bread maker|
ice machine|popcorn machine|fan heater|window fan|desk fan|baby monitor|tumble dryer|
clothes dryer|AC|air conditioner|aircon|telly|hi-fi|garden fountain|water pump|fog machine|
disco ball|phone charger""".replace(
    "\n", ""
).split("|")

COLOURS = """red|blue|green|yellow|orange|purple|pink|white|warm white|cool white|turquoise|violet|
magenta|cyan|lime green|gold|amber|lavender|teal|sky blue|dark blue|light green""".replace(
    "\n", ""
).split("|")

BLINDS = "blinds|curtains|shutters|blind|curtain|shades|awning|roller blinds".split("|")

NAMES = """Anna|Ben|Clara|David|Emma|Felix|Grace|Henry|Ida|Jack|Kate|Leo|Mia|Noah|Olivia|Paul|
Rosa|Sam|Tom|Uma|Vera|Will|Zoe|Alex|Bella|Carlos|Dina|Erik|Fatima|George|Hana|Ivan|Julia|Kenji|
Lena|Marco|Nina|Omar|Petra|Ravi|Sofia|Tariq|Yusuf|Maya|Luca|Ella|Oscar|Lucy|Martin|Sarah|Peter|
Laura|Simon|Eva|Max|Lily|Adam|Ruth|Jonas|Amira|
Liam|Isabel|James|Mary|John|Linda|Robert|Susan|Michael|Karen|Daniel|Nancy|Chris|Helen|Andrew|
Diana|Mark|Ruby|Steven|Alice|Kevin|Rachel|Brian|Chloe|Edward|Sophie|Ronald|Amy|Tim|Hannah|Jason|
Megan|Frank|Joan|Gary|Judy|Eric|Rose|Jakob|Nora|Philip|Isla|Arthur|Freya|Theo|Alma|Hugo|Elsa|
Otto|Greta|Viktor|Astrid|Pablo|Lucia|Diego|Carmen|Ahmed|Leila|Ali|Aisha|Yuki|Akira|Wei|Mei|
Priya|Arjun|Kofi|Ama|Joe|Robin|Charlie|Jamie|Sandra|Patrick|Monica|Claire|Stella|Victor|Samuel|
Thomas|Elena|Natalie|Vincent|Walter|Wendy|Yvonne|Gustav""".replace("\n", "").split("|")

GENRES = """jazz|rock|pop|classical music|blues|country|folk|hip hop|reggae|techno|house|soul|funk|
disco|metal|punk|opera|ambient music|piano music|guitar music|lo-fi|swing|salsa|bossa nova|gospel|
indie|electronic music|dance music|Christmas songs|children's songs|lullabies|film music|
relaxing music|party music|dinner music|workout music|sleep sounds|rain sounds|ocean sounds|
whale songs|chill music|happy songs|sad songs|eighties music|nineties hits|oldies|baroque music|
string quartets|sea shanties|flamenco|fado|tango|waltzes|
rhythm and blues|bluegrass|grunge|trance|drum and bass|dubstep|trap|rap|old school rap|ska|
rock and roll|soft rock|hard rock|heavy metal|synth pop|dream pop|country rock|smooth jazz|
Latin jazz|big band music|choir music|organ music|violin concertos|symphonies|piano sonatas|
harp music|meditation music|study music|focus music|background music|summer hits|love songs|
slow songs|fast songs|road trip songs|running music|morning music|evening music|sunday music|
birthday songs|halloween music|seventies rock|sixties hits|two thousands hits|the radio|
the news theme|a podcast|an audiobook|forest sounds|bird song|white noise|fireplace sounds|
thunder sounds|nature sounds|something calm|something upbeat|something cheerful|something new|
something to dance to|something soft|some calm music|music|music for sleeping|music for cooking|
afrobeat|samba|polka|celtic music|Irish folk|Spanish guitar|Indian music|African drums|K-pop|
musicals|show tunes|jazz piano""".replace("\n", "").split("|")

ARTIST_A = """The Silver|The Quiet|The Paper|The Northern|The Velvet|Golden|Blue|Electric|Midnight|
The Little|The Broken|Seven|The Lost|Red|The Flying|Hollow|The Morning|Wild|The Sunday|Green|
The Wandering|Cold|The Glass|The Last|Winter|The Old|Silent|The Lucky""".replace("\n", "").split(
    "|"
)
ARTIST_B = """Foxes|Rivers|Lanterns|Harbour|Owls|Orchestra|Trains|Mountains|Sailors|Gardens|Kites|
Horizon|Bakers|Wolves|Mirrors|Pilots|Drums|Sparrows|Engines|Daisies|Strangers|Islands|Tides|
Clocks|Cousins|Echo|Poets|Bees|Comets|Feathers""".replace("\n", "").split("|")
ARTISTS = """Mozart|Bach|Beethoven|Vivaldi|Chopin|Handel|Debussy|Haydn|Schubert|Brahms|Verdi|Satie|
the Beatles|Miles Davis|Nina Simone|Louis Armstrong|Ella Fitzgerald|Bob Marley|Elvis|Queen|
David Bowie|Aretha Franklin|Johnny Cash|Billie Holiday|Duke Ellington|Abba|Madonna|Prince|
Coldplay|Adele|Radiohead|the Rolling Stones|Pink Floyd|U2|Taylor Swift|Drake|Beyonce|Rihanna|
Ed Sheeran|Bruno Mars|Lady Gaga|Michael Jackson|Stevie Wonder|Ray Charles|Frank Sinatra|
Dolly Parton|Bob Dylan|Joni Mitchell|Leonard Cohen|Paul Simon|Simon and Garfunkel|Fleetwood Mac|
the Beach Boys|the Doors|the Who|the Kinks|Led Zeppelin|Deep Purple|Black Sabbath|Metallica|
Nirvana|Pearl Jam|Oasis|Blur|Pulp|the Smiths|the Cure|Depeche Mode|Kraftwerk|Daft Punk|
Massive Attack|Portishead|Bjork|Kate Bush|Elton John|Tina Turner|Whitney Houston|George Michael|
Amy Winehouse|Norah Jones|Diana Krall|John Coltrane|Charlie Parker|Chet Baker|Bill Evans|
Herbie Hancock|Tchaikovsky|Dvorak|Grieg|Mahler|Wagner|Liszt|Ravel|Rossini|Puccini|Telemann|
Purcell|Philip Glass|Hans Zimmer|John Williams|Enya|Sting|Phil Collins|Genesis|Toto|Journey|
Kiss|Muse|Arcade Fire|the Killers|Green Day|Red Hot Chili Peppers|Gorillaz|Billie Eilish|
Dua Lipa|Harry Styles|Shakira|Edith Piaf|Buena Vista Social Club""".replace(
    "\n", ""
).split(
    "|"
)
SONG_A = """Moonlight|Rainy|Dancing|Summer|Yellow|Lonely|Sweet|Slow|Broken|Paper|Distant|Hidden|
Empty|Sunny|Crazy|Falling|Silver|Burning|Frozen|Secret""".replace("\n", "").split("|")
SONG_B = """Road|Morning|Window|Heart|Train|Letter|River|Shoes|Dreams|Garden|Street|Waltz|Sky|
Summer|Stars|Bridge|Clouds|Ocean|Serenade|Lullaby""".replace("\n", "").split("|")

ITEM_WORDS = """milk|eggs|bread|butter|cheese|apples|bananas|oranges|tomatoes|potatoes|onions|
carrots|rice|pasta|flour|sugar|salt|pepper|coffee|tea|honey|jam|yoghurt|cream|chicken|beef|fish|
salmon|tuna|ham|bacon|sausages|tofu|beans|lentils|chickpeas|peas|corn|spinach|lettuce|cucumber|
peppers|mushrooms|garlic|ginger|lemons|limes|grapes|strawberries|blueberries|raspberries|pears|
peaches|melon|mango|avocados|olives|olive oil|vinegar|mustard|ketchup|mayonnaise|soy sauce|noodles|
cereal|oats|muesli|crackers|biscuits|chocolate|ice cream|cake|crisps|nuts|almonds|walnuts|raisins|
water|juice|apple juice|orange juice|lemonade|beer|wine|soap|shampoo|toothpaste|toilet paper|
kitchen roll|washing powder|dish soap|sponges|bin bags|batteries|light bulbs|candles|matches|
cat food|dog food|bird seed|nappies|tissues|plasters|sunscreen|razors|deodorant|stamps|envelopes|
cinnamon|basil|parsley|thyme|oregano|curry powder|paprika|vanilla|yeast|baking powder|cocoa|
broccoli|cauliflower|cabbage|leeks|celery|pumpkin|aubergine|courgettes|radishes|beetroot|kale|
rolls|bagels|tortillas|pizza|soup|stock cubes|frozen peas|peanut butter|maple syrup|cottage cheese|
sour cream|cream cheese|mozzarella|parmesan|feta|halloumi|sparkling water|coconut milk|oat milk|
soy milk|almond milk|green tea|cooking oil|foil|baking paper|cling film|napkins|paper towels|
hummus|quinoa|couscous|tea bags|coffee beans|ground coffee|instant coffee|decaf|herbal tea|
black tea|hot chocolate|pancake mix|waffles|croissants|muffins|doughnuts|cookies|brownies|
pretzels|popcorn|chips|tortilla chips|salsa|guacamole|sweet potatoes|spring onions|shallots|
asparagus|green beans|fennel|artichokes|rocket|herbs|mint|dill|chives|coriander|rosemary|sage|
bay leaves|nutmeg|cumin|turmeric|chilli|saffron|cloves|cherries|plums|apricots|pineapple|
watermelon|kiwis|figs|dates|cranberries|coconut|pomegranates|nectarines|clementines|mandarins|
turkey|duck|lamb|pork|mince|minced meat|steak|meatballs|salami|chorizo|prawns|shrimp|cod|trout|
sardines|anchovies|mussels|eggplant|zucchini|yogurt|Greek yoghurt|whipped cream|margarine|
goat cheese|cheddar|gouda|brie|ricotta|custard|pudding|jelly|syrup|icing sugar|brown sugar|
cornflour|bread crumbs|sesame seeds|sunflower seeds|pumpkin seeds|cashews|peanuts|pistachios|
hazelnuts|granola|porridge oats|spaghetti|macaroni|penne|lasagne sheets|ravioli|gnocchi|ramen|
canned tomatoes|tomato sauce|pesto|tomato paste|baked beans|kidney beans|sauerkraut|pickles|
gherkins|capers|horseradish|hot sauce|barbecue sauce|teriyaki sauce|fish sauce|lemon juice|
cider|whisky|gin|tonic water|cola|ginger ale|iced tea|energy drinks|sports drinks|baby food|
baby wipes|dog treats|cat litter|hay|fish food|washing-up liquid|detergent|fabric softener|
bleach|window cleaner|hand soap|shower gel|conditioner|toothbrushes|floss|mouthwash|cotton buds|
face cream|hand cream|lip balm|nail polish|hair spray|aspirin|vitamins|bandages|string|tape|
glue|pens|pencils|notebooks|printer paper|wrapping paper|birthday cards|balloons|
a birthday cake|flowers|a newspaper|magazines|charcoal|firewood|lighters|ice cubes|straws|
paper plates|plastic cups|freezer bags|sandwich bags|aluminium foil|a broom|a mop|a bucket|
gloves|socks|umbrellas|screws|nails|paint|brushes""".replace(
    "\n", ""
).split(
    "|"
)
ITEM_ADJ = """fresh|organic|brown|white|red|green|frozen|wholemeal|small|big|cheap|good|sliced|
dried|
salted|unsalted|ripe|smoked|spicy|sweet|plain|grated""".replace(
    "\n", ""
).split(
    "|"
)
ITEM_UNIT = """a bag of|a bottle of|two bottles of|a box of|a pack of|two packs of|some|a few|
a jar of|a tin of|three tins of|a kilo of|half a kilo of|a loaf of|a carton of|two cartons of|six|
a dozen|four|a bunch of|more|a litre of|two kilos of""".replace("\n", "").split("|")

TASK_VERBS = {
    "call": [
        "mum",
        "dad",
        "the dentist",
        "the doctor",
        "my sister",
        "my brother",
        "my boss",
        "the bank",
        "the plumber",
        "my grandmother",
        "{name}",
        "the school",
        "the vet",
        "the landlord",
        "my aunt",
    ],
    "feed": ["the cat", "the dog", "the fish", "my rabbit", "the hens", "{name}'s cat"],
    "water": ["the plants", "the garden", "my tomatoes", "the flowers", "the roses", "the lawn"],
    "take out": ["the bins", "the rubbish", "the recycling", "the dog", "the laundry"],
    "buy": ["milk", "a present for {name}", "bread", "stamps", "flowers", "new shoes", "tickets"],
    "pay": ["the rent", "the electricity bill", "my taxes", "the gas bill", "{name}", "the fine"],
    "pick up": [
        "the kids",
        "{name}",
        "my parcel",
        "the dry cleaning",
        "my daughter",
        "the cake",
        "my son",
        "my glasses",
    ],
    "clean": ["the oven", "the windows", "the bathroom", "my desk", "the car", "the fridge"],
    "charge": ["my phone", "the car", "my watch", "the camera", "my headphones"],
    "take": ["my medicine", "my pills", "my vitamins", "a break", "my umbrella", "the car in"],
    "check": ["the oven", "my email", "the post", "the laundry", "the tyres", "the smoke alarm"],
    "send": ["the report", "a card to {name}", "my application", "the invoice", "the photos"],
    "finish": ["my homework", "the report", "the painting", "my book", "the puzzle"],
    "book": ["a table", "the flights", "a haircut", "my holiday", "the train to the coast"],
    "write to": ["{name}", "my friend {name}", "the council", "my uncle", "the teacher"],
    "meet": ["{name}", "{name} and {name2}", "my friend {name}", "the neighbours", "the builder"],
    "close": ["the windows", "the garage", "the gate", "the shed"],
    "return": ["the library books", "my parcel", "{name}'s drill", "the keys"],
    "bake": ["a cake", "some bread", "a cake for {name}", "cookies", "a pie"],
    "walk": ["the dog", "{name}'s dog", "home early"],
    "practise": ["the piano", "my guitar", "my French", "the violin", "my speech"],
    "stretch": [""],
    "drink": ["some water", "my tea"],
    "go": ["to bed", "to the gym", "to the post office", "for a run", "shopping", "to yoga"],
    "iron": ["my shirt", "the shirts"],
    "turn over": ["the roast", "the steak", "the mattress"],
    "buy a present for": ["{name}", "mum", "my wife", "my husband", "the baby"],
    "talk to": ["{name}", "my boss", "the neighbours", "the teacher", "the doctor"],
    "ask": ["{name} about the party", "the landlord about the heating", "mum for the recipe"],
    "put": ["the bins out", "the washing in the dryer", "the cake in the oven",
            "petrol in the car"],
    "renew": ["my passport", "the insurance", "my library card", "the parking permit"],
    "fix": ["the tap", "the bike", "the fence", "the door handle", "the lamp"],
    "empty": ["the dishwasher", "the bins", "the washing machine", "the mailbox"],
    "order": ["new tyres", "the cake", "more firewood", "my contact lenses"],
    "lock": ["the back door", "the shed", "the car", "the bike"],
    "text": ["{name}", "my sister", "the babysitter", "mum"],
    "visit": ["{name}", "grandma", "my aunt", "the museum"],
    "study": ["for the test", "Spanish", "for my exam", "chapter three"],
    "pack": ["my suitcase", "lunch for {name}", "my gym bag", "the swimming things"],
    "get": ["petrol", "some cash", "the car washed", "my hair cut", "a birthday card for {name}"],
    "do": ["the laundry", "the dishes", "my homework", "my exercises", "the ironing"],
    "make": ["dinner", "a dentist appointment", "the beds", "a list", "lunch"],
    "bring": ["the umbrella", "my laptop", "the keys to {name}", "a cake to work"],
    "cancel": ["my subscription", "the appointment", "the gym membership"],
    "leave": ["for the airport", "for work", "for school", "the house"],
    "watch": ["the match", "the news", "my show", "the documentary"],
    "defrost": ["the chicken", "the freezer", "the bread"],
    "wash": ["the car", "my hair", "the dishes", "my coat"],
    "change": ["the sheets", "the water filter", "the bulb"],
}

WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
ONES = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
fifteen sixteen seventeen eighteen nineteen""".split()
TENS = "x x twenty thirty forty fifty sixty seventy eighty ninety".split()

ONSETS = "b d f g h j k l m n p r s t v w z".split()
RARE_ONSETS = "br cl dr fl gr pl st tr sh ch th".split()
VOWELS = "a e i o u".split()
CODAS = "||||n|r|l|s".split("|")


def number(n):
    """The number in English words, from -100 to 999."""
    if n < 0:
        return "minus " + number(-n)
    if n < 20:
        return ONES[n]
    if n < 100:
        return TENS[n // 10] + ("-" + ONES[n % 10] if n % 10 else "")
    rest = n % 100
    return ONES[n // 100] + " hundred" + (" and " + number(rest) if rest else "")


def nonce(rng):
    """A made-up word, so that copying is learned and not a list."""
    onsets = ONSETS if rng.random() < 0.75 else ONSETS + RARE_ONSETS
    return "".join(
        rng.choice(onsets) + rng.choice(VOWELS) + (rng.choice(CODAS) if last else "")
        for last in rng.choice([(False, True), (False, True), (False, False, True), (True, True)])
    )


def typed(rng, n):
    """A number as typed: digits or words."""
    return str(n) if rng.random() < 0.5 else number(n)


def your(text):
    """A phrase of the user's as the assistant repeats it."""
    text = " " + text + " "
    for mine, yours in (
        (" my ", " your "),
        (" me ", " you "),
        (" I ", " you "),
        (" our ", " your "),
        (" myself ", " yourself "),
    ):
        text = text.replace(mine, yours)
    return text.strip()


def item(rng):
    """A thing to buy."""
    kind = rng.random()
    if kind < 0.6:
        return rng.choice(ITEM_WORDS)
    if kind < 0.72:
        return rng.choice(ITEM_ADJ) + " " + rng.choice(ITEM_WORDS)
    if kind < 0.9:
        return rng.choice(ITEM_UNIT) + " " + rng.choice(ITEM_WORDS)
    if kind < 0.97:
        return nonce(rng)
    return nonce(rng) + " " + rng.choice(ITEM_WORDS)


def task(rng):
    """Something to be reminded of."""
    verb = rng.choice(list(TASK_VERBS))
    text = (verb + " " + rng.choice(TASK_VERBS[verb])).strip()
    text = text.format(name=person(rng), name2=rng.choice(NAMES))
    if rng.random() < 0.08:
        text = (
            rng.choice(["find", "fix", "clean", "call", "buy", "return"])
            + " "
            + rng.choice(["the ", "my ", "some "])
            + nonce(rng)
        )
    return text


def person(rng):
    """A first name, now and then a made-up one."""
    return rng.choice(NAMES) if rng.random() < 0.9 else nonce(rng).capitalize()


def place(rng):
    """A light: (as the user says it, as the assistant repeats it, the word for the lamp)."""
    fixture = rng.choice(FIXTURES)
    room = rng.choice(ROOMS) if rng.random() < 0.97 else nonce(rng) + " room"
    kind = rng.random()
    if kind < 0.55:
        text = "the " + room + " " + fixture
    elif kind < 0.78:
        text = "the " + fixture + " in the " + room
    elif kind < 0.84:
        text = "my " + room + " " + fixture
    elif kind < 0.89:
        text = "the " + fixture + " in " + person(rng) + "'s room"
    elif kind < 0.93:
        text = "all the lights in the " + room
    elif kind < 0.96:
        text = rng.choice(
            [
                "all the lights",
                "every light",
                "the lights",
                "all lights",
                "all the lights upstairs",
                "all the lights downstairs",
            ]
        )
    else:
        text = "the " + fixture
    return text, your(text), fixture


def whereabouts(text, word):
    """The room or part of the house that a light or a device is in, or None where it is not said."""
    if " in " in text:
        return text.split(" in ")[1].removeprefix("the ")
    text = text.removeprefix("the ").removeprefix("your ")
    for everything in ("all the lights", "every light", "all lights"):
        if text.startswith(everything):
            return text.removeprefix(everything).strip() or "all"
    return text.removesuffix(word).strip() if text.endswith(" " + word) else None


def spoken_list(items):
    """a, b and c."""
    return ", ".join(items[:-1]) + " and " + items[-1] if len(items) > 1 else "".join(items)


def is_plural(text, word):
    """Whether a light or a device goes with "are"."""
    return word.endswith("s") or text.startswith("all ") or text.endswith("lights")


def device(rng):
    """A switched device: (as said, as repeated, its word)."""
    name = rng.choice(DEVICES)
    kind = rng.random()
    if kind < 0.65:
        text = "the " + name
    elif kind < 0.85:
        text = "the " + name + " in the " + rng.choice(ROOMS)
    elif kind < 0.95:
        text = "the " + rng.choice(ROOMS) + " " + name
    else:
        text = "my " + name
    return text, your(text), name


SPANS = """half an hour|an hour|a minute|an hour and a half|a quarter of an hour|
one and a half hours|
three quarters of an hour|half a minute|a couple of minutes|a few minutes|a day|two days|
one week""".replace("\n", "").split("|")
SHORT = {
    "minute": ["min", "mins", "min"],
    "second": ["sec", "secs", "sec"],
    "hour": ["hr", "hrs", "h"],
}
ROUND = [1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10, 10, 12, 15, 20, 25, 30, 40, 45, 50, 60, 90]


def duration(rng):
    """A length of time: (as typed, as repeated with its units written out)."""
    kind = rng.random()
    if kind < 0.08:
        text = rng.choice(SPANS[:8] if rng.random() < 0.8 else SPANS)
        return text, text
    if kind < 0.13:
        text = typed(rng, rng.randint(1, 8)) + " and a half " + rng.choice(["hours", "minutes"])
        return text, text
    if kind < 0.24:
        big, small = rng.choice([("hour", "minutes"), ("minute", "seconds")])
        a, b = rng.randint(1, 12), rng.randint(2, 59)
        big = big if a == 1 else big + "s"
        form = str if rng.random() < 0.5 else number
        parts = form(a) + " " + big, form(b) + " " + small
        return rng.choice([" and ", " and ", " "]).join(parts), " and ".join(parts)
    unit = rng.choice(["minute", "minute", "minute", "second", "hour"])
    top = {"minute": 99, "second": 99, "hour": 24}[unit]
    n = rng.randint(1, top) if rng.random() < 0.6 else min(top, rng.choice(ROUND))
    amount, full = typed(rng, n), unit + ("" if n == 1 else "s")
    if rng.random() < 0.06:
        short = rng.choice(SHORT[unit])
        return f"{n} {short}", f"{n} {full}"
    return f"{amount} {full}", f"{amount} {full}"


def clock(rng):
    """A time of day as people type it; it is repeated as typed."""
    hour, minute = rng.randint(1, 12), rng.choice([5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55])
    kind = rng.random()
    if kind < 0.2:
        return (
            rng.choice(
                [
                    "half past",
                    "half past",
                    "quarter past",
                    "quarter to",
                    "ten past",
                    "ten to",
                    "five past",
                    "five to",
                    "twenty past",
                    "twenty to",
                    "a quarter past",
                    "twenty-five to",
                ]
            )
            + " "
            + typed_hour(rng, hour)
        )
    if kind < 0.4:
        return f"{hour}:{rng.randint(0, 59):02d}" + rng.choice(["", "", " am", " pm", "am", "pm"])
    if kind < 0.5:
        return f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}"
    if kind < 0.65:
        return typed_hour(rng, hour) + rng.choice(
            [
                " am",
                " pm",
                " a.m.",
                " p.m.",
                " in the morning",
                " in the evening",
                " in the afternoon",
            ]
        )
    if kind < 0.75:
        return typed_hour(rng, hour) + " o'clock"
    if kind < 0.88:
        return (
            number(hour)
            + " "
            + number(minute if minute > 5 else 15)
            + rng.choice(["", "", " am", " pm"])
        )
    if kind < 0.92:
        return rng.choice(["noon", "midnight", "midday"])
    return typed_hour(rng, hour)


def typed_hour(rng, hour):
    """An hour as digits or as a word."""
    return str(hour) if rng.random() < 0.4 else number(hour)


def day(rng):
    """A day an alarm may be for: (as typed, as repeated), or two empty texts."""
    kind = rng.random()
    if kind < 0.5:
        return "", ""
    if kind < 0.7:
        return " tomorrow", " tomorrow"
    if kind < 0.78:
        text = rng.choice(
            [
                " today",
                " tonight",
                " every day",
                " on weekdays",
                " this evening",
                " tomorrow morning",
                " tomorrow evening",
                " at the weekend",
            ]
        )
        return text, text
    name = rng.choice(WEEKDAYS)
    lead = rng.choice([" on ", " on ", " next ", " every "])
    return lead + (name if rng.random() < 0.6 else name.lower()), lead + name


def clock_time(gen):
    """The time as a clock shows it."""
    hour, minute = gen.rng.randint(0, 23), gen.rng.randint(0, 59)
    return gen.pick([f"{hour:02d}:{minute:02d}",
                     f"{hour % 12 + 1}:{minute:02d} " + gen.pick(["am", "pm"])])


def date(gen, year):
    """Day of the week, day, month and the given year."""
    month = gen.rng.randrange(12)
    last = 28 if month == 1 else 30 if month in (3, 5, 8, 10) else 31
    return gen.pick(WEEKDAYS), gen.rng.randint(1, last), MONTHS[month], year


def listen(rng):
    """Something to play."""
    kind = rng.random()
    if kind < 0.4:
        sound = rng.choice(GENRES)
        plain = sound.startswith(("a ", "an ", "the ", "some", "music"))
        return ("" if plain else rng.choice(["", "", "some "])) + sound
    if kind < 0.6:
        text = rng.choice(ARTISTS)
    elif kind < 0.7:
        text = rng.choice(ARTIST_A) + " " + rng.choice(ARTIST_B)
    elif kind < 0.77:
        text = (
            rng.choice(SONG_A)
            + " "
            + rng.choice(SONG_B)
            + " by "
            + rng.choice([rng.choice(ARTISTS), rng.choice(ARTIST_A) + " " + rng.choice(ARTIST_B)])
        )
    elif kind < 0.83:
        text = rng.choice(SONG_A) + " " + rng.choice(SONG_B)
    elif kind < 0.95:
        return (
            "my "
            + rng.choice(GENRES[:40] + [nonce(rng), "morning", "party", "cooking", "summer"])
            + " playlist"
        )
    else:
        text = nonce(rng).capitalize()
    return text.lower() if rng.random() < 0.4 else text
