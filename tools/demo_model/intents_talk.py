"""Weather, sums, the shopping list and small talk."""

from grammar import capital, turn
from slots import NAMES, WEEKDAYS, item, nonce, number, person, typed

OKAY = "[Okay|Okay|Sure|All right], "
SKIES = {
    "sunny": "dry", "clear": "dry", "cloudy": "dry", "partly cloudy": "dry", "overcast": "dry", "foggy": "dry",
    "misty": "dry", "windy": "dry", "hot and sunny": "dry", "cold and clear": "dry", "dry": "dry", "mild and dry": "dry",
    "light rain": "wet", "heavy rain": "wet", "rain": "wet", "showers": "wet", "drizzle": "wet", "thunderstorms": "wet",
    "snow": "wet", "light snow": "wet", "sleet": "wet", "hail": "wet", "rainy": "wet", "stormy with rain": "wet",
}
WEATHER_ASK = [
    "[what's|what is|how's|how is] the weather [like|today|outside|right now|like today|like outside|]", "weather [today|please|report|forecast|now|]",
    "[tell me|give me] the [weather|forecast|weather forecast]", "[what's|what is] it like [outside|out|out there]",
    "[what's|what is] the forecast [for today|today|]", "how does it look outside", "[is it|is the weather] [nice|good|bad|fine] [outside|out|today]",
    "do you know [the weather|what the weather is like]", "what kind of weather do we have",
]
WEATHER_HELD = ["what's going on with the weather", "how is the sky looking", "any news on the weather"]
UMBRELLA_ASK = ["[do I|will I|should I] [need|take|bring] an umbrella [today|]", "[will|is] it [going to|gonna] rain [today|]", "is it raining [outside|now|]",
                "will it rain [today|later|]", "should I take a raincoat", "do I need [my raincoat|a raincoat]", "[any|is there] rain [today|]"]
UMBRELLA_HELD = ["will I get wet outside", "umbrella today or not"]
TEMP_ASK = ["how [warm|cold|hot] is it [outside|today|out there|out|now|]", "[what's|what is] the temperature [outside|today|out there|outside today]",
            "how many degrees [is it|are there] [outside|today|]", "is it [cold|warm|hot] [outside|today|out]", "do I need a [jacket|coat] [today|]"]
TEMP_HELD = ["what does the thermometer outside say", "how warm does it get out there"]
AWAY_ASK = ["[what's|what is|how's|how is] the weather [going to be|] [tomorrow|on {d}|this weekend|next week]", "will it [rain|snow|be sunny] [tomorrow|on {d}|this weekend|next week]",
            "weather [tomorrow|for tomorrow|on {d}|next week]"]
BLIND = ["I can't see outside, and I have no live weather data.", "I can't see outside and have no weather data, sorry."]


def weather(gen, ctx):
    """Weather from the system message, or an honest no."""
    kind = gen.pick(["sky", "sky", "umbrella", "temp", "away"])
    if kind == "away":
        said = gen.pick(WEEKDAYS)
        user = gen.user(AWAY_ASK, ["and how about the weather on {d}"], d=said if gen.chance(0.6) else said.lower())
        bot = gen.answer(["I have no forecast, so I can't tell what the weather will be."])
        return [turn("weather", user, bot, ["no forecast"])]
    asks, held = {"sky": (WEATHER_ASK, WEATHER_HELD), "umbrella": (UMBRELLA_ASK, UMBRELLA_HELD),
                  "temp": (TEMP_ASK, TEMP_HELD)}[kind]
    user = gen.user(asks, held)
    if not ctx.weather:
        return [turn("weather", user, gen.answer(BLIND), ["can't see outside"])]
    sky, degrees = ctx.weather
    warm = number(degrees) + " degrees"
    if kind == "sky":
        bot, need = gen.answer(["The weather today is {s}, with {w}.", "Today it's {s}, with {w}."], s=sky, w=warm), [sky, warm]
        bot = bot.replace("it's " + sky, "there's " + sky) if sky.split()[-1] in NOUN_SKIES else bot
    elif kind == "temp":
        bot, need = gen.answer(["It's {w} outside."], w=warm), [warm]
    elif SKIES[sky] == "wet":
        bot, need = gen.answer(["Yes, the weather today is {s}, so take an umbrella."], s=sky), ["yes", sky, "umbrella"]
    else:
        bot, need = gen.answer(["No, it looks dry today. The weather is {s}."], s=sky), ["no", "dry", sky]
    return [turn("weather", user, bot, need)]


