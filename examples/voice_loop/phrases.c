#define _POSIX_C_SOURCE 200809L

#include "phrases.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { MAX_WORD = 32 };

/* The next word in small letters, without the marks around it; false at the end. */
static bool next_word(const char **text, char word[MAX_WORD]) {
    const char *p = *text;
    size_t n = 0;
    while (*p && !isalnum((unsigned char)*p) && (unsigned char)*p < 0x80)
        p++;
    for (; *p && !isspace((unsigned char)*p); p++)
        if ((isalnum((unsigned char)*p) || (unsigned char)*p >= 0x80 || *p == '\'' || *p == '-') &&
            n + 1 < MAX_WORD)
            word[n++] = (char)tolower((unsigned char)*p);
    word[n] = '\0';
    *text = p;
    return n > 0;
}

static bool is_among(const char *word, const char *const *words) {
    for (; *words; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

static bool are_all_among(const char *text, const char *const *words) {
    char word[MAX_WORD];
    while (next_word(&text, word))
        if (!is_among(word, words))
            return false;
    return true;
}

size_t words_in(const char *text) {
    char word[MAX_WORD];
    size_t n = 0;
    while (next_word(&text, word))
        n++;
    return n;
}

bool is_yes(const char *text) {
    static const char *const words[] = {
        "yes",   "yeah", "yep",    "yup",    "sure",  "okay", "ok",     "do",      "it", "go",
        "ahead", "of",   "please", "course", "right", "that", "that's", "correct", NULL};
    static const char *const heads[] = {"yes", "yeah", "yep", "yup",   "sure",    "okay", "ok",
                                        "do",  "go",   "of",  "right", "correct", NULL};
    char word[MAX_WORD];
    const char *p = text;
    return next_word(&p, word) && is_among(word, heads) && are_all_among(text, words);
}

bool is_no(const char *text) {
    static const char *const words[] = {"no",     "nope",  "don't", "do",   "not",    "stop",
                                        "cancel", "never", "mind",  "that", "please", "thanks",
                                        "thank",  "you",   "it",    NULL};
    static const char *const heads[] = {"no",     "nope",  "don't",  "do", "stop",
                                        "cancel", "never", "please", NULL};
    char word[MAX_WORD];
    const char *p = text;
    return next_word(&p, word) && is_among(word, heads) && are_all_among(text, words) &&
           !is_yes(text);
}

bool is_backchannel(const char *text) {
    static const char *const words[] = {
        "uh",    "huh",  "uh-huh", "uhhuh", "mm", "mm-hmm", "mmhmm", "mhm",  "hm",
        "hmm",   "hmmm", "mmm",    "um",    "ah", "aha",    "oh",    "okay", "ok",
        "right", "yeah", "yep",    "sure",  "i",  "see",    "yes",   "good", "great",
        "nice",  "cool", "wow",    "fine",  "er", "eh",     NULL};
    return are_all_among(text, words);
}

bool is_order(const char *text) {
    static const char *const words[] = {"stop",  "no",     "wait",   "cancel",  "quiet", "enough",
                                        "pause", "mute",   "louder", "quieter", "off",   "help",
                                        "what",  "repeat", "next",   NULL};
    return words_in(text) == 1 && are_all_among(text, words);
}

completeness how_complete(const char *text) {
    static const char *const open[] = {"a",     "an",   "the",  "and",    "or",     "but",   "to",
                                       "of",    "in",   "at",   "for",    "with",   "from",  "my",
                                       "your",  "our",  "is",   "are",    "am",     "what",  "set",
                                       "turn",  "add",  "put",  "remind", "that",   "if",    "by",
                                       "than",  "some", "um",   "uh",     "er",     "me",    "how",
                                       "every", "half", "past", "twenty", "thirty", "forty", NULL};
    char word[MAX_WORD] = "", last[MAX_WORD] = "";
    size_t n = strlen(text), words = 0;
    for (const char *p = text; next_word(&p, word); words++)
        memcpy(last, word, sizeof last);
    while (n > 0 && isspace((unsigned char)text[n - 1]))
        n--;
    if (words == 0 || is_among(last, open))
        return SOUNDS_OPEN;
    if (strchr(".?!", text[n - 1]))
        return SOUNDS_FINISHED;
    return words >= 3 ? SOUNDS_FINISHED : SOUNDS_NEUTRAL;
}
