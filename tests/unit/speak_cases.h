/* Answers, and the pieces in which they are spoken: one a line, "> " before clauses, "| " before
 * those that end a sentence. */
#ifndef TESTS_UNIT_SPEAK_CASES_H
#define TESTS_UNIT_SPEAK_CASES_H

#include "slm.h"

typedef struct speak_case {
    const char *name, *text, *pieces;
    uint32_t flags, min_clause;
} speak_case;

/* clang-format off */
static const speak_case SPEAK_CASES[] = {
    /* ---- languages ---- */
    {"English",
     "Dr. Smith paid $3.50 at 10:30 a.m. on Jan. 5, 2024, e.g. for coffee. He left the U.S. Army "
     "in 1990. Then J. R. R. Tolkien came... and went! \"Really?\" she asked. \"Yes!\" He nodded",
     "> Dr. Smith paid $3.50 at 10:30 a.m. on Jan. 5,\n"
     "| 2024, e.g. for coffee.\n"
     "| He left the U.S. Army in 1990.\n"
     "> Then J. R. R. Tolkien came...\n"
     "| and went!\n"
     "| \"Really?\" she asked.\n"
     "| \"Yes!\"\n"
     "| He nodded\n", 0, 0},
    {"English, sentences",
     "Dr. Smith paid $3.50 at 10:30 a.m. on Jan. 5, 2024, e.g. for coffee. He left the U.S. Army "
     "in 1990. Then J. R. R. Tolkien came... and went! \"Really?\" she asked. \"Yes!\" He nodded. See "
     "fig. 3, p. 5 vs. p. 6. It was no. 7. Was it no. No! Ask Mr. X. He knows i.e. all. Bring milk, "
     "eggs, etc. The rest is at 5 p.m. Tomorrow",
     "| Dr. Smith paid $3.50 at 10:30 a.m. on Jan. 5, 2024, e.g. for coffee.\n"
     "| He left the U.S. Army in 1990.\n"
     "| Then J. R. R. Tolkien came... and went!\n"
     "| \"Really?\" she asked.\n"
     "| \"Yes!\"\n"
     "| He nodded.\n"
     "| See fig. 3, p. 5 vs. p. 6.\n"
     "| It was no. 7.\n"
     "| Was it no.\n"
     "| No!\n"
     "| Ask Mr. X. He knows i.e. all.\n"
     "| Bring milk, eggs, etc.\n"
     "| The rest is at 5 p.m.\n"
     "| Tomorrow\n", SLM_SPEECH_SENTENCES, 0},
    {"German",
     "Am 3. Oktober traf Hr. Dr. Müller z. B. den 2. Vorsitzenden, d.h. Frau Prof. Weiß; sie zahlten ca. "
     "3,50 Euro. Es war 1990. Danach, gegen 8.30 Uhr, sagte er: „Gut.“ Sie ging – endlich – nach "
     "Hause. Das Jh. war das 19. Jahrhundert usw. Ende!",
     "> Am 3. Oktober traf Hr. Dr. Müller z. B. den 2. Vorsitzenden,\n"
     "> d.h. Frau Prof. Weiß;\n"
     "| sie zahlten ca. 3,50 Euro.\n"
     "| Es war 1990.\n"
     "> Danach, gegen 8.30 Uhr,\n"
     "| sagte er: „Gut.“\n"
     "> Sie ging – endlich –\n"
     "| nach Hause.\n"
     "| Das Jh. war das 19. Jahrhundert usw.\n"
     "| Ende!\n", 0, 0},
    {"French",
     "Bonjour ! M. Dupont et Mme. Curie arrivent à 8 h 30 ; c'est parfait, n'est-ce pas ? Il a dit : "
     "« Entrez ! » Puis il est parti, p. ex. vers Paris. Fin",
     "| Bonjour !\n"
     "> M. Dupont et Mme. Curie arrivent à 8 h 30 ;\n"
     "| c'est parfait, n'est-ce pas ?\n"
     "| Il a dit : « Entrez ! »\n"
     "> Puis il est parti,\n"
     "| p. ex. vers Paris.\n"
     "| Fin\n", 0, 0},
    {"Spanish",
     "¿Cómo está, Sr. García? ¡Muy bien! La Dra. López llegó a las 10:30, p.ej. con 1.000,50 euros; "
     "después se fue. Tengo que ir. Luego vuelvo.",
     "| ¿Cómo está, Sr. García?\n"
     "| ¡Muy bien!\n"
     "> La Dra. López llegó a las 10:30,\n"
     "> p.ej. con 1.000,50 euros;\n"
     "| después se fue.\n"
     "| Tengo que ir.\n"
     "| Luego vuelvo.\n", 0, 0},
    {"Russian",
     "Это проф. Иванов, т.е. А. С. Пушкин; он жил на ул. Ленина, д. 5. Хорошо! Цена 3,14 руб. и т.д. "
     "Потом — в 1990 г. — он уехал… и вернулся. Куда?!",
     "> Это проф. Иванов,\n"
     "> т.е. А. С. Пушкин;\n"
     "> он жил на ул. Ленина,\n"
     "| д. 5.\n"
     "| Хорошо!\n"
     "| Цена 3,14 руб. и т.д.\n"
     "> Потом — в 1990 г. —\n"
     "| он уехал… и вернулся.\n"
     "| Куда?!\n", 0, 0},
    {"Greek",
     "Πού είναι ο κ. Παπαδόπουλος; Ήρθε στις 8:30, π.χ. με το τρένο· μετά έφυγε. Τέλος",
     "| Πού είναι ο κ. Παπαδόπουλος;\n"
     "> Ήρθε στις 8:30, π.χ. με το τρένο·\n"
     "| μετά έφυγε.\n"
     "| Τέλος\n", 0, 0},
    {"Chinese",
     "你好，世界！今天是2024年1月5日，气温3.5度；很冷。“真的吗？”他问。好吧……我们走，现在就走。",
     "> 你好，\n"
     "| 世界！\n"
     "> 今天是2024年1月5日，\n"
     "> 气温3.5度；\n"
     "| 很冷。\n"
     "| “真的吗？”\n"
     "| 他问。\n"
     "> 好吧……\n"
     "> 我们走，\n"
     "| 现在就走。\n", 0, 6},
    {"Japanese",
     "こんにちは。今日は、とても寒いですね！「行きましょう。」と彼女は言った。はい、３．５度です。おわり",
     "| こんにちは。\n"
     "> 今日は、\n"
     "| とても寒いですね！\n"
     "> 「行きましょう。」\n"
     "| と彼女は言った。\n"
     "| はい、３．５度です。\n"
     "| おわり\n", 0, 7},
    {"Arabic",
     "مرحبا، كيف حالك؟ أنا بخير، والحمد لله. السعر 3.14 دولار؛ وهذا رخيص جدا! انتهى",
     "| مرحبا، كيف حالك؟\n"
     "| أنا بخير، والحمد لله.\n"
     "> السعر 3.14 دولار؛\n"
     "| وهذا رخيص جدا!\n"
     "| انتهى\n", 0, 0},
    {"Korean",
     "안녕하세요, 저는 김 박사입니다. 오늘은 2024년 1월 5일이고, 기온은 3.5도예요! 갈까요? 네",
     "| 안녕하세요, 저는 김 박사입니다.\n"
     "> 오늘은 2024년 1월 5일이고,\n"
     "| 기온은 3.5도예요!\n"
     "| 갈까요?\n"
     "| 네\n", 0, 0},
    {"Hindi",
     "नमस्ते! डॉ. शर्मा ने कहा, कि दाम 3.14 रुपये है। क्या आप आएँगे? हाँ, ज़रूर।",
     "| नमस्ते!\n"
     "> डॉ. शर्मा ने कहा,\n"
     "| कि दाम 3.14 रुपये है।\n"
     "| क्या आप आएँगे?\n"
     "| हाँ, ज़रूर।\n", 0, 0},

    /* ---- Markdown ---- */
    {"headings and lists",
     "# Plan for *today*\n\nYou need:\n\n- **milk** and eggs\n* bread\n  + butter, salt\n1. Go out\n2) Come "
     "back\n- [x] done\n\nSetext\n======\nBody _text_ here\n\n---\n> quoted words\n> go on",
     "| Plan for today\n"
     "| You need:\n"
     "| milk and eggs\n"
     "| bread\n"
     "| butter, salt\n"
     "| 1. Go out\n"
     "| 2) Come back\n"
     "| done\n"
     "| Setext\n"
     "| Body text here\n"
     "| quoted words go on\n", 0, 0},
    {"emphasis",
     "**Note.** Then *stars* and __under__ and snake_case_name and 2 * 3 = 6 and 2*3 and ~~old~~ ~5 "
     "and \\*literal\\* and a***b***c.",
     "| Note.\n"
     "| Then stars and under and snake case name and 2 * 3 = 6 and 2*3 and old ~5 and *literal* and "
     "abc.\n", 0, 0},
    {"links",
     "See [our page](https://example.org/a_(b)?c=d \"T\"), ![a cat](cat.png) or [this][ref]. Also "
     "https://x.y/z. It is (www.example.com) <https://a.b/c>, fact[1][^n]. Done.",
     "| See our page, a cat or this.\n"
     "| Also.\n"
     "| It is, fact.\n"
     "| Done.\n", SLM_SPEECH_SENTENCES, 0},
    {"code",
     "Run this:\n```python\nprint('Hi. There.')\n``` not the end\n```\nThen call `f(x)` twice, or ``a`b``. A "
     "lone ` tick.\n\n~~~\nmore. code.\n~~~\nEnd.",
     "| Run this:\n"
     "| Then call twice, or.\n"
     "| A lone tick.\n"
     "| End.\n", SLM_SPEECH_SENTENCES, 0},
    {"code that is spoken", "Then call `f(x)` twice.", "| Then call f(x) twice.\n",
     SLM_SPEECH_INLINE_CODE, 0},
    {"code that does not end", "Look:\n```c\nint a;\nint b; // and so on. More", "| Look:\n", 0, 0},
    {"table",
     "Prices\n\n| Thing | Price |\n|---|:--:|\n| Tea | 2 |\n| Cake | 3 |\n\nThat is all.",
     "| Prices\n"
     "> Thing\n"
     "| Price\n"
     "> Tea\n"
     "| 2\n"
     "> Cake\n"
     "| 3\n"
     "| That is all.\n", 0, 2},
    {"breaks", "First line here<br>second line<br />third <b", "> First line here second line\n| third <b\n",
     0, 0},
    {"plain text", "2 * 3 *is* 6_a [x](y) `c` # d",
     "| 2 * 3 *is* 6_a [x](y) `c` # d\n", SLM_SPEECH_PLAIN, 0},

    /* ---- what else is left out ---- */
    {"thinking", "<think>\nHm. Let me see. **So** <b>\n</think>\n\nIt is four. a < b <thin",
     "| It is four. a < b <thin\n", 0, 0},
    {"thinking that does not end", "Ok. <think>Never. Ends", "| Ok.\n", 0, 0},
    {"thinking that the prompt opened", "Hm. So.</think>Yes.", "| Yes.\n", SLM_SPEECH_IN_THINKING, 0},
    {"emoji", "Great! 🎉🎉 Well done 👩‍🚀👍🏽. I ❤️ it 1️⃣ 🇩🇪! ✅ Done",
     "| Great!\n"
     "| Well done.\n"
     "| I it 1!\n"
     "| Done\n", 0, 0},
    {"joiners stay in words", "می‌خواهم. क्‍ष", "| می‌خواهم.\n| क्‍ष\n", 0, 0},
    {"nothing to say", "... !!! 🎉 --- ?\n\n***\n", "", 0, 0},
    {"empty", "", "", 0, 0},
    {"controls", "a\x01\xEF\xBB\xBF" "b\xE2\x80\x8E c\xFF\xC3 d\t\te", "| ab c d e\n", 0, 0},

    /* ---- where pieces end ---- */
    {"short clauses", "Yes, of course, I will.", "> Yes,\n> of course,\n| I will.\n", 0, 1},
    {"lines", "Roses are red indeed\nViolets are blue\nYes",
     "> Roses are red indeed\n"
     "> Violets are blue\n"
     "| Yes\n", 0, 0},
    {"quotation marks",
     "„Ist das so?“ »Ja, doch.« Er sagt: ‚Nein.‘ Nun « c'est ça ? » Bien. (Siehe oben.) Gut.",
     "| „Ist das so?“\n"
     "| »Ja, doch.«\n"
     "| Er sagt: ‚Nein.‘\n"
     "| Nun « c'est ça ? »\n"
     "| Bien.\n"
     "| (Siehe oben.)\n"
     "| Gut.\n", 0, 0},
};
/* clang-format on */

#endif