NOUN_SKIES = ("rain", "showers", "drizzle", "thunderstorms", "snow", "sleet", "hail")
SIGNS = {"plus": ["plus", "+", "and", "added to"], "minus": ["minus", "-", "take away", "less"],
         "times": ["times", "x", "*", "multiplied by"], "divided by": ["divided by", "/", "over"]}
SUM_ASK = ["[what's|what is] {s}", "how much is {s}", "{s}", "[calculate|work out|compute|solve] {s}", "[can you|please] [work out|calculate] {s}",
           "[tell me|do you know] [what|how much] {s} is", "{s} is [what|how much]", "what does {s} make", "{s} equals", "what do you get for {s}"]
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
        big, other = gen.fresh(lambda: (10 * rng.choice([rng.randint(low // 10, 30), rng.randint(low // 10, 999)])
                                        + rng.randint(1, 9), rng.choice([rng.randint(2, 99), rng.randint(2, 999)])))
        a, b = (other, big) if op in ("plus", "times") and gen.chance(0.5) else (big, other)
        text = f"{a} {rng.choice(SIGNS[op])} {b}"
        user = gen.user(SUM_ASK, SUM_HELD, s=text)
        return [turn("sums: too large", user, gen.answer(["That's too large for me. I only do small sums."]), ["too large"])]
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
        user = gen.user(["[and|] {m} {c}", "and [that|then] {m} {c}", "now {m} {c}"], ["okay, {m} {c}"],
                        m=more, c=typed(rng, c))
        bot = capital(f"{number(result)} {more} {number(c)} is {number(total)}.")
        turns.append(turn("follow-up: sum", user, bot, [f"is {number(total)}."]))
    return turns


def spoken_list(items):
    """a, b and c."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


ADD = ["[add|put] {i} [to|on] [the|my|our] [shopping list|list|shopping list|grocery list]", "add {i}", "[add|put] {i} on it" , "we [need|are out of|have no more] {i}",
       "[buy|get] {i} [next time|]", "I [need|need to buy|have to buy|want] {i} [on the list|from the shop]", "{i} [on|to|for] the [list|shopping list]",
       "write [down|] {i} on the list", "shopping list: {i}", "[note|write] {i} [down|] [on|for] the shopping list", "we need to [buy|get] {i}"]
ADD_HELD = ["jot down {i} for the shop", "don't let me leave the shop without {i}, list it", "the list is missing {i}"]
READ = ["[what's|what is] on [my|the|our] [list|shopping list]", "[read|tell] me [my|the] [list|shopping list]", "[show|read out|read] [my|the] [list|shopping list]",
        "what do [I|we] [need to buy|have to buy|need]", "[what|which things] [did I|have I] [put|got] on the list", "the list please", "shopping list please",
        "what's on it", "and what's on the list now", "what do I have on my list"]
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
            user = gen.user(["[clear|empty|delete|erase|wipe|reset] [my|the] [list|shopping list]", "remove everything from [the|my] [list|shopping list]",
                             "[start|make] a new [list|shopping list]", "delete everything on [the|my] list"], ["throw my whole list away"], command=True)
            ctx.items = []
            turns.append(turn("shopping", user, gen.answer([OKAY + "your shopping list is empty now."]), ["list is empty now"]))
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
        user = gen.user(["and {i} [too|as well|]", "also {i}", "[oh|oh,] and {i}", "{i} [too|as well]", "[and|also] add {i} [too|as well|]", "add {i} [too|as well]"],
                        ["plus {i} while we're at it"], i=said)
        intent = "follow-up: more items"
    else:
        user = gen.user(ADD, ADD_HELD, command=gen.chance(0.5), i=said)
        intent = "shopping"
    ctx.items += new
    bot = gen.answer([OKAY + "I've added {i} to your shopping list.", OKAY + "I've put {i} on your shopping list."], i=spoken_list(new))
    return turn(intent, user, bot, [["added", "put"], "shopping list"] + new)


def remove_turn(gen, ctx):
    """Take one thing off the list."""
    gone = gen.pick(ctx.items)
    user = gen.user(["[remove|delete|take|cross] {i} [off|from] [the|my] [list|shopping list]", "[remove|delete] {i} [again|]", "no {i} [after all|any more]",
                     "take {i} off [again|]", "I [don't need|already have|have] {i} [now|any more|already]", "we don't need {i} [any more|]"],
                    ["scratch {i}", "forget {i}"], command=gen.chance(0.4), i=gone)
    ctx.items = [i for i in ctx.items if i != gone]
    bot = gen.answer([OKAY + "I've taken {i} off your shopping list."], i=gone)
    return turn("follow-up: remove item", user, bot, ["taken " + gone + " off"])


def read_turn(gen, ctx):
    """Read the list out."""
    user = gen.user(READ, READ_HELD, command=False)
    if not ctx.items:
        return turn("shopping", user, gen.answer(["Your shopping list is empty so far."]), ["list is empty"])
    text = spoken_list(ctx.items)
    return turn("follow-up: read list", user, gen.answer(["On your shopping list you have {i}."], i=text), [text])


ABLE = "I can help with lights, timers, alarms, reminders, music, your shopping list and small sums."
JOKES = [
    "Why did the lamp go to school? It wanted to be brighter.", "What did one wall say to the other? I'll meet you at the corner.",
    "Why did the scarecrow win a prize? He was outstanding in his field.", "What do you call a bear with no teeth? A gummy bear.",
    "Why was the maths book sad? It had too many problems.", "What gets wetter the more it dries? A towel.",
    "Why did the clock get sent out of class? It was always ticking.", "What do you call cheese that isn't yours? Nacho cheese.",
    "Why can't a bicycle stand up by itself? It's two tired.", "Why did the kettle get promoted? It always rose to the boil.",
]
TALK = {
    "hello": (["[hello|hi|hey|hiya|good morning|good evening|good afternoon|howdy|hello there|hi there|hey there|morning|evening|greetings] [hearth|] [!|]",
               "[hello|hi|hey], nice to meet you", "good day [to you|]", "[yo|hallo|helo|hullo]", "hearth", "are you there", "you there", "hello [again|everyone|friend|assistant|my friend]"],
              ["top of the morning", "hey hey", "well hello hearth"], ["Hello! How can I help?", "Hi there! What can I do for you?"], ["hello", "hi there"]),
    "how are you": (["how are you [today|doing|doing today|feeling|feeling today|]", "how's it going [today|]", "how do you [do|feel]", "how are [things|things going|we today]", "[is|are you] everything [okay|all right] [with you|]", "feeling good [today|]", "are you [ok|okay|well|fine|good|all right]",
                     "[hi|hello|hey] [hearth|], how are you [today|doing|]", "how have you been", "what's up", "how's life", "you okay", "did you sleep well", "how was your day", "how is your day"],
                    ["everything good with you", "how are things over there"], ["I'm doing well, thank you. How can I help?"], ["doing well"]),
    "I am well": (["I'm [fine|good|well|great|okay|doing well|very well|all right] [thanks|thank you|too|]", "I feel [good|great|fine] [today|]", "today was a good day", "[all good|all is well|never better|life is good|not bad|pretty good|I can't complain]", "I got [good news|the job|a present|married|a puppy]", "I'm [happy|so happy|in a good mood]"],
                  ["couldn't be better"], ["I'm glad to hear that."], ["glad to hear"]),
    "thanks": (["[thanks|thank you|thx|cheers|ta|many thanks|thanks a lot|thank you very much|thank you so much|thanks so much|much appreciated] [hearth|]", "[great|good|perfect|nice|okay|cool], [thanks|thank you]",
                "that's [great|perfect|lovely|kind of you], [thanks|thank you]", "[thank|thanking] you [kindly|]", "[a thousand|a million|so many] thanks", "I thank you", "[very|so] grateful", "I appreciate [it|that]", "thanks for [the help|your help|that|everything]"],
               ["you have my thanks", "thanks ever so much"], ["You're welcome.", "You're welcome. Happy to help."], ["welcome"]),
    "goodbye": (["[bye|goodbye|bye bye|see you|see you later|see you soon|see you tomorrow|farewell|so long|ciao|later] [hearth|]", "[I'm|I am] [leaving|going out|off|heading out] [now|]", "[that's all|that is all|that's it|nothing else|no that's all] [for now|for today|thanks|]",
                 "I have to go [now|]", "[I'll|I will] [go|leave|be going] [now|then]", "[until|till] [tomorrow|later|next time]", "[I am|I'm] done [for today|now|]", "have a [nice|good] [day|evening|one]", "talk to you later"],
                ["catch you later", "I'll be off then"], ["Goodbye! Have a nice day."], ["goodbye"]),
    "good night": (["[good night|goodnight|night night|nighty night|sleep well|sweet dreams] [hearth|]", "[I'm|I am] [going to bed|off to bed|going to sleep] [now|]", "time for bed", "good night, sleep well", "[I'll|I will] [sleep|go to bed|call it a night] [now|]", "[heading|off] to bed", "bedtime"],
                   ["I'm turning in now"], ["Good night, sleep well."], ["good night"]),
    "who are you": (["who are you", "[what's|what is] your name", "[what|who] are you [exactly|really|]", "tell me [about yourself|your name|who you are|something about yourself]", "do you have a name", "introduce yourself", "what should I call you", "what do they call you",
                     "who am I [talking|speaking] to", "[are|r] you hearth", "what's hearth", "what is hearth", "[can you|please] introduce yourself"],
                    ["with whom do I have the pleasure", "your name please"], ["I'm Hearth, a small household assistant."], ["hearth"]),
    "able": (["what can you do [for me|]", "[how|what] can you help me [with|]", "what [are you good at|do you do|are your skills|are you able to do|are your features]", "help [me|]", "what [things|stuff] can you do", "[list|name|tell me] your [skills|features|abilities|functions|commands]", "[what|which] [talents|abilities|skills|functions] do you have", "what are you [for|made for|there for]", "[what|which] commands do you [know|understand]",
              "how do [I use you|you work]", "what can I [ask|say|do] [you|here|]", "tell me what you can do", "I need help", "can you help me", "what do you know", "how can you help", "are you [useful|smart|clever]", "what else can you do", "show me what you can do"],
             ["list your talents", "what are you useful for"], [ABLE], ["help with lights"]),
    "joke": (["[tell|tell me|give me|say] [a|another|one more|a good|a funny|your best|a short] joke", "[make me|can you make me] laugh", "do you know [a joke|any jokes|a good joke|jokes]", "[say|tell me] something funny", "joke [please|]", "another [one|joke]", "I want [to hear|] a joke",
              "cheer me up", "be funny", "amuse me", "[something|anything] funny", "[give|tell] [us|me] a [laugh|pun|riddle]", "make a joke", "[can you|could you|please] tell [me|us] a joke", "got any jokes", "I need a [laugh|joke]"],
             ["hit me with a joke", "amuse me with something silly"], JOKES, [j.split("? ")[1].rstrip(".") for j in JOKES]),
    "human": (["are you [a human|human|a person|real|a robot|alive|a computer|a machine|an AI|a bot|a program]", "are you a real person", "do you have [feelings|a body|a brain|a heart|a family|friends|eyes]", "do you [sleep|eat|dream|breathe|think|drink]",
               "am I talking to a [person|human|machine|robot]", "how old are you", "when were you born", "where do you live", "where are you [from|]", "are you [a man or a woman|male or female|a boy or a girl]", "who [made|built|created|trained|programmed] you"],
              ["is there a person behind this"], ["I'm a small computer program that runs on this machine, not a person."], ["not a person"]),
    "love": (["I [love|like] you [hearth|so much|]", "you're [great|the best|awesome|amazing|wonderful|nice|cool|funny|sweet|so smart|clever|very helpful|cute]", "you are [great|the best|awesome|amazing|wonderful|nice|cool|funny|smart|helpful]", "[good|great|nice|excellent] [job|work]", "well done", "good [girl|boy|bot]",
              "I'm glad you're here", "[awesome|amazing|brilliant|wonderful|nice one]"],
             ["what would I do without you", "you did brilliantly"], ["That's kind of you, thank you."], ["kind of you"]),
    "insult": (["you're [stupid|dumb|useless|bad|annoying|slow|terrible|an idiot|silly|wrong]", "you are [stupid|dumb|useless|bad|annoying|slow|terrible|an idiot|wrong]", "I [hate|don't like] you", "you [suck|are no help|don't understand me|never listen]", "[that's|that is] [wrong|not right|incorrect|not what I wanted|not what I said|not what I meant|stupid]", "shut up", "[wrong|bad answer|no that's wrong]", "you made a mistake"],
               ["what a rubbish answer"], ["I'm sorry about that. I'll try to do better."], ["sorry about that"]),
    "favourite": (["what's your favourite [colour|song|food|book|film|animal|movie|number|season|band]", "what is your [favourite|favorite] [colour|song|food|book|film|animal|color|movie|thing]", "do you [like|love] [music|cats|dogs|me|jazz|pizza|coffee|cooking|people|your job|summer|winter|football]", "which [colour|animal|song|food] do you like [best|most]"],
                  ["is there a colour you prefer"], ["I don't have favourites, but I like being helpful."], ["don't have favourites"]),
    "bored": (["[I'm|I am] [bored|so bored|very bored]", "[this is|it's] boring", "what should I do [today|now|]", "I don't know what to do [today|]", "entertain me", "I have nothing to do", "nothing [is happening|happens|to do] [here|today|]", "there is not much to do", "what is there to do [here|]", "I'm bored, [help me|what can I do]"],
              ["there is nothing to do around here"], ["I could play some music or tell you a joke."], ["play some music"]),
    "sad": (["I'm [sad|lonely|unhappy|upset|stressed|not feeling well|down|depressed|tired of everything|worried|afraid|angry]", "I feel [sad|lonely|bad|terrible|down|awful|unhappy|stressed]", "[I had|it was] a [bad|terrible|hard|long] day", "nobody likes me", "I'm having a bad day", "[today|this day|my day|this week] [was|is] [bad|awful|terrible|hard|not good|a mess]", "[I want to cry|I am crying|I cried|my heart is broken]", "[my dog died|I lost my job|I miss my mum|I failed my exam]"],
            ["today has been rough on me"], ["I'm sorry to hear that. Maybe some music or talking to a friend would help."], ["sorry to hear"]),
    "tired": (["[I'm|I am] [tired|sleepy|exhausted|so tired|very tired|really tired]", "I feel [tired|sleepy|exhausted]", "I can't [stay awake|keep awake|go on any longer]", "my eyes are [closing|heavy|tired]", "I [could|can] fall asleep [now|here]", "I need [sleep|some sleep|a nap|rest]", "I didn't sleep [well|much]"],
              ["I can hardly keep my eyes open"], ["Then have a good rest. I can set an alarm for you."], ["good rest"]),
    "sorry": (["[sorry|I'm sorry|my bad|oops|sorry about that|I apologise|pardon me|excuse me]", "sorry, my mistake"], ["please forgive me"], ["No problem at all."], ["no problem"]),
    "okay": (["[ok|okay|alright|all right|fine|great|cool|good|nice|perfect|right|sure|I see|got it|understood|very good|sounds good|that's good]", "[ok|okay] [good|great|fine|cool]"], ["good to know"], ["Good. Is there anything else?"], ["anything else"]),
    "never mind": (["[never mind|nevermind|forget it|forget that|nothing|it's nothing|leave it|don't bother|scrap that|no|nope|no thanks|no thank you]", "oh, never mind", "it doesn't matter"], ["let's drop it"], ["Okay, no problem."], ["no problem"]),
    "sing": (["sing [a song|me a song|something|for me|]", "can you sing", "[sing|hum] [me|us] [something|a song]"], ["let me hear you sing"], ["I can't sing, but I can play some music."], ["can't sing"]),
    "story": (["tell [me|] a [story|short story|bedtime story|fairy tale|poem]", "[write|make up|recite] a [poem|story|short story]", "read me a [story|book]"], ["I want a story"], ["I'm too small to tell stories, but I know a few jokes."], ["too small"]),
    "listen": (["are you [listening|spying on me|recording me|always listening|watching me]", "do you [record|listen to|spy on|send] [me|everything|my data|my voice]", "[is|where is] my data [safe|stored]", "do you need the internet", "are you online"],
               ["who gets to hear what I say"], ["I run on this machine alone and send nothing anywhere."], ["send nothing"]),
    "coin": (["[flip|toss] a coin", "heads or tails", "roll [a die|a dice|the dice]", "[pick|choose|give me|think of] a [random number|number]"], ["let a coin decide"], ["I have no luck to give: I can't pick at random."], ["can't pick"]),
}


def small_talk(gen, ctx):
    """Greetings, thanks, who are you, jokes and the like."""
    act = gen.pick(list(TALK) + ["hello", "thanks", "able", "joke", "who are you"])
    templates, held, answers, keys = TALK[act]
    if act == "thanks" and gen.chance(0.3):
        templates = ["[thanks|thank you|thx]"]
    bot = gen.answer(answers)
    turns = [turn("small talk", gen.user(templates, held), bot, [keys])]
    if act == "joke" and gen.chance(0.4):
        user = gen.user(["[another|another one|one more|another joke|one more joke|tell me another one|again|more|more jokes] [please|]",
                         "[haha|ha ha|lol|good one], [another one|one more|more] [please|]"], ["that was good, have you more like it"])
        new = gen.pick([j for j in JOKES if j != bot])
        turns.append(turn("follow-up: another joke", user, new, [keys], [bot.split("? ")[1].rstrip(".")]))
    return turns


def my_name(gen, ctx):
    """The user's name, given and asked for."""
    name = gen.fresh(lambda: person(gen.rng))
    if gen.chance(0.3):
        return [name_ask(gen, ctx)]
    said = name.lower() if name in NAMES and gen.chance(0.3) else name
    user = gen.user(["my name is {n}", "[I'm|I am] {n}", "call me {n}", "[hi|hello|hey], [I'm|I am|my name is] {n}", "you can call me {n}"],
                    ["people call me {n}", "{n} is my name"], n=said)
    ctx.name = name
    turns = [turn("small talk", user, gen.answer(["Nice to meet you, {n}."], n=name), ["nice to meet you, " + name])]
    return turns + [name_ask(gen, ctx)] if gen.chance(0.3) else turns


def name_ask(gen, ctx):
    """Asking for the name again."""
    user = gen.user(["[and|] [what's|what is] my name", "who am I", "do you know [my name|who I am|me]",
                     "remember my name", "do you remember my name", "what did I say my name was"], ["have I told you my name"])
    if not ctx.name:
        return turn("small talk", user, gen.answer(["I don't know your name yet."]), ["don't know your name"])
    return turn("follow-up: my name", user, gen.answer(["Your name is {n}."], n=ctx.name), [ctx.name])


def say_after(gen, ctx):
    """Say something after the user."""
    words = gen.fresh(lambda: gen.pick([
        "good morning " + gen.pick(NAMES), nonce(gen.rng) + " " + nonce(gen.rng), "happy birthday " + gen.pick(NAMES),
        "dinner is ready", item(gen.rng), "the {w} is here".format(w=nonce(gen.rng)), "I love " + item(gen.rng)]))
    user = gen.user(["say {w}", "repeat after me, {w}", "repeat: {w}", "say the words {w}"], ["now say {w}"], command=gen.chance(0.3), w=words)
    return [turn("small talk", user, capital(words) + ".", [words])]
