"""The shopping list of this conversation."""

from grammar import turn
from phrases import ASIDE, ASK, REASON, TAIL, WANT, WELL, WONDER, after, more
from slots import item, nonce, spoken_list

LIST = (
    "[the shopping list|my shopping list|the list|my list|our list|our shopping list|"
    "the grocery list|my grocery list]"
)


ADD = more(
    3,
    "[add|put|write|note|place|get] {i} [to|on|onto] " + LIST + " " + TAIL,
    "[add|put|write|note] {i} [to|on] " + LIST + " " + TAIL,
) + [
    "[add|buy|get|note|write down|note down|put down|jot down|include|list] {i} " + TAIL,
    "we [need|are out of|have no more|ran out of|don't have any more|have run out of|must buy|"
    "should get|could use|want|"
    "need to buy|need to get|have to get|are running low on] {i} [again|too|, put it on the list|"
    ", add it to the list|]",
    "I [need|need to buy|have to buy|want|must get|want to buy|need to get|have run out of|"
    "ran out of|forgot|could use|would like] "
    "{i} [on the list|from the shop|from the supermarket|from the store|, add it|"
    ", put it on the list|for tomorrow|for dinner|next time|]",
    "{i} [on|to|for|onto|goes on|must go on|should go on|belongs on|"
    "needs to be on] " + LIST + " [please|, please|too|]",
    "[write|jot|note|put] [down|] {i} [down|] [on|for] " + LIST + " " + TAIL,
    "[shopping list|shopping|groceries|for the list|for the shop|new item|add to list]: {i}",
    ASK + " [add|put] {i} [to|on] " + LIST,
    REASON + ", [add|put] {i} [to|on] " + LIST,
    WANT + " {i} on " + LIST,
    "[the list|my list|our list|the shopping list] [is missing|needs|lacks|should have|"
    "should include|must have] {i} [too|still|]",
    "[don't let me|I mustn't|don't let us|I must not|remind me not to] [forget|"
    "leave the shop without] {i}, "
    "[list it|put it on the list|add it to the list|write it down|add it]",
    "[there's no|there is no|the fridge is empty, we need|next time I'm shopping I need|"
    "when I go shopping I need|"
    "from the shop I need|from the supermarket we need|the shop must give us] {i} [left|"
    ", add it to the list|, put it on the list]",
    "[make sure|see to it|check] [that|] {i} [is|gets|goes] on " + LIST,
]
ALSO = [
    "[and|and also|also|oh and|plus|and then|then also|and maybe|oh, and|okay, and|yes, and|next,|"
    "as well as|"
    "don't forget|and we need|and I need|we also need|I also need|I forgot] {i} [too|as well|"
    "please|, please|]",
    "{i} [too|as well|also|please|, please|, too|as well please]",
    "[and|also|now|then|please|can you also|could you also|would you also|and please|you can also] "
    "[add|put|note|write down] {i} [too|as well|please|on it|there|]",
    "[add|put on|put] {i} [too|as well|on it|to it|on it too|there too|to that]",
    "[one more thing|another thing|something else|I forgot|nearly forgot|"
    "and one thing more]: {i} [please|too|]",
    "{i} [should go on it|goes on it|belongs on it|must be on it|is missing] [too|as well|]",
    "[I need|we need|we want|get|buy|I want] {i} [too|as well|also]",
]
READ = more(
    2,
    ASIDE + " [what's|what is|what do we have|what do I have|what have I got|what have we got] "
    "[on|on|written on] " + LIST + " [now|so far|right now|please|today|]",
) + [
    "[read|tell|give|show] me " + LIST + " [please|again|now|, please|]",
    "[show|read out|read|recite|repeat|list|say|check|go through|run through|display|"
    "look at] " + LIST + " " + TAIL,
    ASIDE + " what do [I|we] [need to buy|have to buy|need|need to get|have to get|want to buy|"
    "still need|need from the shop|"
    "have to bring home] [today|now|again|]",
    ASIDE + " [what|which things|what things|what all|which items] [did I|have I|did we|"
    "have we] [put|got|written|add to|noted] "
    "[on the list|on my list|on it|there] [so far|]",
    ASIDE + " [the list|shopping list|my shopping list|the shopping list|my list] [please|"
    ", please|again]",
    ASIDE + " [what's|what is] on it [now|so far|right now|please|again|]",
    WONDER + " [what's on the list|what's on my list|what is on the shopping list|"
    "what I need to buy|what we need|"
    "what's on my shopping list|what I put on the list]",
    ASK + " [read|see|hear|go through] " + LIST,
    ASIDE + " [is there anything|is anything|do I have anything|is something|what else is|"
    "how much is] on " + LIST + " [yet|now|]",
    "[I'm at the shop|I'm in the supermarket|I'm going shopping|I'm off to the shop], "
    "[what do I need|what's on the list|read me the list|what do we need|"
    "what should I buy from the list]",
]
CLEAR = [
    "[clear|empty|delete|erase|wipe|reset|scrap|clean|trash|throw away|discard] [the|my|our|"
    "the whole|my whole|the entire] "
    "[list|shopping list|grocery list] " + TAIL,
    "[remove|delete|erase|take|clear] everything [from|on|off] " + LIST + " " + TAIL,
    "[start|make|begin|create|open] a [new|fresh|new empty] [list|shopping list] " + TAIL,
    ASK + " [clear|empty|delete|erase] " + LIST,
    REASON + ", [clear|empty|delete|erase] " + LIST,
    "[I bought everything|we have everything|I'm done shopping|I got it all|the shopping is done], "
    "[clear the list|empty the list|delete the list|clear my list|empty my shopping list]",
    LIST + " [can be|should be|must be] [cleared|emptied|deleted] " + TAIL,
]
GONE = more(
    2,
    "[remove|delete|take|cross|strike|scratch|erase|get] {i} [off|from] " + LIST + " " + TAIL,
) + [
    "[remove|delete|cross out|scratch|forget|skip|drop|take off|strike out|cancel|leave out|"
    "forget about] {i} [again|please|, please|]",
    "[not|no need for|I was wrong about|forget] {i} [after all|any more|please|on the list]",
    "take {i} off [again|please|it|the list again|]",
    "[cross|strike|take] {i} [off|out] [again|please|]",
    "I [don't need|already have|have|got|found|bought|don't want|no longer need] {i} [now|"
    "any more|already|after all|]",
    "we [don't need|already have|have|got|found|bought|don't want|no longer need] {i} [now|"
    "any more|already|after all|]",
    ASK + " [remove|delete|take|cross] {i} [off|from] " + LIST,
    "{i} [can go|is not needed|isn't needed|can come off|can be removed|should come off|"
    "is not needed any more|is already here]",
]


