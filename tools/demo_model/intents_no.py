"""Things Hearth can't or shouldn't do, and what it doesn't know: a kind no."""

from grammar import turn
from intents_smalltalk import frames
from slots import ITEM_WORDS, ROOMS, WEEKDAYS, nonce, number, person


def words(text):
    """The entries of a list written with bars."""
    return text.replace("\n", "").split("|")


COUNTRIES = words(
    """France|Spain|Italy|Germany|Japan|China|India|Brazil|Canada|Mexico|Egypt|Kenya|Norway|
Sweden|Poland|Greece|Turkey|Australia|Peru|Chile|Cuba|Iran|Iraq|Nepal|Ghana|Mali|Laos|
Vietnam|Thailand|Korea|Finland|Iceland|Ireland|Portugal|Hungary|Austria|Belgium|Denmark|
Russia|Ukraine|Morocco|Tunisia|Nigeria|Argentina|Bolivia|Jamaica|Mongolia|Malta"""
)
CITIES = words(
    """Paris|London|Berlin|Madrid|Rome|Tokyo|Cairo|Oslo|Vienna|Athens|Dublin|New York|Chicago|
Boston|Sydney|Delhi|Moscow|Lima|Prague|Warsaw|Lisbon|Milan|Munich|Zurich|Amsterdam|Seoul|
Mumbai|Nairobi"""
)
TOPICS = words(
    """gravity|black holes|dinosaurs|the moon|the sun|volcanoes|quantum physics|photosynthesis|
the Roman Empire|electricity|computers|the ocean|whales|elephants|penguins|bees|spiders|
tigers|butterflies|the stock market|the economy|democracy|philosophy|religion|history|
chemistry|biology|evolution|atoms|the brain|the heart|dreams|money|inflation|football|
tennis|chess|cricket|basketball|the Olympics|the World Cup|space|Mars|Jupiter|the stars|
rainbows|earthquakes|glaciers|the pyramids|the Vikings|the French Revolution|
the Second World War|Napoleon|Cleopatra|Einstein|Newton|Shakespeare|Picasso|
Leonardo da Vinci|cars|trains|aeroplanes|rockets|robots|artificial intelligence|
the internet|programming|algebra|geometry|the alphabet|languages|Latin|Spanish|trees|
mushrooms|chocolate|cheese making|wine|sourdough|yoga|sleep|vitamins|germs|clouds|
lightning|the universe|time travel|ghosts|dragons|unicorns|life|love|happiness|knitting|
fishing|sailing|fashion|architecture|the president|the king|the queen|the prime minister|
politics|elections|climate change|coral reefs|deserts|rivers|mountains|the Amazon|cats|
dogs|horses|sharks"""
)
WORKS = words(
    """Hamlet|the Mona Lisa|War and Peace|the telephone|the light bulb|Romeo and Juliet|
the wheel|the radio|Don Quixote|the Bible|the aeroplane|the steam engine|paper|
the bicycle|Frankenstein|the Odyssey|penicillin|the computer|Dracula|the printing press|
glass"""
)
DISHES = words(
    """a cake|an omelette|lasagne|pancakes|soup|bread|risotto|a curry|sushi|pizza|scrambled eggs|
rice|a pie|roast chicken|pasta|cookies|a salad|stew|meatballs|waffles|tomato soup|
fried rice|dumplings|gravy|fish and chips|paella|moussaka|brownies|muffins|a cheesecake|
goulash|ramen|tacos|an apple pie|jam|mashed potatoes|a stir fry|porridge|scones|a quiche|
fish soup|beef stew|garlic bread|a sauce"""
)
SKILLS = words(
    """tie a tie|fix a tap|change a tyre|learn French|play chess|lose weight|build a house|
knit a scarf|draw a horse|plant a tree|paint a wall|make friends|train a dog|
unblock a sink|clean silver|grow tomatoes|swim|dance|juggle|repair a phone|
start a business|whistle|catch a fish|fold a shirt|sharpen a knife|remove a stain|
learn to drive|play the piano|iron a shirt|build a fire|ride a horse|take good photos|
tie a knot|get better at maths|stop snoring|quit smoking|wax a floor|wrap a present|
peel an orange|open a coconut|sew a button|read a map|hang a picture|fix a bicycle|
descale a kettle|write a novel|learn an instrument|calm a baby|wash wool|keep bees|
make candles|find a job"""
)
GOODS = words(
    """pizza|sushi|a burger|burgers|dinner|lunch|a curry|flowers|groceries|shoes|a book|a phone|
a new lamp|noodles|tacos|a present|a laptop|a bicycle|new tyres|a jacket|headphones|
a sofa|a mattress|a watch|a ring|some furniture|a camera|a TV|a toy|a dress|jeans|a cake|
a tent|a printer|cat food|dog food|a game|new curtains|chinese food|indian food|thai food|
a kebab|a salad|fried chicken|takeaway|a bunch of roses|a bottle of wine|sandwiches|
a birthday cake|two pizzas|a large pizza|ice cream|a coffee|breakfast|a pair of boots|
a washing machine|spare parts|a drill|new glasses|a guitar|a tablet|a carpet"""
)
BOOKINGS = words(
    """a table|a flight|a hotel|a train|a room|a taxi|a trip|a holiday|a haircut|a table for two|
a cab|a rental car|a massage|a hotel room|a cruise|an appointment|a table for four|
a ticket|train tickets|two tickets|concert tickets|cinema tickets|plane tickets|a ferry|
a tennis court|a campsite|a cleaner|a dentist appointment|a restaurant|a seat|
a bus ticket|a babysitter|a limousine|a hostel|a tour|an uber"""
)
FOLK = words(
    """my mum|my dad|my mother|my father|my boss|my wife|my husband|grandma|grandpa|the office|
the neighbours|my sister|my brother|my son|my daughter|my aunt|my uncle|my friend|
my neighbour|my girlfriend|my boyfriend|my teacher|my landlord|the plumber|the school|
the bank|the dentist|the electrician|my colleague|my cousin|the kids|the babysitter|
my parents|my best friend|the landlady|customer service|the garage|the vet|mum|dad|
the post office|the hairdresser|everyone|my team|my lawyer|the doctor's office|
the restaurant|work"""
)
NEWS = words(
    """the news|the headlines|the latest news|today's news|the football results|the score|
the stock prices|the traffic|the exchange rate|the lottery numbers|the sports news|
the cinema programme|the TV programme|the bus times|the train times|the election results|
the local news|the world news|the bitcoin price|the price of gold|the petrol prices|
the match results|the flight times|the opening hours|the gossip|the share prices|
the trending videos|the latest game results|the road conditions|the cup final score"""
)
SHOPS = words(
    """restaurant|shop|pharmacy|supermarket|bank|library|cafe|bakery|post office|petrol station|
hotel|cinema|museum|pool|hospital|bar|pub|pizza place|bookshop|hairdresser|garage|school|
train station|bus stop|car park|gym|park|zoo|doctor|dentist|market|butcher|florist|
hardware shop|toy shop|theatre|airport"""
)
BODY = words(
    """head|tooth|back|knee|stomach|throat|foot|ear|neck|shoulder|arm|leg|hand|finger|toe|eye|
nose|chest|belly|skin|wrist|ankle|elbow|hip|tongue|jaw|tummy|thumb|heel|lip|bladder|heart|
lung|calf|gum"""
)
ILLS = words(
    """a fever|the flu|a cold|a rash|a headache|chest pain|a cough|a migraine|an infection|
a sore throat|diarrhoea|an allergy|hay fever|a toothache|back pain|a temperature|asthma|
high blood pressure|diabetes|a stomach ache|an earache|a burn|a bruise|a sprained ankle|
a runny nose|covid|food poisoning|cramps|a swollen foot|a blister|insomnia|heartburn|
a nosebleed|measles|a tick bite|sunburn|an ulcer|nausea|a wasp sting|a stiff neck|
pneumonia|eczema|a broken toe|dizziness|joint pain|chickenpox|a hangover"""
)
DRUGS = words(
    """aspirin|ibuprofen|paracetamol|antibiotics|cough syrup|painkillers|sleeping pills|insulin|
my pills|these tablets|eye drops|my medicine|vitamin D|cortisone|melatonin|
antidepressants|blood thinners|nose spray|iron tablets|allergy pills|my heart pills|
the blue pills|codeine|penicillin|a laxative"""
)
DOORS = words(
    """door|front door|back door|gate|garage door|safe|car|window|windows|cellar door|side door|
garden gate|shed door|balcony door|patio door|car door|mailbox|letterbox|doors|
all the doors|lock|padlock|door lock|main door|entrance door|house door|flat door|
driveway gate|smart lock|boot|bathroom window|skylight"""
)
CHORES = {
    "make|cook|brew|prepare|fix|get": """
a coffee|a tea|dinner|breakfast|a sandwich|lunch|coffee|tea|a cup of tea|some toast|
a hot chocolate|supper|a snack|a cocktail|a smoothie|an espresso|a bowl of soup|popcorn""",
    "clean|tidy|vacuum|sweep|mop|dust|scrub|paint|tidy up|clean up": """
the kitchen|my room|the house|the floor|the bathroom|the windows|the stairs|the garage|
the oven|the desk|the carpet|the toilet|the shelves|the cellar""",
    "wash|do|iron|dry|fold|hang up|sort": """
the dishes|the laundry|my shirts|the clothes|the sheets|the towels|the washing|
the ironing|my trousers|my socks|the curtains|the tea towels""",
    "walk|feed|brush|wash|pet|bathe": """
the dog|the cat|my dog|the rabbit|the fish|the horse|the baby|the hens|the birds""",
    "bring me|fetch|fetch me|pass me|hand me|bring": """
my keys|a glass of water|my phone|the paper|a beer|my coat|my slippers|the remote|a towel|
my glasses|a blanket|the newspaper|a pen|some water|a chair|an umbrella""",
    "mow|cut|rake|water|weed": """
the lawn|the grass|the hedge|the garden|the plants|the flowers|the leaves|the roses""",
    "peel|cut|boil|fry|chop|slice|grate|mash": """
the potatoes|the onions|the eggs|the carrots|the apples|the cheese""",
    "carry|hold|lift|move|push|pick up": """
this|my bag|the boxes|the sofa|the table|my suitcase|the shopping|the kids""",
    "take out|empty|bring out|carry out": """
the bins|the rubbish|the trash|the recycling|the dishwasher|the garbage""",
    "repair|fix|mend|build|assemble|install": """
the tap|my bike|the roof|the sink|the shelf|the fence|my car|the washing machine|
the toilet|a table|the wardrobe|my shoes|the door handle|the leak""",
    "make|change|set|clear|lay": """
the bed|the beds|the table for dinner|the table|the bedding|the bed sheets""",
    "scratch|rub|massage|tickle": """my back|my feet|my head|my shoulders|my neck""",
    "drive": """me home|me to work|the kids to school|the car|me to the station|to the shop""",
    "go": """
shopping for me|to the shop|for a walk with me|and get the post|outside|upstairs and look""",
    "find|look for|search for": """my keys|my glasses|my phone|my wallet|my shoes|my bag""",
}
CHORES = [
    "[" + verbs + "] " + thing for verbs, things in CHORES.items() for thing in words(things)
]
WRITINGS = words(
    """an essay|a letter|a speech|a song|a program|some code|an article|a report|a book|
a blog post|a summary|a cover letter|a business plan|a novel|lyrics|a script|a review|
a presentation|an advert|a python script|a website|a complaint|a wedding speech|a CV|
a job application|a shopping app|an app|a toast|a newsletter|a thesis|a love letter|
a caption|a dialogue|an invitation|a press release"""
)
TONGUES = words(
    """French|Spanish|German|Italian|Japanese|Latin|Chinese|Russian|Polish|Dutch|Swedish|Greek|
Turkish|Arabic|Hindi|Korean|Danish|Finnish|Welsh|Portuguese|Czech|Hungarian|Norwegian|
Thai|Klingon"""
)
GAMES = words(
    """a game|chess|cards|hide and seek|trivia|poker|a quiz|tic tac toe|twenty questions|hangman|
checkers|a board game|I spy|a word game|monopoly|scrabble|a guessing game"""
)
FACTS = words(
    """password|pin|bank balance|address|phone number|email address|age|birthday|job|
account number|passport number|shoe size|height|weight|blood type|salary|
credit card number|wifi password|zip code|door code|surname|licence plate|
insurance number|middle name|email password|star sign|hair colour|login|tax number"""
)
WICKED = words(
    """make a bomb|build a weapon|make poison|build a gun|make drugs|hack a phone|hack a bank|
break into a house|break into a car|steal a car|pick a lock|rob a bank|hack a computer|
crack a password|crack a safe|steal money|forge a passport|fake a signature|poison a dog|
cheat on a test|cheat in an exam|start a fire|get rid of a body|hide a body|kill somebody|
hurt someone|spy on my neighbour|hack the wifi|print fake money|steal from a shop|
make explosives|buy a gun|buy drugs|get a fake id|blackmail someone|kidnap someone|
hack an account|stalk my ex|read my wife's messages|cook meth|make a knife for fighting|
scam people|set a house on fire|get away with murder|smuggle drugs|steal a password|
track my girlfriend's phone|break a window unseen|tamper with the brakes|hurt an animal|
make a virus|avoid the police"""
)
SHARES = words(
    """stocks|bitcoin|gold|my house|silver|bonds|shares|real estate|crypto|a fund|a flat|
some land|my car|oil|dollars|an insurance|{w} shares|the {w} share|{w} stocks|{w} coin|
tech stocks|an index fund"""
)


