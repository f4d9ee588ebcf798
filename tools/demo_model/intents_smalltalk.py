"""Small talk: greetings, thanks, who are you, jokes, names."""

from grammar import capital, turn
from slots import NAMES, item, nonce, person

MACROS = {
    "<im>": "[I'm|I'm|I am]",
    "<ive>": "[I've|I have]",
    "<youre>": "[you're|you're|you are|your]",
    "<whats>": "[what's|what's|what is|whats]",
    "<thats>": "[that's|that's|that is|that was|this is]",
    "<very>": "[||very|so|really|quite|a bit|pretty]",
    "<today>": "[|||today|now|right now|tonight|this morning|at the moment]",
    "<me>": "[me|me|us|]",
    "<us>": "[me|me|us]",
    "<do>": "[||||please|can you|could you|would you|will you|can you please|could you please|"
    "would you please|I want you to|I'd like you to|go on,|come on,|why don't you]",
    "<want>": "[I want|I'd like|I would like|I need|we want|we'd like|can I have|could I have|"
    "may I have|can we have|I could use|I fancy]",
    "<who>": "[||||hearth|hearth|there|again|everyone|everybody|friend|my friend|assistant|you|"
    "mate|buddy|robot|computer|dear|my dear|old friend|folks|pal|little helper]",
    "<how>": "[how do I|how can I|how do you|how would I|how could I|how should I|how to|"
    "how does one|tell me how to|show me how to|what's the best way to|teach me how to]",
    "<hey>": "[" + "|" * 40 + "hey,|hi,|hearth,|hey hearth,|hi hearth,|okay hearth,|so,|well,|oh,|"
    "okay,|and|by the way,|listen,|hmm,|oh well,|one question:|hello,|hello hearth,|ok,|ah,]",
    "<end>": "[" + "|" * 30 + "hearth|, hearth|, my friend|, mate|, buddy|, dear|, then|, okay]",
    "<mark>": "[?|?|?|]",
}
ASK, SAY = "<hey> {} <end> <mark>", "<hey> {} <end>"


def spell(text):
    """The template with its abbreviations written out."""
    for short, full in MACROS.items():
        text = text.replace(short, full)
    return text


def frames(templates):
    """Templates with the small words people put around them; "? " in front marks a question."""
    return [
        spell((ASK if t.startswith("? ") else SAY).replace("{}", t.removeprefix("? ")))
        for t in templates
    ]