def shopping(gen, ctx):
    """Add, remove, read and clear the list of this conversation."""
    turns = []
    for _ in range(gen.pick([1, 1, 2, 2, 3])):
        kind = gen.rng.random()
        if kind < 0.16 and ctx.items:
            turns.append(remove_turn(gen, ctx))
        elif kind < 0.2 and not ctx.items or (kind < 0.45 and turns):
            turns.append(read_turn(gen, ctx))
        elif 0.45 < kind < 0.53:
            ctx.items = []
            bot = "Okay, your shopping list is empty now."
            user = gen.user(CLEAR, command=gen.chance(0.4))
            turns.append(turn("shopping", user, bot, ["list is empty now"], (),
                              ("shopping_list", {"action": "clear"})))
        else:
            turns.append(add_turn(gen, ctx, len(turns) > 0))
    return turns


def add_turn(gen, ctx, following):
    """Put one to five things on the list."""
    count = gen.pick([1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5])
    new = gen.fresh(lambda: tuple(dict.fromkeys(item(gen.rng) for _ in range(count))))
    new = [i for i in new if i not in ctx.items] or [nonce(gen.rng)]
    said = spoken_list(new)
    if len(new) > 1 and gen.chance(0.3):
        said = gen.pick([" and ", ", "]).join(new)
    if following and ctx.items and gen.chance(0.6):
        user = gen.user(after(WELL, ALSO), i=said)
        intent = "follow-up: more items"
    else:
        user = gen.user(ADD, command=gen.chance(0.4), i=said)
        intent = "shopping"
    ctx.items += new
    bot = gen.answer(["Okay, I've added {i} to your shopping list."], i=spoken_list(new))
    return turn(intent, user, bot, ["added", "shopping list"] + new, (),
                ("shopping_list", {"action": "add", "items": new}))


def remove_turn(gen, ctx):
    """Take one thing off the list."""
    gone = gen.pick(ctx.items)
    user = gen.user(after(WELL, GONE), i=gone)
    ctx.items = [i for i in ctx.items if i != gone]
    bot = gen.answer(["Okay, I've taken {i} off your shopping list."], i=gone)
    return turn("follow-up: remove item", user, bot, ["taken " + gone + " off"], (),
                ("shopping_list", {"action": "remove", "items": [gone]}))


def read_turn(gen, ctx):
    """Read the list out."""
    user = gen.user(READ)
    call = "shopping_list", {"action": "read"}
    intent = "follow-up: read list" if ctx.items else "shopping"
    if "shopping_list" in ctx.tools and not ctx.items:  # the list may be older than the talk
        ctx.items = [item(gen.rng) for _ in range(gen.pick([0, 1, 2, 3, 4, 6]))]
    if not ctx.items:
        bot = "Your shopping list is empty so far."
        return turn("shopping", user, bot, ["list is empty"], (), call, {"items": []})
    text = spoken_list(ctx.items)
    bot = gen.answer(["On your shopping list you have {i}."], i=text)
    return turn(intent, user, bot, [text], (), call, {"items": list(ctx.items)})