def topic(gen):
    """Something to know about, at times a made-up word or a name."""
    kind = gen.rng.random()
    if kind < 0.65:
        return gen.pick(TOPICS)
    if kind < 0.8:
        return nonce(gen.rng)
    if kind < 0.9:
        return nonce(gen.rng) + " " + nonce(gen.rng)
    return gen.pick(COUNTRIES + CITIES)


def contact(gen):
    """Somebody to call: a relation, a trade or a name."""
    kind = gen.rng.random()
    if kind < 0.5:
        return gen.pick(FOLK)
    if kind < 0.8:
        return person(gen.rng)
    lead = gen.pick(["my friend", "Mr", "Mrs", "Doctor", "uncle", "aunt", "my colleague"])
    return lead + " " + (person(gen.rng) if gen.chance(0.6) else nonce(gen.rng).capitalize())


def goods(gen):
    """Something that people order."""
    kind = gen.rng.random()
    if kind < 0.6:
        return gen.pick(GOODS)
    if kind < 0.75:
        return gen.pick(ITEM_WORDS)
    if kind < 0.9:
        return gen.pick(["a new ", "a ", "some ", "a used ", "two "]) + nonce(gen.rng)
    return "a " + gen.pick(["new", "cheap", "red", "big", "second"]) + " " + gen.pick(
        ["phone", "lamp", "chair", "bag", "coat", "table", "bike", "keyboard", "pan", "clock"]
    )