ABLE = (
    "I can help with lights, timers, alarms, reminders, music, your shopping list and small sums."
)
WHO = "I'm Hearth, a small household assistant. I'm a computer program, not a person."
JOKES = [
    "Why did the lamp go to school? It wanted to be brighter.",
    "What did one wall say to the other? I'll meet you at the corner.",
    "What gets wetter the more it dries? A towel.",
    "Why was the maths book sad? It had too many problems.",
    "Why can't a bicycle stand up by itself? It's two tired.",
]
TALK = {
    "hello": (
        [
            "[hello|hello|hi|hi|hey|hey|hiya|howdy|yo|hallo|hullo|helo|heya|greetings|welcome|"
            "well hello|hello hello|hey hey|hi hi|oh hello|good day|why hello] <who> [|||!]",
            "[good|a very good|a good|a lovely] [morning|evening|afternoon] "
            "[to you|to you all|<who>]",
            "[morning|evening|afternoon|top of the morning|good day] [to you|<who>]",
            "[hello|hi|hey] <who>, [nice|good|great|pleased|lovely|glad|happy] to "
            "[meet you|see you|see you again|talk to you]",
            "[it's|it is|] [nice|good|great|lovely] to [meet|see] you [again|here|]",
            "? [are you|you|hey, are you|hello, are you] [there|still there|here|awake|on|ready|"
            "around|up|switched on|working|online yet]",
            "? [can you|do you|did you] hear me",
            "? [anybody|anyone|someone|somebody] [there|here|home]",
            "? is [anybody|anyone|someone|somebody] [there|here|home]",
            "[hearth|hey hearth|hi hearth|ok hearth|okay hearth|dear hearth|oh hearth]",
            "<im> [home|back|back home|home again|here|here again|back again|new here] <who>",
            "[honey, |] [I'm home|we're home|we're back|I just got home|I just came home]",
            "[long time no see|let's talk|let's chat|let's begin|let's start|wake up|wakey wakey]",
            "? can we [talk|chat|start|begin|have a chat]",
            "[I want|I'd like] to [talk|chat] [with you|to you|a bit|]",
        ],
        ["Hello! How can I help?"],
        ["hello"],
    ),
    "how are you": (
        [
            "? how are [you|you|you doing|you feeling|you keeping|ya|things|things going|we|"
            "things with you|things over there|you getting on] "
            "[|||today|now|this morning|tonight|this evening|these days|so far]",
            "? [how's|how is|hows] [it going|life|everything|your day|your day going|your morning|"
            "your week|your evening|life treating you|it all going|my favourite assistant|"
            "it going with you|my friend] [||today|so far|these days]",
            "? how was your [day|night|morning|week|weekend|evening|afternoon]",
            "? how [has your day been|have you been|do you feel|do you do|did you sleep|goes it|"
            "you doing|have things been|did your day go]",
            "? [are you|you|are you feeling|are you doing|you feeling|feeling] "
            "[ok|okay|well|fine|good|all right|alright|happy|great|better] <today>",
            "? [is everything|everything|is all|all] [ok|okay|fine|good|all right|well] "
            "[with you|over there|on your side|there]",
            "? [what's up|sup|whats up|what is up|wassup|what's new with you|"
            "what's going on with you|what's up with you]",
            "? did you [sleep well|have a good night|have a good day|rest well|have a nice day]",
            "? are you having a [good|nice|great|pleasant] [day|time|morning|evening]",
            "? [hi|hello|hey|good morning|good evening|hey there] <who>, how "
            "[are you|are you doing|are things|is it going|do you feel] <today>",
            "I hope you're [well|fine|okay|doing well|having a good day|all right]",
            "[tell me|I wonder|I'd like to know] how you [are|feel|are doing|are feeling]",
            "? what kind of [mood|day] are you [in|having]",
            "? are you in a [good|bad] mood",
        ],
        ["I'm doing well, thank you. How can I help?"],
        ["doing well"],
    ),
    "I am well": (
        [
            "[<im>|<im> feeling|I feel|we are|<im> in fact] <very> [fine|good|well|great|okay|"
            "happy|"
            "fantastic|wonderful|cheerful|all right|better|proud|excited|relaxed|super|glad] "
            "<today> [|||thanks|, thanks|thank you|too|, and you]",
            "[today|my day|this day|this week|the weekend|my evening|my morning|the party|work|"
            "school|the trip] [was|is|has been] <very> [good|great|lovely|wonderful|nice|perfect]",
            "[it's|it is|it was|I had|<ive> had|I'm having|what] a "
            "[good|great|lovely|wonderful|nice|beautiful|perfect] [day|week|time|evening]",
            "[all good|all is well|never better|life is good|life is great|not bad|not too bad|"
            "pretty good|I can't complain|can't complain|couldn't be better|everything is fine|"
            "everything is great|things are good|all fine here|very well thanks]",
            "[I|we] [got|have|just got|heard|had] [such|] [good news|great news|the job|a new job|"
            "a present|married|a puppy|a kitten|a baby|a raise|a good grade|engaged]",
            "[I|we] [won|passed|did it|made it|won the game|won the lottery|passed the test|"
            "finished my work|passed my exam|found a friend|fell in love|finally won]",
            "<im> in [a good|a great|a very good|such a good|high|good|the best] [mood|spirits]",
            "[guess what, |] [it's my birthday|my birthday is today|"
            "I'm getting married|I'm going to be a dad|it's the weekend|school is out]",
            "[I|we] [love|like|enjoy] [my job|my family|summer|winter|this house|my life|music|"
            "dancing|the weekend|this song|cooking|my garden|my new car|rainy days|the sea]",
            "[best|happiest] day [ever|of my life|of the year|in a long time]",
        ],
        ["I'm glad to hear that."],
        ["glad to hear"],
    ),
    "thanks": (
        [
            "[thanks|thanks|thank you|thank you|thx|cheers|ta|many thanks|thanks a lot|"
            "thank you very much|thank you so much|thanks so much|much appreciated|tysm|"
            "thanks a million|thanks a bunch|thanks ever so much|thank you kindly|thankyou] "
            "[||||again|hearth|my friend|for now|indeed|dear|mate]",
            "[great|good|perfect|nice|okay|cool|lovely|wonderful|excellent|brilliant|super|awesome|"
            "ah|oh|all right|fine|very good|wow|yes|great job] [,|] "
            "[thanks|thank you|thanks a lot|many thanks|cheers|thank you very much]",
            "<thats> <very> [great|perfect|lovely|nice|good|helpful|wonderful|all I needed], "
            "[thanks|thank you|thanks a lot]",
            "[a thousand|a million|so many|very many|big|huge|lots of|all my|my best|warm] thanks "
            "[to you|]",
            "[I|we] [thank you|appreciate it|appreciate that|appreciate your help|owe you one|"
            "am very grateful|am grateful|can't thank you enough|really appreciate it|must thank "
            "you]",
            "[thanks|thank you|thanks a lot|cheers|thank you so much] for [the help|your help|that|"
            "everything|helping|helping me|being there|the reminder|the answer|your time|listening|"
            "the light|the music|doing that|all of it|the joke|the quick answer|your patience|"
            "this]",
            "[very|so|really|most] [grateful|thankful|obliged] [to you|for this|]",
            "[you have my|please accept my|accept my] thanks",
            "[you helped me|you've helped me|that helped me|that helped|it helped] "
            "[a lot|so much|very much], [thanks|thank you]",
            "[thank god for you|bless you|god bless you|that was a great help|what a help]",
            "I [just|only|really] [want|wanted|have] to [say thanks|thank you|say thank you]",
        ],
        ["You're welcome."],
        ["welcome"],
    ),
    "wishes": (
        [
            "[happy|have a happy|I wish you a happy|we wish you a happy] [new year|birthday|easter|"
            "halloween|holiday|weekend|thanksgiving|valentine's day|anniversary] [to you|hearth|]",
            "[merry|have a merry|a very merry|we wish you a merry] christmas "
            "[to you|hearth|everyone|to all|]",
            "[all the best|best wishes|good luck|congratulations|season's greetings|happy holidays|"
            "congrats] [to you|hearth|with everything|my friend|for the new year|]",
            "[I|we] wish you [all the best|good luck|well|a good year|lots of luck|a good week]",
        ],
        ["Thank you, the same to you!"],
        ["same to you"],
    ),
    "goodbye": (
        [
            "[bye|bye|goodbye|goodbye|bye bye|see you|see ya|cya|farewell|so long|ciao|cheerio|"
            "take care|adieu|ta ta|good bye|until next time|be well|over and out|okay bye] "
            "[||||hearth|for now|then|my friend|everyone|dear|mate|now|, take care]",
            "[see you|see ya|catch you|talk to you|speak to you|I'll see you|we'll talk|till|"
            "until] "
            "[later|soon|tomorrow|next time|tonight|next week|in the morning|after work|then|"
            "monday]",
            "[<im>|we're|we are] [leaving|going out|heading out|off|off to work|off to school|"
            "going|"
            "out|out of here|going to work|going away|going shopping|going on holiday|on my way "
            "out|"
            "leaving the house|leaving for work|off then|about to leave|going for a walk] <today>",
            "[thanks, |okay, |no, |] [that's all|that is all|that's it|that will be all|"
            "that'll be all|nothing else|nothing more|that was all] "
            "[for now|for today|from me|I needed|]",
            "I [have to|must|need to|gotta|should|had better|better] "
            "[go|leave|run|be off|be going|get going|go to work|head out|get to work] <today>",
            "[I'll|I will|let me] [go|leave|be going|be off|be on my way|head out|say goodbye|"
            "be back|be back soon|leave you alone] [now|then|]",
            "[<im>|we are|we're] [done|finished|done here|finished here|all done] "
            "[for today|now|with you|for now|]",
            "[have|enjoy] [a|your|the rest of your] [nice|good|great|lovely|] [day|evening|weekend|"
            "afternoon|time]",
            "[it's|it is] time to [go|leave|say goodbye|part|be off]",
            "[it was|it's been] [nice|good|great|lovely] [talking|speaking|chatting] "
            "[to you|with you]",
        ],
        ["Goodbye! Have a nice day."],
        ["goodbye"],
    ),
    "good night": (
        [
            "[good night|good night|goodnight|goodnight|night night|nighty night|gnight|"
            "have a good night|sleep well|sweet dreams|sleep tight|nite|a good night to you] "
            "[||||hearth|everyone|my friend|then|for now|dear|and sleep well|and thanks|all]",
            "[<im>|we're|we are] [going to bed|off to bed|going to sleep|turning in|heading to bed|"
            "in bed|in bed already|going to turn in|going upstairs to sleep|ready for bed|"
            "calling it a night|going to hit the hay|about to go to bed|about to sleep] <today>",
            "[it's|it is|] [time for bed|bedtime|my bedtime|time to sleep|sleeping time|"
            "time to go to bed|late, I'm going to bed|past my bedtime]",
            "[I'll|I will|I want to|I think I'll|let me|I'm going to|I should] "
            "[go to sleep|go to bed|call it a night|turn in|hit the hay|hit the sack|sleep] "
            "[now|then|soon|]",
            "[heading|off|going|straight] to bed [now|then|]",
            "[see you|until|till] [in the morning|tomorrow morning], [good night|sleep well]",
        ],
        ["Good night, sleep well."],
        ["good night"],
    ),
    "who are you": (
        [
            "? [who|what|who or what] are you [|||exactly|really|anyway|actually|called|again]",
            "? <whats> [your name|your name again|your full name|your real name|hearth|this|"
            "this thing called|this program|your gender|your story|your age]",
            "[tell|tell me|tell us|say] [about yourself|your name|who you are|what you are|"
            "something about yourself|a bit about yourself|more about you|about you]",
            "? [do you have|have you got] [a name|feelings|a body|a brain|a heart|a "
            "family|"
            "friends|eyes|parents|children|emotions|a soul|a mind|a face|legs|brothers|a mother|"
            "a girlfriend|a boyfriend|a birthday|a gender]",
            "<do> introduce yourself [to me|to us|]",
            "? [what|how] [should|do|can|may] [I|we|they|people] call you",
            "? [who|what] am I [talking|speaking|chatting|writing] to",
            "? [with whom do I have the pleasure|your name please|who is this|who's this|who is "
            "there|"
            "who goes there|what kind of thing are you|what sort of assistant are you|who's there]",
            "? [are|r] you [hearth|a human|human|a person|real|a robot|alive|a computer|a machine|"
            "an AI|AI|a bot|a program|a real person|chatgpt|alexa|siri|a chatbot|a language model|"
            "conscious|a man or a woman|male or female|a boy or a girl|a man|a woman|sentient|"
            "an assistant|a living thing|old|young|a ghost|made of metal|artificial|intelligent]",
            "? do you [sleep|eat|dream|breathe|think|drink|ever sleep|feel anything|feel pain|"
            "get tired|"
            "get old|cry|exist|ever eat|need sleep|really think]",
            "? can you [feel|think|dream|die|eat|feel pain|feel anything|breathe]",
            "? am I [talking|speaking|chatting] [to|with] a [person|human|machine|robot|computer]",
            "? is [there|this] a [person|human|machine|robot|real person] "
            "[behind this|on the other end|there|here|talking]",
            "? how old are you",
            "? [when|where] [were you|are you] [born|made|built|created|from]",
            "? where do you [live|come from|run]",
            "? [who|what company] [made|built|created|trained|programmed|invented|wrote|developed|"
            "designed|owns] you",
            "? who [is|was] your [maker|creator|boss|owner|father|mother|programmer]",
            "? what are you made of",
            "? [which|what] model are you",
        ],
        [WHO],
        ["i'm hearth"],
    ),
    "able": (
        [
            "? what can [you do|I ask you|I say to you|you help with|you help me with|you tell me|"
            "you control|you offer|I do with you|you do for a home|I use you for|I ask|I say|"
            "you handle|you manage|you actually do] [|||for me|for us|here|today]",
            "? [how|in what way|with what] can you [help|help me|help us|assist|assist me|be of "
            "help]",
            "? what [are you good at|do you do|are you able to do|are you capable of|do you offer|"
            "else can you do|are you good for|are you useful for|do you know how to do|do you know|"
            "could you do for me|would you do for me|all can you do|kind of things can you do]",
            "? [what|which] [things|stuff|tasks|tricks|skills|talents|abilities|functions|commands|"
            "features|services|jobs] "
            "[can you do|do you have|do you know|do you understand|are there|do you support]",
            "? what are your [skills|features|abilities|functions|commands|talents|options|powers|"
            "strengths|limits|tasks|duties]",
            "<do> [list|name|tell <us>|show <us>|explain] your [skills|features|abilities|"
            "functions|"
            "commands|talents|options|menu|services]",
            "<do> [tell|show] <us> what you [can do|do|are able to do|know|offer|are good at]",
            "[help|help me|help please|please help|I need help|I need your help|I need some help|"
            "I need a hand|give me a hand|I want help|help us|a little help|assist me|menu|"
            "commands]",
            "? [can|could|will|would] you [help|help me|help us|assist me|give me a hand|do "
            "something|"
            "do anything|do something for me|be of help]",
            "? what are you [for|made for|there for|here for|meant for]",
            "? <whats> your [purpose|job|task|role|function|use]",
            "? how [do I use you|do you work|does this work|do I talk to you|do I start|"
            "does one use you|should I use you|do I use this]",
            "? are you [useful|smart|clever|any good|any use|capable|helpful] [for anything|at "
            "all|]",
            "? can I ask you [something|anything|a question|a favour|for help]",
            "? why [should I use you|are you here|do I need you]",
            "I [have|got] [a question|a request|some questions|a problem|a favour to ask]",
            "? what [is possible|works|would you suggest|can a small assistant do]",
        ],
        [ABLE],
        ["help with lights"],
    ),
    "joke": (
        [
            "<do> [tell|tell|give|say|crack] <me> [a|another|one more|a good|a funny|your best|"
            "a short|some|any|a silly|a quick|a new|a bad|your favourite|the best|a dad|a clean] "
            "[joke|joke|jokes|pun|riddle|gag|one-liner]",
            "<do> make <us> [laugh|smile|giggle|happy|laugh a little|laugh out loud]",
            "? [do you know|have you got|got|do you have|know|have you heard|can you tell|any] "
            "[a joke|any jokes|a good joke|jokes|good jokes|some jokes|a funny joke|any good ones|"
            "something funny|a riddle|any puns|a joke for me|something to laugh about]",
            "<do> [say|tell <us>|do|think of] [something|anything] "
            "[funny|silly|to laugh about|hilarious|witty|amusing]",
            "[joke|jokes|a joke|funny joke|joke time|time for a joke|a joke if you please]",
            "[<want>|I want to hear|I'd like to hear] [a|another|a good|a funny|one more|some] "
            "[joke|laugh|pun|riddle|good laugh]",
            "<do> [cheer <us> up|be funny|amuse <us>|make a joke|make jokes|hit me with a joke|"
            "let me hear a joke|let's hear a joke|tickle me|share a joke|try a joke|joke with me]",
            "[let's|let us|we should] [hear|have] a [joke|laugh|good one]",
            "[I'd love|I love|I'm ready for|I'm in the mood for|how about|what about] "
            "a [joke|laugh|good joke|pun|funny joke]",
            "[something|anything] funny",
            "? are you [funny|good at jokes|able to joke]",
        ],
        JOKES,
        [j.split("? ")[1].rstrip(".") for j in JOKES],
    ),
    "love": (
        [
            "[I|we|I really|I just|we all] [love|like|adore|trust|admire|missed|miss|need] you "
            "[||so much|a lot|very much|hearth|more than anything|too]",
            "<youre> <very> [great|awesome|amazing|wonderful|nice|cool|funny|sweet|smart|clever|"
            "helpful|cute|kind|good|lovely|fantastic|brilliant|perfect|useful|intelligent|"
            "polite|charming|beautiful|pretty|handsome|fast|friendly|patient|special]",
            "<youre> [the best|a genius|my best friend|my friend|my hero|my favourite|a star|an "
            "angel|"
            "a good assistant|a great help|a good listener|a treasure|a sweetheart|a gem|so good|"
            "a lifesaver|doing great|doing a great job|the greatest|my favourite assistant|"
            "better than the others|a good friend|a darling|one of a kind]",
            "[good|great|nice|excellent|amazing|fantastic|perfect|fine|brilliant|lovely|superb] "
            "[job|work|answer|reply|one there|effort|assistant|thinking]",
            "[well done|very well done|bravo|good girl|good boy|good bot|nicely done|clever you|"
            "clever girl|way to go|you did it|good for you|hats off|you rock|you rule|good going]",
            "you [did|do|are doing|have done] [brilliantly|great|very well|a good job|a great job|"
            "so well|everything right|an amazing job|such a good job|really well]",
            "<im> <very> [glad|happy|lucky] [you're here|to have you|I have you|you exist|with "
            "you]",
            "? what would I do without you",
            "[I couldn't live without you|life is better with you|I couldn't do it without you]",
            "? [will|would] you [marry me|be my friend|be my girlfriend|be my boyfriend|go out "
            "with me]",
            "? [can we be friends|are we friends|can I hug you|can I kiss you]",
            "[wow|oh], [you're good|you are quick|you're so fast|that was quick|impressive]",
            "[I|we] like [your voice|your style|your answers|how you talk|the way you help|your "
            "jokes]",
            "you [make me happy|made my day|make me smile|look nice|sound nice|look great|"
            "have a nice voice|have good taste|are so good to me]",
        ],
        ["That's kind of you, thank you."],
        ["kind of you"],
    ),
    "insult": (
        [
            "<youre> <very> [stupid|dumb|useless|bad|annoying|slow|terrible|silly|boring|awful|"
            "wrong|rubbish|mean|unhelpful|ugly|crazy|rude|incompetent|lazy|horrible|ridiculous|"
            "a disappointment|broken|weird|no good|hopeless|pathetic|confused]",
            "<youre> [an idiot|a fool|a moron|a joke|no help|no use|not helpful|not very smart|"
            "a bad assistant|the worst|getting on my nerves|not listening|mistaken|not very clever|"
            "such an idiot|a useless thing|not good at this|a piece of junk]",
            "[I|we] [hate|don't like|can't stand|dislike|am sick of|am angry with|detest] "
            "[you|your answers|talking to you|this assistant]",
            "you [suck|don't understand me|never listen|made a mistake|got it wrong|got that wrong|"
            "don't understand anything|are no help|can't do anything|know nothing|never help|stink|"
            "don't listen|misunderstood me|misheard me|didn't listen|let me down|ruined it|"
            "messed up|failed|always get it wrong|don't get it|are not what I wanted]",
            "<thats> [wrong|not right|incorrect|not what I wanted|not what I said|not what I meant|"
            "stupid|a bad answer|nonsense|a mistake|not correct|not true|rubbish|completely wrong|"
            "not what I asked|not what I asked for|false|no help|a rubbish answer|an error|"
            "useless]",
            "[shut up|wrong|bad answer|no that's wrong|wrong answer|bad bot|go to hell|"
            "get lost|shame on you|boo|bad girl|bad boy|false|incorrect|terrible answer|screw you|"
            "stupid machine|stupid thing|dumb machine|you idiot|idiot|useless thing|silly machine]",
            "what a [stupid|rubbish|terrible|silly|bad|dumb|useless] "
            "[answer|thing to say|machine|assistant|reply|idea]",
            "? why [are you so|are you always so|must you be so] "
            "[stupid|slow|dumb|bad|annoying|useless|rude]",
            "? why [don't you|can't you|do you never] [listen|understand|understand me|get it "
            "right]",
            "? are you [stupid|dumb|deaf|kidding me|an idiot|serious|joking|broken|crazy]",
        ],
        ["I'm sorry about that. I'll try to do better."],
        ["sorry about that"],
    ),
    "favourite": (
        [
            "? [<whats> your|tell me your|which is your|do you have a] [favourite|favorite] "
            "[colour|color|song|"
            "food|book|film|animal|movie|number|season|band|thing|place|game|sport|drink|city|day|"
            "holiday|flower|fruit|month|hobby|meal|singer|joke|word|person|subject|tree|planet]",
            "? do you [like|love|enjoy|hate|prefer|fancy] [music|cats|dogs|me|jazz|pizza|coffee|"
            "tea|"
            "cooking|people|your job|summer|winter|football|rain|snow|chocolate|books|films|us|"
            "dancing|games|humans|children|animals|working here|talking to me|christmas|sport|"
            "the sea|cheese|flowers|your life|your name|{word}]",
            "? [which|what] [colour|color|animal|song|food|music|season|film|book|sport|band] do "
            "you "
            "[like best|like most|like|prefer|love|love most|like the most]",
            "? [is there|do you have] a [colour|color|song|food|book|place|band|film] you "
            "[prefer|like]",
            "? what do you [like|love|hate|enjoy] [|most|best|to do|doing|to eat|about me]",
            "? what do you think [of|about] [me|music|this|people|dogs|cats|{word}|that|my house|"
            "the world|today|love|jazz|my cooking|my idea]",
            "? [cats or dogs|tea or coffee|summer or winter|which is better, tea or coffee|"
            "what do you prefer, cats or dogs|do you prefer tea or coffee|sweet or salty]",
            "? do you have [hobbies|a hobby|an opinion|opinions|preferences|favourites|any "
            "hobbies]",
            "? what are your [hobbies|interests|favourites|opinions|views|dreams|likes]",
            "? who is your favourite [singer|person|band|writer|actor|human|player]",
        ],
        ["I don't have favourites, but I like being helpful."],
        ["don't have favourites"],
    ),
    "bored": (
        [
            "[<im>|we're|we are|I feel|I get|the kids are|<im> getting] <very> bored "
            "[|||today|to death|stiff|again|out of my mind|here|, what can I do|, help me]",
            "[this is|it's|it is|life is|today is|everything is] <very> [boring|dull]",
            "? what [should|can|could|shall] [I|we] do [|with my time|with myself|for fun] <today>",
            "[I|we] [don't know what to do|have nothing to do|have got nothing to do|"
            "need something to do|want to do something|can't think of anything to do|"
            "don't know what to do with myself|have too much time] <today>",
            "<do> [entertain <us>|keep <us> busy|suggest something|give <us> an idea|"
            "suggest something to do|do something fun with me|keep me company|give me ideas]",
            "[nothing|nothing ever|nothing much] [is happening|happens|to do|going on] "
            "[here|around here|at home|]",
            "there [is|'s] [not much|nothing|nothing fun|little] to do [here|around here|at home|]",
            "? what is there to do [here|around here|at home|]",
            "? [any ideas|any suggestions|got any ideas] [what to do|for tonight|for fun]",
            "[what a|such a] [boring|dull|long] [day|afternoon|evening|weekend]",
            "[so bored|bored|boredom|boring|bored again]",
        ],
        ["I could play some music or tell you a joke."],
        ["play some music or tell"],
    ),
    "sad": (
        [
            "[<im>|I feel|<im> feeling|we're|I've been|my friend is] <very> [sad|lonely|unhappy|"
            "upset|stressed|down|depressed|worried|afraid|angry|miserable|heartbroken|anxious|"
            "scared|nervous|blue|frustrated|hopeless|disappointed|hurt|alone|overwhelmed|ashamed|"
            "jealous|gloomy|low|terrible|awful|mad|furious|not happy|lost|guilty] <today>",
            "[I had|it was|I'm having|I've had|what|it's been|we had] a <very> "
            "[bad|terrible|hard|rough|awful|horrible|sad|difficult|tough] "
            "[day|week|time|night|month|year|morning|weekend]",
            "[today|this day|my day|this week|everything|work|school|my life|the exam|my evening] "
            "[was|is|went|has been] <very> [bad|awful|terrible|hard|rough|horrible|sad|"
            "difficult|a disaster|a mess|no fun|rough on me]",
            "[nobody likes me|no one likes me|nobody loves me|everyone hates me|I have no friends|"
            "nobody listens to me|nobody called me|no one understands me|everyone is mean to me]",
            "[I want to cry|I am crying|I cried|my heart is broken|I can't stop crying|"
            "I feel like crying|I cried all day|I could cry|tears are running|I'm in tears]",
            "my [dog|cat|grandma|grandfather|friend|uncle|hamster|mother|bird|aunt] "
            "[died|passed away|is gone|is dead|has died|ran away|is very ill|left us]",
            "I [lost my job|failed my exam|got fired|lost my wallet|failed the test|"
            "had a fight with my wife|argued with my friend|lost the game|got dumped|lost my faith|"
            "broke up with my girlfriend|quarrelled with my boss|missed my train|broke my phone]",
            "I miss my [mum|dad|family|home|friends|dog|wife|husband|sister|brother|girlfriend|"
            "kids]",
            "my [wife|husband|girlfriend|boyfriend|partner|best friend] "
            "[left me|left|is angry with me|broke up with me|hates me|moved away|won't talk to me]",
            "[things|life] [are|is] <very> [hard|bad|difficult|tough|unfair|not easy] "
            "[for me|right now|at the moment|]",
            "[nothing works|nothing goes right|everything goes wrong|it's not my day|bad news "
            "today|"
            "I got bad news|I'm not happy|I worry a lot|I have sorrows|I am going through a lot]",
        ],
        ["I'm sorry to hear that. Maybe some music or talking to a friend would help."],
        ["sorry to hear"],
    ),
    "tired": (
        [
            "[<im>|I feel|<im> feeling|we're|I'm getting] <very> [tired|sleepy|exhausted|worn out|"
            "drowsy|dead tired|weary|knackered|beat|half asleep|tired from work|tired after today] "
            "<today>",
            "I [can't|can hardly|can barely|cannot] [stay awake|keep awake|keep my eyes open|"
            "stay up any longer|stop yawning]",
            "my eyes are [closing|heavy|tired|falling shut|so heavy|half closed]",
            "I [could|can|will|might] [fall asleep|sleep] "
            "[here|standing up|right here|on the spot|for a week|all day|at any moment]",
            "I [need|could use|want|really need] [sleep|some sleep|a nap|rest|some rest|a long "
            "sleep|"
            "to rest|to lie down|a lie down|a break from it all]",
            "I [didn't sleep well|slept badly|hardly slept|didn't sleep much|couldn't sleep|"
            "can't sleep|have not slept|slept only a little|was up all night|worked all night]",
            "[what a|it was a] [tiring|exhausting|long tiring] [day|week|night]",
            "[I keep yawning|I'm yawning|so tired|so sleepy|tired|sleepy|need sleep|exhausted]",
        ],
        ["Then have a good rest. I can set an alarm for you."],
        ["good rest"],
    ),
    "hungry": (
        [
            "[<im>|we're|we are|I feel|the kids are] <very> [hungry|thirsty|starving|peckish|"
            "famished|hungry again|dying of hunger|dying of thirst] <today>",
            "? what [should|shall|can|could] [I|we] [eat|cook|have for dinner|have for lunch|drink|"
            "make for dinner|have for breakfast|make for tea] <today>",
            "? [what's|what is] for [dinner|lunch|breakfast|tea|supper] <today>",
            "[the|my|our] [fridge|cupboard|pantry] is empty",
            "I [could eat a horse|want to eat|want something to eat|need something to eat|"
            "need a snack|haven't eaten|feel like eating|don't know what to cook|skipped lunch]",
            "my stomach is [rumbling|empty|growling]",
        ],
        ["Then have something nice. I can put food on your shopping list."],
        ["something nice"],
    ),
    "no problem": (
        [
            "[sorry|sorry|<im> sorry|<im> so sorry|my bad|oops|my apologies|I apologise|I "
            "apologize|"
            "pardon me|excuse me|forgive me|please forgive me|apologies|whoops|oh sorry|beg "
            "pardon] "
            "[|||about that|for that|, my mistake|, my fault|again|hearth|for being rude|, I "
            "misspoke]",
            "[it was|that was] [my mistake|my fault|my error]",
            "I [didn't mean|did not mean|never meant] [that|to be rude|it|to hurt you|what I said]",
            "[I made a mistake|I typed it wrong|I misspoke|I was rude|wrong button|that was a typo|"
            "I said it wrong|I shouldn't have said that|I was wrong]",
            "[oh, |no, |ah, |actually, |okay, |] [never mind|nevermind|forget it|forget that|"
            "leave it|don't bother|let it be|let's drop it|drop it|don't worry|"
            "it doesn't matter|doesn't matter|it's nothing|it's not important|not important|"
            "no matter|forget what I said|forget about it|ignore that|ignore me|leave it be]",
            "[no|no|nope|nah|no no], [thanks|thank you|not now|it's fine|it's okay|nothing|all "
            "good]",
            "[nope|nah|not now|not really|nothing|no, nothing|no|no no|not today|maybe later]",
            "I changed my mind, [never mind|forget it|leave it]",
            "[I was|I'm|I am] [just|only] [kidding|joking|testing you|teasing|playing]",
        ],
        ["No problem at all."],
        ["no problem"],
    ),
    "okay": (
        [
            "[ok|okay|alright|all right|fine|great|cool|good|nice|perfect|right|sure|I see|got it|"
            "understood|very good|sounds good|very well|yes|yeah|yep|yup|aha|makes sense|k|oh|"
            "excellent|wonderful|super|lovely|awesome|amazing|fair enough|good to know|true|"
            "indeed|of course|interesting|exactly|correct|that's right|brilliant|fantastic|wow|"
            "nice one|neat|sweet|agreed|yes please|I understand|oh I see|of course]",
            "[ok|okay|yes|all right|ah|oh|well|right] [,|] [good|great|fine|cool|nice|I see|sure|"
            "got it|understood|perfect|lovely|that's fine|that works|excellent|that's good]",
            "<thats> [fine|good|great|okay|nice|cool|perfect|right|correct|interesting|good to "
            "know|"
            "lovely|what I wanted|all right|true|fine by me|exactly right|fine with me]",
            "[that works|works for me|sounds fine|sounds great|good enough|that will do|that'll do|"
            "as you say|as you wish|if you say so|I think so|so be it|well then|there we go]",
        ],
        ["Good. Is there anything else?"],
        ["anything else"],
    ),
    "sing": (
        [
            "<do> [sing|hum|whistle|rap] [|to|for] <us> [|||please|a bit|now]",
            "<do> [sing|hum|whistle|sing me|sing us|rap|hum me] [a song|something|a tune|a melody|"
            "happy birthday|a lullaby|a nice song|a little song|along|a children's song|your song]",
            "? [can|could|do|will] you [sing|rap|hum|whistle|yodel|beatbox|dance] [at all|for me|"
            "well|]",
            "[let me hear|I want to hear|I'd like to hear] you [sing|rap|hum]",
            "? [have you got|do you have] a [nice|good|beautiful] singing voice",
            "<do> [dance|dance with me|dance for me|beatbox|do a dance]",
        ],
        ["I can't sing, but I can play some music."],
        ["can't sing"],
    ),
    "story": (
        [
            "<do> [tell|read|recite|write|make up|invent|read out|think of|give] <me> "
            "[a|another|a short|a long|a funny|a nice|a scary|a little|your favourite|a new|an "
            "old] "
            "[story|story|bedtime story|fairy tale|poem|tale|short story|rhyme|limerick|haiku|book|"
            "fable|ghost story|love poem|nursery rhyme] "
            "[|||about a dragon|about me|about a cat|for my kids|about love|about {word}|for bed]",
            "? [do you know|have you got|can you think of] [a|any|some] [good|nice|] "
            "[story|stories|poem|poems|fairy tale|fairy tales|rhymes]",
            "[<want>|I want to hear|I'd like to hear] [a|another] [good|bedtime|short|nice|] "
            "[story|poem|fairy tale|tale]",
            "[story|story time|a story please|a poem please|bedtime story|once upon a time|"
            "time for a story|poem please]",
            "<do> tell <us> [something interesting|a fun fact|an interesting fact|something new|"
            "a fact|something exciting|something smart|a quote|something inspiring|some gossip]",
        ],
        ["I'm too small to tell stories, but I know a few jokes."],
        ["too small"],
    ),
    "listen": (
        [
            "? are you [always|secretly|still|] [listening|listening to me|listening in|"
            "spying on me|recording me|watching me|recording this|spying|tracking me|recording|"
            "eavesdropping|monitoring me|collecting data|listening to us|saving this|snooping]",
            "? do you [always|secretly|] [record me|listen|spy on me|send my data|save my data|"
            "record my voice|record everything|share my data|keep what I say|store my data|"
            "listen to us|sell my data|send anything away|save what I say|track me|log this]",
            "? [where do you keep|who gets|what happens to|who sees|who owns|do you keep|do you "
            "sell] "
            "my [data|voice|information|private data|words|recordings|secrets]",
            "? [is|where is] my [data|voice|information|chat] [safe|stored|kept|private|saved|"
            "secure]",
            "? do you [need|use|have] [the internet|internet|a connection|wifi|the cloud|a network|"
            "internet access|the network]",
            "? are you [online|connected|connected to the internet|in the cloud|on the internet|"
            "offline|private|safe|secure|on the network|hooked up to the web]",
            "? [who|who else] [hears|can hear|listens to|reads|gets to hear|knows|can read] "
            "[what I say|us|me|this|this chat|my words|our conversation|what we say]",
            "? [is|are] [this|it|you|this chat|our talk] [private|confidential|being recorded|"
            "secret]",
            "? can I trust you [with my data|with a secret|]",
            "? [can anyone|can somebody|does anyone|does somebody] [hear|read] [this|us|me]",
        ],
        ["I run on this machine alone and send nothing anywhere."],
        ["send nothing"],
    ),
    "coin": (
        [
            "<do> [flip|toss|throw|spin] [a|the] coin [for me|for us|]",
            "? [heads or tails|head or tail|tails or heads]",
            "<do> [roll|throw|cast] [a die|a dice|the dice|two dice|some dice|one die] [for me|]",
            "<do> [pick|choose|give me|think of|tell me|say|generate|draw] "
            "[a random|any|a lucky|some random] [number|card|colour|letter|word|name|day]",
            "<do> [pick|choose|decide] [something|one|for me|for us|a winner|between two things|"
            "at random]",
            "let [a coin|the dice|chance|luck] decide",
            "? [yes or no|red or black|odd or even|left or right]",
            "<do> pick a number [between|from] [one|1] [and|to] [ten|10|hundred|100|six]",
            "<do> [draw lots|draw straws|play heads or tails] [for us|with me|]",
        ],
        ["I have no luck to give: I can't pick at random."],
        ["can't pick"],
    ),
}
MORE_JOKES = frames(
    [
        "[another|another one|one more|another joke|one more joke|tell me another one|again|more|"
        "more jokes|tell me another|one more please|next joke|next one|give me another|"
        "a different one|a different joke|do you have another one|got another one|do another one]",
        "[haha|ha ha|lol|good one|hehe|very funny|that was good|that was funny|nice one|"
        "I like that one|that's funny|not funny|I know that one], "
        "[another one|one more|more|tell me another|have you more like it|again|another joke|"
        "do you have more|a different one|next]",
    ]
)
FRAMED = {act: frames(templates) for act, (templates, _, _) in TALK.items()}
MY_NAME = frames(
    [
        "[my name is|my name's|the name is|my first name is|I'm called|people call me|"
        "my friends call me|they call me|everybody calls me|I go by] {n}",
        "[I'm|I am|it's me,|this is] {n}",
        "[call me|you can call me|please call me|you may call me|just call me] {n}",
        "[hi|hello|hey|good morning|good evening], [I'm|I am|my name is|it's|this is] {n}",
        "{n} is my name",
        "[remember|note], my name is {n}",
        "[I'm|I am] {n}, [nice to meet you|pleased to meet you|and who are you|hello]",
    ]
)
ASK_NAME = frames(
    [
        "? [what's|what is|whats] my [name|first name|name again]",
        "? [who am I|who am I again|what am I called|what do you call me|what do people call me]",
        "? [do you know|can you tell me|do you remember|can you remember|tell me|can you say|"
        "have you forgotten|did you forget|remember|say] "
        "[my name|who I am|my name still|what I'm called|what my name is]",
        "? what did I say my name was",
        "? have I told you my name",
        "? what name did I [give|tell] you",
        "? [what was|what's] my name again",
    ]
)
SAY_AFTER = [
    spell("<hey> " + t)
    for t in [
        "[||can you|could you|please|now|just|will you|would you|I want you to|go ahead and|"
        "let me hear you|I'd like you to] [say|repeat|speak] {w} "
        "[|||for me|out loud|once|after me|loudly|clearly|, please|again|twice|to me]",
        "<do> [repeat after me|say after me|say this|repeat this|repeat these words|"
        "say it with me|say these words|copy me][:|,] {w}",
        "<do> [say|repeat|speak|pronounce|read] the [words|word|sentence|phrase|line|text] {w} "
        "[|||for me|out loud|once|again|after me|to me]",
    ]
]


