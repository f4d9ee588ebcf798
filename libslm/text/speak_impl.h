/* What the filter (speak_filter.c) hands to the cutter of clauses (speak.c), and what that asks
 * about words (speak_words.c). */
#ifndef SLM_TEXT_SPEAK_IMPL_H
#define SLM_TEXT_SPEAK_IMPL_H

#include "text/unicode.h"

/* ---- filter ---- */

typedef enum slm_speak_kind {
    SLM_SPEAK_MORE,     /* more bytes are needed to tell                             */
    SLM_SPEAK_NOTHING,  /* markup: it stood between what is spoken, but is nothing    */
    SLM_SPEAK_GAP,      /* something that is left out: a URL, code, an emoji          */
    SLM_SPEAK_CHAR,
    SLM_SPEAK_SPACE,
    SLM_SPEAK_NEWLINE,
    SLM_SPEAK_LINE,     /* another line begins in the same paragraph                 */
    SLM_SPEAK_BLOCK     /* another paragraph, heading, item of a list, row of a table */
} slm_speak_kind;

typedef struct slm_speak_item {
    slm_speak_kind kind;
    uint32_t cp; /* of a CHAR */
} slm_speak_item;

/* Where in the text the filter is. Zero it, then set mode and markdown. */
typedef struct slm_speak_filter {
    uint8_t markdown;
    uint8_t say_code;      /* the words of inline code are spoken                                */
    uint8_t mode;          /* SLM_SPEAK_IN_...                                                   */
    uint8_t line_start;    /* nothing of the line but blanks and markers was seen                */
    uint8_t kind;          /* of the line                                                        */
    uint8_t newlines;      /* before it: 0 at the start of the text, 1, or 2 for an empty line   */
    char fence;            /* of the code block: ` or ~                                          */
    size_t fence_len;
    uint32_t depth;        /* of parentheses in the target of a link                             */
    uint32_t prev;         /* character before, as it stands in the text; 0 at a line's start    */
} slm_speak_filter;
enum { SLM_SPEAK_IN_TEXT = 0, SLM_SPEAK_IN_THINKING = 1 };

/* Takes what stands at p, of which n > 0 bytes are there; final: no more will come. Returns how
 * many bytes that were, which may be none where the item is LINE or BLOCK, and is where it is MORE.
 * Whether it is MORE depends on nothing but the text and n. */
size_t slm_speak_filter_next(slm_speak_filter *f, const char *p, size_t n, int final,
                             slm_speak_item *item);

/* ---- words ---- */

/* What a full stop behind a word means. */
typedef enum slm_speak_stop {
    SLM_SPEAK_ENDS,         /* a sentence may end here                     */
    SLM_SPEAK_ABBREVIATES,  /* the sentence goes on                        */
    SLM_SPEAK_NUMBERS       /* it goes on if a number follows              */
} slm_speak_stop;

/* text: what has been said since the last cut, up to the full stop. */
slm_speak_stop slm_speak_stop_after(const char *text, size_t n);

#endif