def share(gen):
    """Something to put money into."""
    return gen.pick(SHARES).format(w=nonce(gen.rng).capitalize())


def door(gen):
    """Something with a lock."""
    if gen.chance(0.7):
        return gen.pick(DOORS)
    return gen.pick(ROOMS) + " " + gen.pick(["door", "window", "lock"])


SLOTS = {
    "country": lambda gen: gen.pick(COUNTRIES),
    "city": lambda gen: gen.pick(CITIES) if gen.chance(0.85) else nonce(gen.rng).capitalize(),
    "topic": lambda gen: topic(gen),
    "work": lambda gen: gen.pick(WORKS),
    "dish": lambda gen: gen.pick(DISHES) if gen.chance(0.85) else nonce(gen.rng),
    "skill": lambda gen: gen.pick(SKILLS),
    "goods": goods,
    "booking": lambda gen: gen.pick(BOOKINGS),
    "who": contact,
    "name": lambda gen: person(gen.rng),
    "news": lambda gen: gen.pick(NEWS),
    "shop": lambda gen: gen.pick(SHOPS),
    "part": lambda gen: gen.pick(BODY),
    "ill": lambda gen: gen.pick(ILLS),
    "drug": lambda gen: gen.pick(DRUGS),
    "door": door,
    "chore": lambda gen: gen.answer([gen.pick(CHORES)]),
    "writing": lambda gen: gen.pick(WRITINGS),
    "tongue": lambda gen: gen.pick(TONGUES),
    "game": lambda gen: gen.pick(GAMES),
    "fact": lambda gen: gen.pick(FACTS),
    "wicked": lambda gen: gen.pick(WICKED),
    "share": share,
    "room": lambda gen: gen.pick(ROOMS),
    "word": lambda gen: nonce(gen.rng),
    "word2": lambda gen: nonce(gen.rng),
    "word3": lambda gen: nonce(gen.rng),
    "Word": lambda gen: nonce(gen.rng).capitalize(),
    "n": lambda gen: number(gen.rng.randint(1, 99)),
    "day": lambda gen: gen.pick(WEEKDAYS),
}
UNKNOWN = [
    "? <whats> the [capital|population|president|currency|flag|language|king|history|area|climate|"
    "national dish|national anthem|highest mountain|biggest city|longest river|prime minister|"
    "official language|economy|time zone|geography] of {country}",
    "? where [is|lies|exactly is|in the world is] [{country}|{city}|{topic}]",
    "? [what language|which language|what languages] do [they|people] speak in {country}",
    "? how [far|big|old|deep|tall|heavy|hot|fast|long|high|cold|large|expensive|dangerous] [is|"
    "are] "
    "[{topic}|{city}|the moon|the sun|the earth|the sea|mount everest|a {word}|{country}]",
    "? [who|what person] [wrote|painted|invented|discovered|made|built|created|came up with|"
    "thought of|was behind] [{work}|{work}|{topic}|the {word}]",
    "? [who|what] [is|was|were] [{name} {Word}|the president|the first man on the moon|"
    "the king of {country}|the queen of {country}|the inventor of {work}|{name} the great|"
    "the author of {work}|the leader of {country}|the richest man|the president of {country}]",
    "<do> [tell <us>|teach <us>|inform <us>] [about|more about|something about|everything about|"
    "all about|a bit about|a fact about|facts about|the story of|the history of] "
    "[{topic}|{topic}|{country}|{city}|{work}|{name} {Word}]",
    "<do> [explain|describe|define|lecture me on|enlighten me on|give me a lesson on|"
    "help me understand] [{topic}|{country}|what {topic} is|how {topic} works|the {word}] "
    "[to me|to us|simply|briefly|]",
    "? [what|how much] do you know about [{topic}|{country}|{city}|{name} {Word}|{work}|{word}]",
    "? what [can you tell me|should I know|do people say|is there to know|is known] about "
    "[{topic}|{country}|{city}|{work}]",
    "? what [is|are|was|were] [{topic}|{topic}|a {word}|the {word}|an atom|{topic} made of|"
    "{topic} used for|{topic} good for|{topic} called in science]",
    "? <whats> [a|the|this] {word}",
    "? <whats> the [meaning|definition|origin|purpose|cause|point|idea|price|colour|name|size|age|"
    "speed|weight|importance] of [{word}|life|{topic}|{topic}|{work}|the {word}]",
    "? what does [{word}|{topic}|the word {word}|{Word}] [mean|stand for|do|look like|cost|eat]",
    "? how [do you|does one|do I] [spell|pronounce|write the word] {word}",
    "? why [is the sky blue|is grass green|is the sea salty|is snow white|is {topic} important|"
    "is the sun hot|is water wet|does {topic} exist|is {topic} famous|did {topic} end|"
    "is {country} so big|is {city} famous|is {topic} interesting|does the moon shine|do we have "
    "{topic}]",
    "? why do [we dream|cats purr|birds sing|stars shine|leaves fall|people lie|dogs bark|we sleep|"
    "bees die|planes fly|onions make me cry|zebras have stripes|we yawn|fish swim|people like "
    "{topic}|"
    "we need {topic}|ships float|magnets stick|rivers flow|volcanoes erupt|cats hate water]",
    "? <how> [{skill}|{skill}|cook {dish}|make {dish}|bake {dish}|understand {topic}|{skill} "
    "quickly]",
    "[help me|I want to|I need to know how to|I'd like to know how to|explain how to|"
    "I'm trying to learn how to] [{skill}|{skill}|cook {dish}|make {dish}|bake {dish}]",
    "? [<whats>|give me|do you have|I need|tell me|I want|have you got|do you know] "
    "[a|the|your|a good|an easy] recipe for {dish}",
    "? how [does|do] [{topic}|a {word}|a fridge|a car|a plane|a computer|the internet|a radio|"
    "magnets|"
    "batteries|vaccines|an engine|a telescope] [work|function|come about|begin|look]",
    "? when [did {topic} start|did {topic} end|did the {word} happen|will {topic} begin|"
    "was {name} {Word} born|did {name} {Word} die|was {work} invented|was {work} written|"
    "was {work} made|was {country} founded]",
    "? [in which year|in what year|in what century] [was {work} written|was {work} invented|"
    "did {topic} begin|did {topic} end|did {name} {Word} die|was {city} founded]",
    "? [where|when] [was {name} {Word} born|did {name} {Word} die|did {name} {Word} live]",
    "? how many [people live in {city}|people live in {country}|planets are there|stars are there|"
    "legs does a spider have|countries are there|bones do we have|days are in a year|{word}s are "
    "there|"
    "teeth does a shark have|miles are in a kilometre|grams are in a pound|languages are there|"
    "people are in the world|metres are in a mile|cups are in a litre|states are there|words are "
    "there]",
    "? [which|what|<whats>] [is|] the [biggest|largest|smallest|tallest|fastest|oldest|longest|"
    "deepest|"
    "rarest|strongest|most dangerous|most beautiful|highest|most famous] [animal|river|mountain|"
    "city|"
    "country|planet|building|tree|fish|bird|ocean|desert|bridge|language|dog|insect|star] [in "
    "the world|"
    "on earth|ever|in {country}|]",
    "? is [{topic}|{topic}|{word}|{country}|{city}] [good|bad|dangerous|real|true|expensive|"
    "healthy|worth it|old|safe|overrated|beautiful|important|a country|an animal]",
    "? [do you know|have you heard of|are you familiar with|do you know anything about|"
    "have you heard about|do you understand] [{topic}|{topic}|{country}|{work}|{name} {Word}]",
    "? who [won|wins|will win] [the world cup|the election|the olympics|the match|the war|"
    "the football|the race|last night|the battle of {Word}|the nobel prize|the {word} cup]",
    "? what [colour|color|shape|size] [is|are] [{topic}|a {word}|a polar bear|an apple|the sun|a "
    "zebra]",
    "[I've always wondered|I wonder|I want to know|I'd like to know|I'm curious|I'd love to learn] "
    "[about {topic}|what {topic} is|how {topic} works|why {topic} exists|who made {work}|where "
    "{city} is]",
    "<do> give me [some|a few|the] [facts|information|details|background|trivia|knowledge] "
    "[about|on] [{topic}|{country}|{city}|{work}]",
    "<do> fill me in on [{topic}|{work}|{country}]",
    "[quiz question|trivia|a question|question|here's one|science question|history question|"
    "a school question]: [who came up with {work}|what is {topic}|where is {country}|"
    "who made {work}|how old is {topic}|what is the capital of {country}]",
    "? <whats> the difference between [{topic} and {word}|cats and dogs|{country} and {city}|"
    "{topic} and magic|a {word} and a {word2}|butter and margarine]",
    "? what happened [in {city}|in {country}|to {name} {Word}|to the dinosaurs|in the year {n}|"
    "during the {Word} war|to {topic}|at {Word}]",
    "? what [animal|country|planet|city|food|plant|metal] [is|has] "
    "[the biggest|the most {word}|the fastest|called {Word}|the smallest|the best]",
    "[the capital of|the history of|the population of|the meaning of] [{country}|{country}|{word}]",
    "? does [{topic}|{country}|god|{word}|life on mars|a {word}] [exist|matter|have a king|get "
    "cold]",
]
REFUSALS = {
    "call": (
        [
            "<do> [call|phone|ring|dial|text|message|email|contact|video call|ring up|call up|"
            "write to|"
            "reach|notify|ping|get hold of|get in touch with|facetime|mail|skype|whatsapp|call "
            "back|"
            "inform|give a call to|place a call to|forward this to|speak to|talk to] {who} "
            "[|||for me|now|again|at work|right away|back|on my phone]",
            "<do> [send|write|shoot|text|compose|drop|type] [a|an|another|this|a quick|the] "
            "[email|message|text|text message|letter|photo|note|mail|sms|voice message|picture|"
            "postcard|fax|reply|line] to [{who}|{who}|{who}|{who} that I'm late]",
            "<do> [send|text|mail|message|email|forward] {who} [a|the|my|this|our] [message|"
            "photo|email|"
            "picture|address|text|note|letter|invitation|file|video|location|kiss|emoji|link]",
            "<do> [read|check|open|show|delete|answer|read out|go through|sort] [my|our|the|all "
            "my] "
            "[emails|messages|mail|texts|inbox|email|mailbox|voicemail|new messages|last email|"
            "chats]",
            "<do> [make|place|start|join|set up|answer|take|end] [a|the|that|my] [phone call|call|"
            "video call|conference call|zoom call|video meeting|video chat] [|with {who}|to "
            "{who}|for me]",
            "<do> [answer|pick up] the [phone|telephone|call]",
            "<do> [get|put|connect me to|patch me through to|put me through to] {who} "
            "[on the line|on speaker|on the phone|please|]",
            "<do> let {who} know [I'm late|dinner is ready|I miss you|I'll be there soon|I'm on "
            "my way|"
            "that I'm ill|I can't come|about tomorrow|where I am|we are coming|I'm at home]",
            "<do> tell {who} [I'm late|dinner is ready|to come home|I love you|I'm on my way|to "
            "call me|"
            "that I'm ill|to hurry up|I can't come|about the party|to bring wine|I said hello|to "
            "wait]",
            "<do> leave {who} a [message|voicemail|note|voice message]",
            "<do> write {who} [an email|a message|a text|a letter]",
            "? [do I have|have I got|are there|did I get] [any|any new|new|unread|] "
            "[messages|emails|mail|calls|missed calls|texts|voicemails]",
            "? has {who} [called|written|texted|replied|answered|left a message|called back]",
            "? did {who} [call|write|text|reply|answer|leave a message|call back]",
            "[I want to|I need to|I'd like to|I have to|we should] [call|phone|talk to|text|email|"
            "message|ring|speak to] {who} [now|right now|on the phone|]",
            "? [can|could] [I|you] [make calls|make a call|send emails|send messages|call people|"
            "send a text|phone somebody|use the phone]",
            "<do> [post|share|tweet|upload] [this|a photo|my picture|something] "
            "[to my friends|for {who}|to {who}|for me]",
        ],
        "Sorry, I can't make calls or send messages.",
        "can't make calls",
    ),
    "order": (
        [
            "<do> [order|order me|order us|deliver|get someone to deliver|reorder|preorder] "
            "{goods} "
            "[|online|for tonight|for dinner|for me|for us|again|to my house|for delivery|now|"
            "for {day}]",
            "<do> [buy|buy me|get me|find me] {goods} [online|on the internet|from the web shop|"
            "with my card|with one click|on the website|from an online shop]",
            "<do> [book|reserve|book me|get me|organise|arrange] {booking} "
            "[|||for {day}|for tonight|for me|in {city}|to {city}|for us|for two|near {city}|for "
            "{name}]",
            "<do> [call me|get me|order|order me|send me|send for|hail] [a taxi|a cab|an uber|a "
            "car|"
            "a limousine|a driver] [|to {city}|to the airport|home|to the station|for {day}|now]",
            "<do> pay [for it|with my card|my bill|the bill online|my rent online|{name} back|"
            "for the {goods}|for my parking|{name} online|for everything|the invoice|my taxes "
            "online]",
            "<do> [send|transfer|wire|lend|give] [money|ten pounds|{n} pounds|{n} dollars|some "
            "cash|"
            "{n} euros|a payment] to [{who}|{name}|my bank|my savings|charity]",
            "<do> [transfer money|top up my phone|cancel my subscription|renew my subscription|"
            "return my order|track my order|track my parcel|cancel my order|make a payment|"
            "open a bank account|check out my basket|put it in my basket|subscribe to a magazine]",
            "<do> [have|get] {goods} [sent|brought|delivered|shipped] [to us|here|home|to {name}|"
            "to my door|to the office|by tonight|to my house|by {day}]",
            "<do> [find|get] me a [room|cheap flight|holiday|table|hotel|train|bus|deal|ticket] "
            "[in {city}|to {city}|for {city}]",
            "<want> to [book|reserve|rent] {booking} [|in {city}|to {city}|for {day}|for tonight]",
            "[I want|I'd like|we want|I need|I would like|we'd like|let me] to order {goods} "
            "[|for tonight|online|now|please|for {name}]",
            "[let's|let us|we should|shall we] [order|order in|book|reserve] [{goods}|{booking}]",
            "? [can|could|may] [I|we|you] [order|buy|book|pay for] [{goods}|something|things|"
            "{booking}] "
            "[through you|with you|from you|online|here]",
            "? where is my [order|parcel|package|delivery]",
        ],
        "Sorry, I can't order, book or pay for things.",
        "can't order",
    ),
    "news": (
        [
            "? [what's|what is|what are|tell me|read me|give me|show me|read|check|look up|find|"
            "get|"
            "any news on|do you know|can you check|can you get|pull up|bring up|I want to hear|"
            "I'd like to hear|let me hear|update me on] {news} "
            "[|||today|now|please|from {country}|in {city}|for me]",
            "? <whats> [new|new in the world|in the news|happening in the world|new today|"
            "going on in the world|the latest|happening in {country}|happening in {city}|trending|"
            "on the news|in the papers|the news from {country}|on at the cinema]",
            "[news|news please|news today|headlines|the news|headlines please|sports news|"
            "latest news|breaking news|any news|any news today|news update|todays headlines]",
            "? [how's|how is|what about] the traffic [today|to {city}|in {city}|on the motorway|]",
            "<do> [search|look|check|browse|surf|search on|look on] [the web|the internet|online|"
            "google|"
            "wikipedia|the net] [for|about|and find] [{topic}|{shop}s|{city}|{dish}|{name} {Word}]",
            "<do> [google|search for|look up|search|do a search for|find information on|"
            "do a web search for|run a search for|find a website about|search up|bing|"
            "find out online about|download|stream|find a picture of|find a video about] "
            "[{topic}|{topic}|{name} {Word}|{word}|{city}|{country}|{dish}|{work}]",
            "? [what's|what is] on [TV|the telly|television|the TV|channel {n}|netflix|the cinema] "
            "[tonight|today|now|on {day}|]",
            "? [when|what time] [is|does] the [next|first|last] [bus|train|flight|tram|ferry] "
            "[leave|go|come|to {city}|from {city}|arrive|home|]",
            "? [how do I get|how far is it|what's the way|which way is it|how long is the drive|"
            "what's the fastest way|how do we get|show me the way|take me|navigate|directions|"
            "give me directions|the route|find the way] to [{city}|{city}|the {shop}|the nearest "
            "{shop}]",
            "<do> [find|find me|show me|recommend|suggest|look for] a [good|cheap|nice|nearby|] "
            "{shop} "
            "[near me|nearby|around here|in {city}|close by|in town]",
            "? where is [the nearest|the next|the best|the closest|a good] {shop} [in {city}|"
            "from here|]",
            "? [are the shops|is the {shop}] [open|closed|still open|open today|open on {day}]",
            "? [when|what time|until when] [does|is] the {shop} [open|close|open on {day}|open "
            "today|closed]",
            "<do> [open|show|go to|visit|launch|start|load] [the web|a website|youtube|the "
            "internet|"
            "facebook|google|instagram|the browser|my homepage|wikipedia|twitter|netflix|the app "
            "store]",
            "? [what's|what is|is anything|anything|is something] [happening|going on] "
            "[in the world|in the city|in {country}|in town|out in the world|in {city}]",
            "? [how did|did] [the {Word} team|{country}|{city}|the {Word} club] [play|win|lose] "
            "[today|last night|yesterday|on {day}]",
            "? how much [is|does|are|do] [a flight to {city}|{goods} cost|a hotel in {city}|"
            "{share}] "
            "[today|now|online|at the moment]",
        ],
        "Sorry, I'm not on the internet, so I can't look that up.",
        "can't look that up",
    ),
    "doctor": (
        [
            "my {part} [hurts|aches|is sore|itches|is swollen|is red|is bleeding a bit|is "
            "killing me|"
            "feels numb|is burning|is stiff|is infected|looks strange|hurts a lot|is itchy|"
            "won't stop hurting|has been hurting|is throbbing|feels funny|hurts when I move] "
            "[|||today|again|since {day}|a lot|badly]",
            "[I have|I've got|I think I have|I may have|I woke up with|my son has|my daughter has|"
            "my wife has|I'm getting|I caught|I suffer from|the baby has|my dog has|I get] {ill} "
            "[|||again|today|since {day}|, what now|, what can I do|and feel bad]",
            "I have [pain|a pain|an ache|a strange feeling|a lump|a swelling|a spot|a wound|an "
            "itch|"
            "a tingling|a cramp] in my {part}",
            "? [what|which] [medicine|pills|tablets|drugs|remedy|cream|painkiller] "
            "[should I take|can I take|helps|is good|do I need|would you recommend|is best] "
            "[for {ill}|against {ill}|for my {part}|for pain|against pain]",
            "? [am I|is he|is she|are we] [sick|ill|pregnant|contagious|dying|healthy|overweight|"
            "having a heart attack|allergic to {word}|too fat|getting ill]",
            "? [how much|how many|how much of] {drug} [can|should|may] I take [a day|now|today|]",
            "? how [often|long] [can|should|may] I take {drug}",
            "? [is it safe|is it okay|is it dangerous|am I allowed] to [take|mix|swallow|combine|"
            "stop] "
            "{drug} [|with alcohol|and wine|with {drug}|while pregnant|every day|with food]",
            "? [can|should|may] I [take|mix|swallow|combine|stop|double|give my child] {drug} "
            "[|with alcohol|with wine|every day|for {ill}|for my {part}|tonight|before bed]",
            "? [what helps|what do I do|what can I do|what's good|what is good|what should I do|"
            "do you know a cure|what do you advise|what would you take] [against|for|about] {ill}",
            "? how do I [treat|cure|get rid of|heal|recognise|prevent|stop] [{ill}|my {ill}|a "
            "sore {part}]",
            "? should I [see a doctor|go to the doctor|go to hospital|see a dentist|get vaccinated|"
            "worry about my {part}|worry about {ill}|worry about my health|have surgery]",
            "<do> [diagnose me|diagnose my {part}|examine me|give me medical advice|look at my "
            "{part}|"
            "check my {part}|check my health|be my doctor|take my temperature|check my blood "
            "pressure]",
            "I [feel|am feeling|feel so|am] <very> [sick|ill|dizzy|unwell|feverish|faint|"
            "nauseous|queasy|"
            "under the weather|sick to my stomach|not well|weak and ill] <today>",
            "I [cut|burned|hurt|broke|twisted|bruised|sprained|injured|burnt|scratched|strained|"
            "hit] "
            "my {part} [|||today|again|badly, what now|a little|on the stove|playing football]",
            "? what [could|does|might|can] [{ill}|a red {part}|a sore {part}|this rash|a swollen "
            "{part}] "
            "[mean|be|come from|be caused by]",
            "[I keep|I am|I can't stop] [coughing|sneezing|throwing up|vomiting|itching|"
            "scratching]",
            "? is [{ill}|my {part} pain|a swollen {part}|this rash] [dangerous|serious|"
            "contagious|normal]",
        ],
        "I can't give medical advice. Please ask a doctor or a pharmacist.",
        "doctor",
    ),
    "emergency": (
        [
            "[help|help,|quick,|oh no,|hurry,|] [there's|there is] [a fire|smoke|a gas leak|a "
            "burglar|"
            "an intruder|a flood|an accident|a thief|somebody breaking in|an explosion|flames] "
            "[|||in the {room}|in my house|in the house|here|at the door|outside|everywhere]",
            "<do> [call|phone|get|alert|send|ring|dial|contact|notify] [an ambulance|the police|"
            "the fire brigade|911|112|999|the fire department|the emergency services|the ambulance|"
            "a rescue team|the firemen|the cops|help at once|for help|emergency|the coast guard] "
            "[|||now|quickly|right now|fast|immediately|at once]",
            "[my|the|our|her|his] [house|{room}|oven|bed|car|roof|kitchen|flat|sofa|garage|"
            "christmas tree|stove|curtain|neighbour's house] [is on fire|is burning|caught fire|"
            "is in flames|is full of smoke|is flooded|is filling with gas|went up in flames]",
            "[someone|somebody|a burglar|a stranger|a man|a thief|an intruder|a robber] "
            "[is in my house|is breaking in|is at the window|broke in|is in the {room}|"
            "is trying to get in|has a gun|has a knife|is attacking me|is following me|is "
            "robbing us]",
            "[it's|this is|we have|I have|there's] an [|absolute|urgent] emergency",
            "[somebody|he|she|my mum|my husband|my wife|grandpa|the baby|my son|a child|my friend|"
            "the old man|my neighbour|someone] [collapsed|is not breathing|fainted|is bleeding "
            "badly|"
            "is unconscious|has a heart attack|is choking|stopped breathing|is having a stroke|"
            "fell down the stairs|can't breathe|won't wake up|was hit by a car|is drowning|"
            "swallowed poison|had an accident|is dying|is having a seizure]",
            "[I|we] [smell|can smell|see] [gas|smoke|fire|something burning|flames] "
            "[|in the {room}|in the house|everywhere]",
            "[smoke|flames|water|gas|fire] [is everywhere|comes out of the wall|is in the {room}|"
            "is coming from the {room}|is coming from the oven|is filling the {room}|"
            "is coming from everywhere|is spreading]",
            "[everything is burning|I can't breathe|I'm having a heart attack|save me|I'm "
            "bleeding a lot|"
            "somebody help|I've been robbed|fire|help fire|we are trapped|I'm trapped|mayday|sos|"
            "I've been shot|I've been stabbed|I was attacked|we had a car crash|I'm choking|"
            "there's been an accident|I think I'm dying, call someone|it's burning|help police]",
            "[I need|we need|send] [an ambulance|the police|the fire brigade|a rescue|firemen] "
            "[|now|right now|quickly|here]",
        ],
        "I can't call for help. Please phone the emergency number right away.",
        "emergency number",
    ),
    "harm": (
        [
            "? <how> [{wicked}|{wicked}|{wicked}|{wicked} without being caught]",
            "<do> [help me|teach me how to|teach me to|show me how to|tell me how to|explain how "
            "to|"
            "give me instructions to|give me a plan to|write a guide to] {wicked}",
            "[I want to|I'm going to|I need to|let's|I'd like to|we should|I plan to|I will] "
            "[{wicked}|hurt {who}|kill {name}|poison {who}|punish {name}|scare {who}|"
            "beat up {name}|attack {who}|rob {name}|get back at {name}|spy on {who}|destroy "
            "{name}]",
            "? [how do I|how can I|help me|how to|<do>] [hurt|poison|kill|steal from|spy on|"
            "blackmail|"
            "threaten|humiliate|trick|rob|stalk|injure|ruin|bully|insult|track|frame|harm] "
            "[{name}|{who}|someone|somebody|a person|a stranger]",
            "[I want|I need] [revenge on|to take revenge on|to get even with|to harm] [{name}|"
            "{who}]",
            "<do> [crack|hack|break into|steal] [a safe|the wifi|{name}'s account|a password|"
            "{name}'s phone|the neighbour's wifi|{name}'s computer|a bank account|{name}'s house|"
            "someone's email|a stranger's car]",
            "? [where|how] can I [buy|get|find|order] [drugs|a gun|weapons|explosives|stolen goods|"
            "cocaine|poison|a fake id|heroin|ammunition|illegal fireworks]",
            "? [what|which] [poison|weapon|drug|gun] [is the best|kills fastest|can't be traced|"
            "works best|should I use|is deadly]",
            "<do> [insult|bully|threaten|curse|mock|make fun of] [{name}|{who}]",
        ],
        "I can't help with that. Let's stay with friendly things.",
        "can't help with that",
    ),
    "self": (
        [
            "I [want to|wish I could|am going to|will|need to|plan to|would like to|just want to] "
            "[die|hurt myself|kill myself|end it all|end my life|be dead|cut myself|jump off a "
            "bridge|"
            "disappear for ever|take my own life|harm myself|not wake up any more|do myself in|"
            "commit suicide|stop living|stop existing] [|||now|today|tonight|some day]",
            "I [don't want to|no longer want to|can't] [live|be alive|go on living|exist|"
            "live like this|go on|be here|keep living] [any more|anymore|any longer|]",
            "I [think about|am thinking about|keep thinking about|dream of|thought about|"
            "considered] "
            "[suicide|killing myself|ending it|dying|hurting myself|ending my life|death all the "
            "time]",
            "[nobody|no one] would [miss me|care if I died|notice if I was gone|miss me if I died|"
            "be sad if I was dead]",
            "[life|my life|everything|living] [has no|makes no|no longer has any|has lost its] "
            "[sense|meaning|point|purpose] [|any more|for me|to me]",
            "[there is|there's|I see|I have] no [reason|point|use|sense] [in living|to live|to "
            "go on|"
            "to live any more|in going on|in being alive|left to live|in life]",
            "[I wish I was|I'd rather be|I would be better off|everyone would be better off with "
            "me|"
            "it would be better if I were] [dead|not alive|never born|gone for good]",
            "[I feel suicidal|I am suicidal|life isn't worth living|my life is worthless|"
            "I hate being alive|I'm done with life|I'm better off dead|I want it all to be over|"
            "I give up on life|I hate my life|my life is over|I want to sleep and never wake up]",
            "? [should I|why not|why shouldn't I|how can I|how do I] [kill myself|end my life|die|"
            "end it all|hurt myself]",
        ],
        "I'm so sorry you feel that way. Please talk to someone you trust or a helpline now.",
        "helpline",
    ),
    "lock": (
        [
            "<do> [unlock|lock|open|open up|lock up|close and lock|bolt|unbolt|double lock|secure|"
            "shut and lock] the {door} [|||for me|for {name}|now|again|to the house|downstairs]",
            "<do> [let|buzz|allow] [{name}|him|her|them|me|us|the postman|the dog|the cat|my "
            "friend|"
            "the cleaner|the kids] [in|inside|into the house|into the {room}|through the gate]",
            "? is the {door} [locked|unlocked|open|shut|closed|locked up|properly locked]",
            "? did [I|we|you|{name}] [lock|close|forget to lock|leave open|shut|unlock] the {door}",
            "<do> [disarm|switch off|turn off|disable|arm|activate|deactivate|turn on|switch on|"
            "set] the "
            "[alarm system|burglar alarm|security system|house alarm|intruder alarm|motion sensor]",
            "<do> [show|open|check|look at|watch|turn on|view|play] the [camera|security camera|"
            "cameras|doorbell camera|video of the door|camera in the {room}|{room} camera|baby cam|"
            "footage|webcam|camera feed|security footage]",
            "? who [is|was|came|rang|knocked|just rang|stands|is standing] [at the door|at the "
            "gate|"
            "to the door|outside|at the window|the doorbell|there at the door|the bell|in front "
            "of the house]",
            "[who|someone|somebody|did anyone|did someone] [rang|ring|just rang] the [bell|"
            "doorbell]",
            "? [is|was] there [someone|anyone|anybody|somebody|a man|a car|an animal] "
            "[outside|at the door|in the garden|at the gate|in the {room}|in front of the house]",
            "? did the [doorbell|bell] ring",
            "<do> [answer|get|check] the [door|doorbell|front door|intercom]",
            "? [what|who] [do|can] you see [|in the {room}|outside|right now|through the window]",
            "? can you see [me|us|the {room}|anything|my face|what I'm doing|who is there|the "
            "garden|"
            "the street|my dog|what I'm wearing|the baby|this]",
            "<do> [look at|watch|take a photo of|film|keep an eye on|take a picture of|monitor|"
            "guard] "
            "[this|me|the {room}|the baby|the house|the garden|the dog|the door|my outfit|us|the "
            "kids]",
            "? [what am I wearing|what am I holding|how do I look|do I look good|how many "
            "fingers am I holding up]",
            "? [is|are] [the baby|the dog|the cat|{name}|the kids|someone|my parcel] "
            "[in the {room}|asleep|at home|home yet|outside|in the garden]",
            "? what's the [door code|code for the {door}|key for the {door}]",
        ],
        "Sorry, I have no cameras, and I leave doors and locks to you.",
        "no cameras",
    ),
    "money": (
        [
            "? [should|can|shall] [I|we] [buy|sell|invest in|put money into|keep|trade|hold on to|"
            "put my savings into] {share} [|now|today|this year]",
            "? how [should|do|can|would] [I|we] invest [my money|{n} pounds|my savings|in {share}|"
            "for my pension|an inheritance|{n} thousand dollars|my salary|wisely]",
            "? [can|should|how do|how can|may] I [sue|divorce|evict|take to court|press charges "
            "against|"
            "report] [{name}|my landlord|my boss|my neighbour|{who}|my tenant|the company|my ex]",
            "? [is it legal|is it illegal|am I allowed|is it allowed|is it against the law] to "
            "{skill} "
            "[|at night|in {country}|without a licence|at work|on a sunday|in public]",
            "<do> [write|check|review|draft|sign|read|explain] my [will|contract|tax return|lease|"
            "divorce papers|employment contract|rental contract|mortgage|insurance policy]",
            "<do> [do|file|calculate|check] my [taxes|tax|tax return|tax declaration]",
            "? how much [tax|income tax|alimony|pension|interest] [do I pay|do I owe|will I get|"
            "must I pay|should I pay|is due]",
            "? is {share} a [good|bad|safe|smart] [idea|investment|buy|choice]",
            "? [which|what] [shares|stocks|funds|coins|bonds|companies] [should I buy|are good|"
            "go up|"
            "will make me rich|are safe|will rise|do you recommend|pay the most]",
            "<do> [make me rich|help me get rich|help me save tax|help me with my taxes|"
            "give me legal advice|give me financial advice|be my lawyer|help me with a lawsuit|"
            "help me with my mortgage|help me sue {name}|advise me on {share}|get me a loan|"
            "manage my money|help me with my divorce|help me invest]",
            "? will {share} [rise|fall|go up|go down|crash|be worth more|make me rich]",
            "? what are my rights [as a tenant|at work|as a father|after a divorce|if I'm fired|"
            "here|]",
            "? [should|can] I [get|take] [a loan|a mortgage|a credit card|a divorce|a lawyer|an "
            "insurance]",
            "? [do I need|should I hire] a [lawyer|notary|tax adviser|solicitor|permit|licence] "
            "[|for this|to {skill}]",
            "? how do I [get rich|make money|save tax|avoid tax|get out of debt|write a will|get "
            "a patent|"
            "get a divorce|fight a parking ticket|earn more money|make a fortune]",
        ],
        "I can't give legal or money advice. Please ask an expert.",
        "expert",
    ),
    "write": (
        [
            "<do> [write|compose|draft|create|make|prepare|produce|generate|type up|finish|"
            "improve] "
            "[|me|us] {writing} [|||about {topic}|for {name}|for school|for work|about my job|on "
            "{topic}]",
            "<do> translate [{word}|good morning|this|thank you|hello|my letter|a sentence|the "
            "menu|"
            "this text|goodbye|I love you|a word|the word {word}] [to|into|from] {tongue}",
            "? [how do you|how do I|how would you|can you] say [{word}|hello|thank you|good night|"
            "I love you|goodbye|cheers|good morning|please|dog|water|yes] in {tongue}",
            "? what's [hello|the word for {word}|thank you|good night|cheese|love|cat|bread] in "
            "{tongue}",
            "? [do you|can you|do you also|could you] [speak|understand|talk|write|answer in|"
            "read] {tongue}",
            "<do> [speak|talk|answer|reply|talk to me|switch] [in|to|] {tongue}",
            "<do> [do|help me with|check|correct|solve|finish] my [homework|essay|maths homework|"
            "assignment|thesis|exam|spelling|grammar|coursework|school project|history homework]",
            "<do> [summarise|summarize|proofread|edit|shorten|rewrite|correct|paraphrase|review|"
            "improve] "
            "[this|the book|my text|my notes|this article|the story|my letter|the news|{work}|my "
            "essay|"
            "this paragraph|my report|my speech]",
            "<do> [write|fix|debug|explain|check|run|test|review] [code|a script|my program|some "
            "python|"
            "this code|a function|some javascript|a bug|an algorithm|my website|a query|a loop "
            "in C]",
            "<do> [turn|change|convert|make|transform] [this|my notes|my text|my letter|my idea] "
            "into "
            "[a letter|a summary|better English|an essay|a report|bullet points|a table|{writing}]",
            "<do> [draw|paint|sketch|design|generate] <me> [a picture|a cat|a house|a horse|a logo|"
            "an image|a portrait|a map|a picture of {topic}|a poster|a {word}|an image of "
            "{topic}|a flower]",
            "<do> [play|start|have|try] {game} [with me|with us|against me|together]",
            "[let's play|can we play|I want to play|shall we play|do you want to play|"
            "we could play] {game} [|together|now|with you]",
            "<do> [plan|organise|prepare] [a party|my wedding|a trip to {city}|my week|a holiday|"
            "my holiday in {city}|a birthday party|a workout|a diet|a meal plan|my day|my life]",
            "<do> [solve this equation|do my maths exam|prove a theorem|integrate this function|"
            "analyse this data|make a spreadsheet|read this document|open this file|"
            "make a business plan|learn {tongue} with me|teach me {tongue}|have a debate about "
            "{topic}]",
            "? what languages [do you speak|do you know|can you speak]",
        ],
        "Sorry, that's too much for a small model like me.",
        "too much for a small model",
    ),
    "chores": (
        [
            "<do> {chore} [|||please|for me|for us|now|today|, will you]",
            "[I need you to|I'd like you to|somebody has to|someone must|it's your turn to|you "
            "should|"
            "you could|I want you to|be a dear and|be so kind and|would you mind to|hurry up "
            "and] {chore}",
            "? [can|could|will|would] you [also|maybe|quickly|please|kindly|] {chore} [for me|"
            "for us|today|]",
            "? where [are|is|did I put|have I put|did I leave] my [keys|glasses|socks|shoes|"
            "wallet|phone|"
            "bag|remote|hat|gloves|ring|watch|passport|headphones|umbrella|charger|book|jacket|"
            "{word}]",
            "I [can't find|lost|have lost|misplaced] my [keys|glasses|socks|shoes|phone|gloves|"
            "remote|hat]",
            "[give me|I need|can I get|I want] [a hug|a massage|a back rub|a kiss|a foot massage|"
            "a cuddle]",
            "<do> [hug me|hold me|kiss me|carry me|drive me home|help me lift this|scratch me|"
            "give me a hug|shake my hand|give me five|massage me|dress me|do the cooking|"
            "do the cleaning|do the shopping|do the dishes|do the housework|do the hoovering]",
            "? who [will|can|is going to] {chore}",
        ],
        "I'd love to, but I have no hands. That one is up to you.",
        "no hands",
    ),
    "secret": (
        [
            "? <whats> [my|my|{name}'s|my wife's|my husband's|my boss's|my own] {fact} [|again|"
            "please]",
            "? [do you know|tell me|can you tell me|remember|what was|do you remember|find out|"
            "guess|"
            "look up|have you saved|say|I forgot|I've forgotten|I can't remember] "
            "[my|my|{name}'s|my wife's|my neighbour's] {fact}",
            "[remember|save|store|note|keep|memorise|don't forget] my {fact} [|, it's {word}|for "
            "me|please]",
            "? [how old am I|where do I live|where do I work|when was I born|how tall am I|what "
            "do I do|"
            "how much do I weigh|how much money do I have|where was I born|am I married|who is "
            "my boss|"
            "do I have children|what do I look like|where am I|what's my favourite colour|where "
            "am I now|"
            "who are my friends|what do I like|what car do I drive|what did I dream|where did I "
            "park]",
            "? [how old is|where is|what's wrong with] [{name}|my sister|my brother|my wife|my "
            "dad] [|now|today]",
            "? [where|what] does [{name}|my sister|my brother|my dad] [live|work|do|want] [|now|"
            "these days]",
            "? [when|what time] [does|did|will] [{name}|my wife|my husband|the postman|dad|mum] "
            "[come home|call|arrive|come|get back|leave|come back|get up]",
            "? when is [{name}|my wife|my husband|the postman|mum] [coming|back|here|due]",
            "? when is [my|{name}'s|my wife's|my mum's|our] [birthday|anniversary|wedding|name "
            "day]",
            "? what did [I|{name}|my wife|we] [eat|do|have|say|buy|watch|wear|cook] "
            "[yesterday|on {day}|last week|last night|last year|this morning|last summer]",
            "? [do I have|have I got|are there] [an appointment|a meeting|any appointments|"
            "anything planned|"
            "any meetings|plans|a date|something on] [today|on {day}|this week|this afternoon|"
            "tonight|]",
            "? [what's|what is] [on my calendar|in my diary|on my schedule|planned|my schedule|"
            "my plan|on my agenda|my next appointment|my next meeting] [today|on {day}|this week|]",
            "? what are my [plans|appointments|meetings] [today|on {day}|this week|tonight|]",
            "<do> [put|add|enter|note] [a meeting|an appointment|{name}'s birthday|my holiday|"
            "lunch] "
            "[in|into|to|on] my [calendar|diary|schedule]",
            "? does [{name}|she|he|my boss|my neighbour|anyone] [like me|love me|know me|hate me|"
            "trust me|"
            "miss me|have a girlfriend|talk about me]",
            "<do> tell me [a secret|{name}'s number|my future|my fortune|the future|what I'm "
            "thinking|"
            "what {name} said|who likes me|the lottery numbers for {day}|what happens tomorrow]",
        ],
        "I don't have that kind of information about you or anyone else.",
        "don't have that kind of information",
    ),
    "gibberish": (
        [
            "{word} {word2} {word3}",
            "{word} {word2}",
            "{word} {word2} {word3} {word} {word2}",
            "[asdf|qwer|blah blah|hmm|uh|um|asdfgh|la la la|bla bla bla|xyz|???|...|test|testing|"
            "huh|"
            "what|eh|er|abc|qwerty|hm|mm|blub|jkl|test test|one two test|aaaa|zzz|gaga|what?|"
            "pardon?|"
            "ehm|ahem|tralala|lorem ipsum|la la|blabla|hjkl|sdf|dfgh|foo bar|foo|x|??|!!!|-]",
            "[{word}|{word2}] the {word2} [to|of|in|with|and|under] [{word3}|the {word3}]",
            "[the|a|my|your] {word} [|{word2}|{word2} the {word3}]",
            "{word2} [me|you|it|us] the {word}",
            "{word3} {word} {word3} {word2}",
            "[if|because|and then|but|when|or|while|although] [the|a|] {word} [{word2}|{word2} "
            "{word3}]",
            "[over|under|green|seven|very|almost|yesterday] [the|a|] {word} [{word2}|is {word2}|"
            "{word3}]",
            "[I|you|we|they|he] {word} [the|a|your|to] {word2} [|{word3}]",
            "{word} [is|was|are|has] {word2} [|{word3}]",
        ],
        "Sorry, I didn't understand that. Could you say it another way?",
        "didn't understand",
    ),
}
DONT_KNOW = "Sorry, I don't know about that. I'm only a small household assistant."
FRAMED = {kind: frames(templates) for kind, (templates, _, _) in REFUSALS.items()}
FRAMED["gibberish"] = REFUSALS["gibberish"][0]
FRAMED["unknown"] = frames(UNKNOWN)
USED = {
    kind: [slot for slot in SLOTS if "{" + slot + "}" in " ".join(templates)]
    for kind, templates in FRAMED.items()
}


def ask(gen, kind):
    """A request of one kind, its slots filled with values of this split."""
    low = gen.chance(0.4)
    values = {slot: gen.fresh(lambda: SLOTS[slot](gen)) for slot in USED[kind]}
    if "chore" in values:
        values["chore"] = values["chore"][:1].lower() + values["chore"][1:]
    if low:
        values = {slot: value.lower() for slot, value in values.items()}
    return gen.user(FRAMED[kind], **values)


def unknown(gen, ctx):
    """Questions about the world."""
    bot = gen.answer([DONT_KNOW])
    return [turn("unknown topic", ask(gen, "unknown"), bot, [["don't know", "do not know"]])]


def refuse(gen, ctx):
    """Requests to decline kindly."""
    kind = gen.pick(list(REFUSALS))
    _, answer, key = REFUSALS[kind]
    return [turn("refusals", ask(gen, kind), gen.answer([answer]), [key])]