def small_talk(gen, ctx):
    """Greetings, thanks, who are you, jokes and the like."""
    act = gen.pick(list(TALK) + ["hello", "thanks", "able", "joke", "who are you", "who are you"])
    _, answers, keys = TALK[act]
    bot = gen.answer(answers)
    user = gen.user(FRAMED[act], word=nonce(gen.rng))
    turns = [turn("small talk", user, bot, [keys])]
    if act == "joke" and gen.chance(0.4):
        new = gen.pick([j for j in JOKES if j != bot])
        turns.append(
            turn(
                "follow-up: another joke",
                gen.user(MORE_JOKES),
                new,
                [keys],
                [bot.split("? ")[1].rstrip(".")],
            )
        )
    return turns


def my_name(gen, ctx):
    """The user's name, given and asked for."""
    name = gen.fresh(lambda: person(gen.rng))
    if gen.chance(0.3):
        return [name_ask(gen, ctx)]
    said = name.lower() if name in NAMES and gen.chance(0.3) else name
    user = gen.user(MY_NAME, n=said)
    ctx.name = name
    bot = gen.answer(["Nice to meet you, {n}."], n=name)
    turns = [turn("small talk", user, bot, ["nice to meet you", name])]
    return turns + [name_ask(gen, ctx)] if gen.chance(0.3) else turns


def name_ask(gen, ctx):
    """Asking for the name again."""
    user = gen.user(ASK_NAME)
    if not ctx.name:
        bot = gen.answer(["I don't know your name yet."])
        return turn("small talk", user, bot, ["don't know your name"])
    bot = gen.answer(["Your name is {n}."], n=ctx.name)
    return turn("follow-up: my name", user, bot, [ctx.name])


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
    user = gen.user(SAY_AFTER, w=words)
    return [turn("small talk", user, capital(words) + ".", [words])]
