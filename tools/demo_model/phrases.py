"""Fragments that many templates share: ways to ask, reasons to give, small words."""

# Before a verb: "do you think you could [turn on the lamp]".
ASK_YOU = (
    "[why don't you|do you think you could|any chance you could|would you be able to|you could|"
    "maybe you could|perhaps you can|I'd be glad if you could|be a dear and|"
    "is it possible for you to|"
    "I'd like you to|I want you to|I need you to|I was hoping you could|can I ask you to|"
    "could I ask you to|"
    "I'd appreciate it if you could|may I ask you to|how about you|would it be possible for you to|"
    "I'd love it if you could|it would be great if you could|would it be okay to ask you to|"
    "I think you should|you should|you may|are you able to|could you maybe|can you quickly|you can]"
)
ASK = ASK_YOU[:-1] + (
    "|let's|is it possible to|I'd like to|I want to|I need to|we need to|we should|help me|"
    "it's time to|"
    "time to|can we|could we|can I|could I|would it be possible to|we want to|I have to|"
    "we'd like to]"
)
# Before a thing: "I would like [the lamp on]".
WANT = (
    "[I want|I need|I'd like|we want|we need|I would like|I'd love|I'd prefer|let's have|"
    "let me have|"
    "can I have|could I have|can we have|could we have|can I get|may I have|how about|what about|"
    "it would be nice to have|I'm after|I could do with|I could use|we could do with|I'll have|"
    "I'll take|get me|give me|please give me|I wouldn't mind|I really need|I think I need]"
)
# After a request.
TAIL = (
    "[||||again|at once|straight away|right away|immediately|quickly|first|then|for me|for us|"
    "if possible|when you get a chance|if you don't mind|as soon as you can|thanks a lot|today]"
)
# In front of a request, with a comma.
REASON = (
    "[I'm leaving|we're going out|I'm home|I'm back|I'm in the middle of cooking|my hands are full|"
    "I'm busy|guests are coming|I'm off to work|the baby is asleep|we have visitors|"
    "I'm in bed already|"
    "I just got in|we are done here|the film is starting|before I forget|one more thing|"
    "while I cook|listen|okay|well|so|right|sorry to bother you|I almost forgot|oh|hey there|"
    "one thing|I have a request|a small favour|do me a favour]"
)
# In front of a question or a remark; brings its comma along.
ASIDE = (
    "[||||so,|and|okay,|well,|now,|tell me,|quick question,|by the way,|excuse me,|sorry,|hm,|"
    "one question,|oh,|hey,|right,|hearth,|please,|hello,]"
)
# In front of an indirect question: "do you know [what time it is]".
WONDER = (
    "[tell me|can you tell me|could you tell me|do you know|I'd like to know|I want to know|"
    "I wonder|any idea|do you happen to know|please tell me|would you tell me|let me know|"
    "I need to know|do you have any idea|I'm wondering|could you say|can you say|I was wondering|"
    "remind me|I forgot|I'm not sure|have you any idea|are you able to tell me|"
    "would you mind telling me|I'd love to know|we'd like to know|you must know|can you check|"
    "could you check|please check|check]"
)
# Changing one's mind: "actually, [make it ten]".
CHANGE = (
    "[no|actually|sorry|wait|oh|hmm|no wait|no sorry|oh sorry|hold on|on second thought|"
    "wait a moment|I changed my mind|changed my mind|my mistake|oops|rather|okay|well|"
    "come to think of it|"
    "I was wrong|hang on|scratch that|correction|I misspoke|oh wait|let me think]"
)


# In front of a short reply or a follow-up; brings its comma along.
WELL = (
    "[|||||oh,|okay,|well,|um,|hm,|right,|yes,|please,|sorry,|let me see,|let me think,|hey,|uh,|"
    "you know what,|good,|great,|thanks,|ah,]"
)


def after(opening, templates):
    """The templates with an opening in front of each."""
    return [opening + " " + template for template in templates]


def more(count, *templates):
    """The templates, taken this many times: the plain ways to say a thing come up more often."""
    return list(templates) * count
