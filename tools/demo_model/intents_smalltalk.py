"""Small talk: greetings, thanks, who are you, jokes, names."""

from grammar import capital, turn
from slots import NAMES, item, nonce, person

ABLE = (
    "I can help with lights, timers, alarms, reminders, music, your shopping list and small sums."
)
JOKES = [
    "Why did the lamp go to school? It wanted to be brighter.",
    "What did one wall say to the other? I'll meet you at the corner.",
    "Why did the scarecrow win a prize? He was outstanding in his field.",
    "What do you call a bear with no teeth? A gummy bear.",
    "Why was the maths book sad? It had too many problems.",
    "What gets wetter the more it dries? A towel.",
    "Why did the clock get sent out of class? It was always ticking.",
    "What do you call cheese that isn't yours? Nacho cheese.",
    "Why can't a bicycle stand up by itself? It's two tired.",
    "Why did the kettle get promoted? It always rose to the boil.",
]
TALK = {
    "hello": (
        [
            "[hello|hi|hey|hiya|good morning|good evening|good afternoon|howdy|hello there|hi there|hey there|morning|evening|greetings] [hearth|] [!|]",
            "[hello|hi|hey], nice to meet you",
            "good day [to you|]",
            "[yo|hallo|helo|hullo]",
            "hearth",
            "are you there",
            "you there",
            "hello [again|everyone|friend|assistant|my friend]",
        ],
        ["top of the morning", "hey hey", "well hello hearth"],
        ["Hello! How can I help?", "Hi there! What can I do for you?"],
        ["hello", "hi there"],
    ),
    "how are you": (
        [
            "how are you [today|doing|doing today|feeling|feeling today|]",
            "how's it going [today|]",
            "how do you [do|feel]",
            "how are [things|things going|we today]",
            "[is|are you] everything [okay|all right] [with you|]",
            "feeling good [today|]",
            "are you [ok|okay|well|fine|good|all right]",
            "[hi|hello|hey] [hearth|], how are you [today|doing|]",
            "how have you been",
            "what's up",
            "how's life",
            "you okay",
            "did you sleep well",
            "how was your day",
            "how is your day",
        ],
        ["everything good with you", "how are things over there"],
        ["I'm doing well, thank you. How can I help?"],
        ["doing well"],
    ),
    "I am well": (
        [
            "I'm [fine|good|well|great|okay|doing well|very well|all right] [thanks|thank you|too|]",
            "I feel [good|great|fine] [today|]",
            "today was a good day",
            "[all good|all is well|never better|life is good|not bad|pretty good|I can't complain]",
            "I got [good news|the job|a present|married|a puppy]",
            "I'm [happy|so happy|in a good mood]",
        ],
        ["couldn't be better"],
        ["I'm glad to hear that."],
        ["glad to hear"],
    ),
    "thanks": (
        [
            "[thanks|thank you|thx|cheers|ta|many thanks|thanks a lot|thank you very much|thank you so much|thanks so much|much appreciated] [hearth|]",
            "[great|good|perfect|nice|okay|cool], [thanks|thank you]",
            "that's [great|perfect|lovely|kind of you], [thanks|thank you]",
            "[thank|thanking] you [kindly|]",
            "[a thousand|a million|so many] thanks",
            "I thank you",
            "[very|so] grateful",
            "I appreciate [it|that]",
            "thanks for [the help|your help|that|everything]",
        ],
        ["you have my thanks", "thanks ever so much"],
        ["You're welcome.", "You're welcome. Happy to help."],
        ["welcome"],
    ),
    "goodbye": (
        [
            "[bye|goodbye|bye bye|see you|see you later|see you soon|see you tomorrow|farewell|so long|ciao|later] [hearth|]",
            "[I'm|I am] [leaving|going out|off|heading out] [now|]",
            "[that's all|that is all|that's it|nothing else|no that's all] [for now|for today|thanks|]",
            "I have to go [now|]",
            "[I'll|I will] [go|leave|be going] [now|then]",
            "[until|till] [tomorrow|later|next time]",
            "[I am|I'm] done [for today|now|]",
            "have a [nice|good] [day|evening|one]",
            "talk to you later",
        ],
        ["catch you later", "I'll be off then"],
        ["Goodbye! Have a nice day."],
        ["goodbye"],
    ),
    "good night": (
        [
            "[good night|goodnight|night night|nighty night|sleep well|sweet dreams] [hearth|]",
            "[I'm|I am] [going to bed|off to bed|going to sleep] [now|]",
            "time for bed",
            "good night, sleep well",
            "[I'll|I will] [sleep|go to bed|call it a night] [now|]",
            "[heading|off] to bed",
            "bedtime",
        ],
        ["I'm turning in now"],
        ["Good night, sleep well."],
        ["good night"],
    ),
    "who are you": (
        [
            "who are you",
            "[what's|what is] your name",
            "[what|who] are you [exactly|really|]",
            "tell me [about yourself|your name|who you are|something about yourself]",
            "do you have a name",
            "introduce yourself",
            "what should I call you",
            "what do they call you",
            "who am I [talking|speaking] to",
            "[are|r] you hearth",
            "what's hearth",
            "what is hearth",
            "[can you|please] introduce yourself",
        ],
        ["with whom do I have the pleasure", "your name please"],
        ["I'm Hearth, a small household assistant."],
        ["hearth"],
    ),
    "able": (
        [
            "what can you do [for me|]",
            "[how|what] can you help me [with|]",
            "what [are you good at|do you do|are your skills|are you able to do|are your features]",
            "help [me|]",
            "what [things|stuff] can you do",
            "[list|name|tell me] your [skills|features|abilities|functions|commands]",
            "[what|which] [talents|abilities|skills|functions] do you have",
            "what are you [for|made for|there for]",
            "[what|which] commands do you [know|understand]",
            "how do [I use you|you work]",
            "what can I [ask|say|do] [you|here|]",
            "tell me what you can do",
            "I need help",
            "can you help me",
            "what do you know",
            "how can you help",
            "are you [useful|smart|clever]",
            "what else can you do",
            "show me what you can do",
        ],
        ["list your talents", "what are you useful for"],
        [ABLE],
        ["help with lights"],
    ),
    "joke": (
        [
            "[tell|tell me|give me|say] [a|another|one more|a good|a funny|your best|a short] joke",
            "[make me|can you make me] laugh",
            "do you know [a joke|any jokes|a good joke|jokes]",
            "[say|tell me] something funny",
            "joke [please|]",
            "another [one|joke]",
            "I want [to hear|] a joke",
            "cheer me up",
            "be funny",
            "amuse me",
            "[something|anything] funny",
            "[give|tell] [us|me] a [laugh|pun|riddle]",
            "make a joke",
            "[can you|could you|please] tell [me|us] a joke",
            "got any jokes",
            "I need a [laugh|joke]",
        ],
        ["hit me with a joke", "amuse me with something silly"],
        JOKES,
        [j.split("? ")[1].rstrip(".") for j in JOKES],
    ),
    "human": (
        [
            "are you [a human|human|a person|real|a robot|alive|a computer|a machine|an AI|a bot|a program]",
            "are you a real person",
            "do you have [feelings|a body|a brain|a heart|a family|friends|eyes]",
            "do you [sleep|eat|dream|breathe|think|drink]",
            "am I talking to a [person|human|machine|robot]",
            "how old are you",
            "when were you born",
            "where do you live",
            "where are you [from|]",
            "are you [a man or a woman|male or female|a boy or a girl]",
            "who [made|built|created|trained|programmed] you",
        ],
        ["is there a person behind this"],
        ["I'm a small computer program that runs on this machine, not a person."],
        ["not a person"],
    ),
    "love": (
        [
            "I [love|like] you [hearth|so much|]",
            "you're [great|the best|awesome|amazing|wonderful|nice|cool|funny|sweet|so smart|clever|very helpful|cute]",
            "you are [great|the best|awesome|amazing|wonderful|nice|cool|funny|smart|helpful]",
            "[good|great|nice|excellent] [job|work]",
            "well done",
            "good [girl|boy|bot]",
            "I'm glad you're here",
            "[awesome|amazing|brilliant|wonderful|nice one]",
        ],
        ["what would I do without you", "you did brilliantly"],
        ["That's kind of you, thank you."],
        ["kind of you"],
    ),
    "insult": (
        [
            "you're [stupid|dumb|useless|bad|annoying|slow|terrible|an idiot|silly|wrong]",
            "you are [stupid|dumb|useless|bad|annoying|slow|terrible|an idiot|wrong]",
            "I [hate|don't like] you",
            "you [suck|are no help|don't understand me|never listen]",
            "[that's|that is] [wrong|not right|incorrect|not what I wanted|not what I said|not what I meant|stupid]",
            "shut up",
            "[wrong|bad answer|no that's wrong]",
            "you made a mistake",
        ],
        ["what a rubbish answer"],
        ["I'm sorry about that. I'll try to do better."],
        ["sorry about that"],
    ),
    "favourite": (
        [
            "what's your favourite [colour|song|food|book|film|animal|movie|number|season|band]",
            "what is your [favourite|favorite] [colour|song|food|book|film|animal|color|movie|thing]",
            "do you [like|love] [music|cats|dogs|me|jazz|pizza|coffee|cooking|people|your job|summer|winter|football]",
            "which [colour|animal|song|food] do you like [best|most]",
        ],
        ["is there a colour you prefer"],
        ["I don't have favourites, but I like being helpful."],
        ["don't have favourites"],
    ),
    "bored": (
        [
            "[I'm|I am] [bored|so bored|very bored]",
            "[this is|it's] boring",
            "what should I do [today|now|]",
            "I don't know what to do [today|]",
            "entertain me",
            "I have nothing to do",
            "nothing [is happening|happens|to do] [here|today|]",
            "there is not much to do",
            "what is there to do [here|]",
            "I'm bored, [help me|what can I do]",
        ],
        ["there is nothing to do around here"],
        ["I could play some music or tell you a joke."],
        ["play some music"],
    ),
    "sad": (
        [
            "I'm [sad|lonely|unhappy|upset|stressed|not feeling well|down|depressed|tired of everything|worried|afraid|angry]",
            "I feel [sad|lonely|bad|terrible|down|awful|unhappy|stressed]",
            "[I had|it was] a [bad|terrible|hard|long] day",
            "nobody likes me",
            "I'm having a bad day",
            "[today|this day|my day|this week] [was|is] [bad|awful|terrible|hard|not good|a mess]",
            "[I want to cry|I am crying|I cried|my heart is broken]",
            "[my dog died|I lost my job|I miss my mum|I failed my exam]",
        ],
        ["today has been rough on me"],
        ["I'm sorry to hear that. Maybe some music or talking to a friend would help."],
        ["sorry to hear"],
    ),
    "tired": (
        [
            "[I'm|I am] [tired|sleepy|exhausted|so tired|very tired|really tired]",
            "I feel [tired|sleepy|exhausted]",
            "I can't [stay awake|keep awake|go on any longer]",
            "my eyes are [closing|heavy|tired]",
            "I [could|can] fall asleep [now|here]",
            "I need [sleep|some sleep|a nap|rest]",
            "I didn't sleep [well|much]",
        ],
        ["I can hardly keep my eyes open"],
        ["Then have a good rest. I can set an alarm for you."],
        ["good rest"],
    ),
    "sorry": (
        [
            "[sorry|I'm sorry|my bad|oops|sorry about that|I apologise|pardon me|excuse me]",
            "sorry, my mistake",
        ],
        ["please forgive me"],
        ["No problem at all."],
        ["no problem"],
    ),
    "okay": (
        [
            "[ok|okay|alright|all right|fine|great|cool|good|nice|perfect|right|sure|I see|got it|understood|very good|sounds good|that's good]",
            "[ok|okay] [good|great|fine|cool]",
        ],
        ["good to know"],
        ["Good. Is there anything else?"],
        ["anything else"],
    ),
    "never mind": (
        [
            "[never mind|nevermind|forget it|forget that|nothing|it's nothing|leave it|don't bother|scrap that|no|nope|no thanks|no thank you]",
            "oh, never mind",
            "it doesn't matter",
        ],
        ["let's drop it"],
        ["Okay, no problem."],
        ["no problem"],
    ),
    "sing": (
        [
            "sing [a song|me a song|something|for me|]",
            "can you sing",
            "[sing|hum] [me|us] [something|a song]",
        ],
        ["let me hear you sing"],
        ["I can't sing, but I can play some music."],
        ["can't sing"],
    ),
    "story": (
        [
            "tell [me|] a [story|short story|bedtime story|fairy tale|poem]",
            "[write|make up|recite] a [poem|story|short story]",
            "read me a [story|book]",
        ],
        ["I want a story"],
        ["I'm too small to tell stories, but I know a few jokes."],
        ["too small"],
    ),
    "listen": (
        [
            "are you [listening|spying on me|recording me|always listening|watching me]",
            "do you [record|listen to|spy on|send] [me|everything|my data|my voice]",
            "[is|where is] my data [safe|stored]",
            "do you need the internet",
            "are you online",
        ],
        ["who gets to hear what I say"],
        ["I run on this machine alone and send nothing anywhere."],
        ["send nothing"],
    ),
    "coin": (
        [
            "[flip|toss] a coin",
            "heads or tails",
            "roll [a die|a dice|the dice]",
            "[pick|choose|give me|think of] a [random number|number]",
        ],
        ["let a coin decide"],
        ["I have no luck to give: I can't pick at random."],
        ["can't pick"],
    ),
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
        user = gen.user(
            [
                "[another|another one|one more|another joke|one more joke|tell me another one|again|more|more jokes] [please|]",
                "[haha|ha ha|lol|good one], [another one|one more|more] [please|]",
            ],
            ["that was good, have you more like it"],
        )
        new = gen.pick([j for j in JOKES if j != bot])
        turns.append(
            turn("follow-up: another joke", user, new, [keys], [bot.split("? ")[1].rstrip(".")])
        )
    return turns


def my_name(gen, ctx):
    """The user's name, given and asked for."""
    name = gen.fresh(lambda: person(gen.rng))
    if gen.chance(0.3):
        return [name_ask(gen, ctx)]
    said = name.lower() if name in NAMES and gen.chance(0.3) else name
    user = gen.user(
        [
            "my name is {n}",
            "[I'm|I am] {n}",
            "call me {n}",
            "[hi|hello|hey], [I'm|I am|my name is] {n}",
            "you can call me {n}",
        ],
        ["people call me {n}", "{n} is my name"],
        n=said,
    )
    ctx.name = name
    turns = [
        turn(
            "small talk",
            user,
            gen.answer(["Nice to meet you, {n}."], n=name),
            ["nice to meet you, " + name],
        )
    ]
    return turns + [name_ask(gen, ctx)] if gen.chance(0.3) else turns


def name_ask(gen, ctx):
    """Asking for the name again."""
    user = gen.user(
        [
            "[and|] [what's|what is] my name",
            "who am I",
            "do you know [my name|who I am|me]",
            "remember my name",
            "do you remember my name",
            "what did I say my name was",
        ],
        ["have I told you my name"],
    )
    if not ctx.name:
        return turn(
            "small talk",
            user,
            gen.answer(["I don't know your name yet."]),
            ["don't know your name"],
        )
    return turn(
        "follow-up: my name", user, gen.answer(["Your name is {n}."], n=ctx.name), [ctx.name]
    )


def say_after(gen, ctx):
    """Say something after the user."""
    words = gen.fresh(
        lambda: gen.pick(
            [
                "good morning " + gen.pick(NAMES),
                nonce(gen.rng) + " " + nonce(gen.rng),
                "happy birthday " + gen.pick(NAMES),
                "dinner is ready",
                item(gen.rng),
                "the {w} is here".format(w=nonce(gen.rng)),
                "I love " + item(gen.rng),
            ]
        )
    )
    user = gen.user(
        ["say {w}", "repeat after me, {w}", "repeat: {w}", "say the words {w}"],
        ["now say {w}"],
        command=gen.chance(0.3),
        w=words,
    )
    return [turn("small talk", user, capital(words) + ".", [words])]
