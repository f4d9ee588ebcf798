/* Cuts what is spoken into clauses and sentences.
 *
 * Characters are gathered in a piece. Behind a mark that may end it, the piece is remembered as a
 * cut, and what comes next decides: 3.14, "Dr. No", "3. Mai", "...", a quotation mark that still
 * belongs to it. So a cut waits for one character, or for the end of the line. */
#include "text/speak.h"

#include "base/buffer.h"
#include "text/speak_impl.h"

#include <string.h>

enum { ROOM = 64 }; /* bytes of a piece beyond the most it may have */

typedef enum cut_kind {
    NO_CUT,
    STOP,        /* . which may also abbreviate or stand in a number              */
    EXCLAMATION, /* ! ? and the like, which want a blank behind them             */
    ELLIPSIS,    /* ... or U+2026                                                */
    WIDE_STOP,   /* one that needs no blank: U+3002, the danda                   */
    COMMA,       /* , ; : with a blank behind them                               */
    WIDE_COMMA   /* U+3001, U+FF0C, the em dash                                  */
} cut_kind;

struct slm_speaker {
    slm_host *host;
    slm_speech_options options;
    slm_speak_filter filter;
    slm_buffer bytes;    /* what has come; the first `taken` of them have been looked at          */
    size_t taken;
    uint64_t offset;     /* of bytes[taken] in the text                                           */
    slm_speak_item item; /* that comes next; NOTHING: none                                        */
    uint64_t item_begin, item_end;
    char *piece;         /* what is gathered, n bytes of max_piece + ROOM                         */
    size_t n;
    char *ready;         /* what was handed out last                                              */
    uint64_t begin, end; /* of the piece in the text                                              */
    uint32_t prev;       /* its last character                                                    */
    uint8_t space, gap;  /* behind it white space came, something was left out                    */
    size_t word_n;       /* its bytes up to the last blank in it                                  */
    uint64_t word_end, word_begin; /* in the text: where what stands before the blank ends, and what
                                      stands behind it begins                                     */
    cut_kind cut;        /* of its last character                                                 */
    size_t stop_n;       /* of STOP: bytes before the full stop                                   */
    uint8_t cut_spaced;  /* white space came behind the mark                                      */
    uint8_t cut_quoted;  /* a quotation mark or bracket closes behind it                          */
    uint8_t final, ended;
    uint8_t gave;        /* a piece of this answer                                                */
};

/* ---------------------------------------------------------------- characters */

static int is_wide(uint32_t c) { /* of scripts without blanks between words */
    return (c >= 0x2E80 && c <= 0x9FFF) || (c >= 0xF900 && c <= 0xFAFF) ||
           (c >= 0xFF00 && c <= 0xFFEF) || (c >= 0x20000 && c <= 0x3FFFF);
}
static int is_hiragana(uint32_t c) { return c >= 0x3041 && c <= 0x309F; }
static int is_greek(uint32_t c) {
    return (c >= 0x370 && c <= 0x3FF) || (c >= 0x1F00 && c <= 0x1FFF);
}
static int is_lower(uint32_t c) { return (slm_cp_class(c) & SLM_CLASS_LOWER) != 0; }
static int is_number(uint32_t c) { return (slm_cp_class(c) & SLM_CLASS_NUMBER) != 0; }

static int is_one_of(uint32_t c, const uint32_t *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (list[i] == c)
            return 1;
    return 0;
}
#define IN(list, c) is_one_of(c, list, sizeof(list) / sizeof *(list))

static const uint32_t WIDE_STOPS[] = {
    0x3002, 0xFF01, 0xFF1F, 0xFF61, 0xFF0E, /* CJK          */
    0x0964, 0x0965,                         /* Devanagari   */
    0x06D4, 0x061F,                         /* Arabic, Urdu */
    0x0589, 0x1362, 0x1367, 0x104A, 0x104B, 0x17D4, 0x17D5};
static const uint32_t EXCLAMATIONS[] = {'!', '?', 0x203D, 0x203C, 0x2047, 0x2048, 0x2049, 0x037E};
static const uint32_t COMMAS[] = {',', ';', ':', 0x060C, 0x061B, 0x0387, 0x1363, 0x1365};
static const uint32_t WIDE_COMMAS[] = {0x3001, 0xFF0C, 0xFF1B, 0xFF1A, 0xFF64, 0x2014, 0x2015};
static const uint32_t CLOSERS[] = {'"', '\'', ')', ']', '}', 0x2019, 0x201D, 0x00BB, 0x203A,
                                   0x300D, 0x300F, 0xFF09, 0x3011, 0x300B, 0x3009, 0xFF02};
/* These close in German and its neighbours, where no blank stands before them. */
static const uint32_t OPENERS[] = {0x201C, 0x2018, 0x00AB, 0x2039};

/* What a character could end; before: the one before it. */
static cut_kind cut_of(const slm_speaker *s, uint32_t c, uint32_t before) {
    if (c == '.')
        return STOP;
    if (c == 0x2026)
        return ELLIPSIS;
    if (IN(WIDE_STOPS, c))
        return WIDE_STOP;
    if (IN(EXCLAMATIONS, c) || (c == ';' && is_greek(before)))
        return EXCLAMATION;
    if (IN(COMMAS, c) || (c == 0xB7 && is_greek(before)))
        return COMMA;
    if (IN(WIDE_COMMAS, c))
        return WIDE_COMMA;
    int dash = c == '-' || c == 0x2013;
    return dash && s->n > 1 && s->piece[s->n - 1] == ' ' ? COMMA : NO_CUT;
}

/* ---------------------------------------------------------------- pieces */

/* How long a text is to the ear: in letters, of which a character of East Asia stands for two. */
static size_t count_letters(const char *text, size_t n) {
    size_t count = 0;
    for (size_t i = 0, len; i < n; i += len)
        count += slm_utf8_decode(text + i, n - i, &len) >= 0x2E80 ? 2 : 1;
    return count;
}

static int has_word(const char *text, size_t n) {
    for (size_t i = 0, len; i < n; i += len)
        if (slm_cp_class(slm_utf8_decode(text + i, n - i, &len)) &
            (SLM_CLASS_LETTER | SLM_CLASS_NUMBER))
            return 1;
    return 0;
}

/* Gives the first n bytes of the piece as an event, unless there is nothing to be heard in them. */
static void give(slm_speaker *s, size_t n, uint64_t end, slm_speech_event_type type,
                 slm_speech_event *e) {
    if (!has_word(s->piece, n))
        return;
    memcpy(s->ready, s->piece, n);
    s->gave = 1;
    e->type = type;
    e->text = s->ready;
    e->text_len = n;
    e->begin = s->begin;
    e->end = end;
}

static void end_piece(slm_speaker *s, slm_speech_event_type type, slm_speech_event *e) {
    give(s, s->n, s->end, type, e);
    s->n = s->word_n = 0;
    s->prev = 0;
    s->space = s->gap = 0;
    s->cut = NO_CUT;
}

/* The end of a clause, where they are wanted and this one is long enough. */
static void end_clause(slm_speaker *s, slm_speech_event *e) {
    uint32_t least = s->gave ? s->options.min_clause : s->options.min_first;
    if (!(s->options.flags & SLM_SPEECH_SENTENCES) && has_word(s->piece, s->n) &&
        count_letters(s->piece, s->n) >= least)
        end_piece(s, SLM_SPEECH_CLAUSE, e);
}

/* The piece has grown too long: what stands before its last word is given. */
static void end_long(slm_speaker *s, slm_speech_event *e) {
    if (s->word_n < s->options.max_piece / 4) {
        end_piece(s, SLM_SPEECH_CLAUSE, e);
        return;
    }
    give(s, s->word_n, s->word_end, SLM_SPEECH_CLAUSE, e);
    s->n -= s->word_n + 1;
    memmove(s->piece, s->piece + s->word_n + 1, s->n);
    s->begin = s->word_begin;
    s->word_n = 0;
}

/* ---------------------------------------------------------------- cuts */

/* A full stop with white space behind it; next is 0 at the end of a line. */
static int stop_ends(const slm_speaker *s, uint32_t next) {
    slm_speak_stop stop = slm_speak_stop_after(s->piece, s->stop_n);
    int goes_on = is_lower(next) || IN(COMMAS, next) ||
                  (stop == SLM_SPEAK_NUMBERS && is_number(next));
    return stop != SLM_SPEAK_ABBREVIATES && !goes_on;
}

/* What comes behind a mark decides whether the piece ends there. */
static void decide(slm_speaker *s, uint32_t next, slm_speech_event *e) {
    cut_kind cut = s->cut;
    int spaced = s->cut_spaced;
    s->cut = NO_CUT;
    switch (cut) {
    case STOP:
        if (spaced && stop_ends(s, next))
            end_piece(s, SLM_SPEECH_SENTENCE, e);
        break;
    case EXCLAMATION:
    case ELLIPSIS:
        if (spaced ? is_lower(next) : cut == ELLIPSIS && is_wide(next))
            end_clause(s, e);
        else if (spaced || is_wide(next))
            end_piece(s, SLM_SPEECH_SENTENCE, e);
        break;
    case WIDE_STOP:
        if (s->cut_quoted && is_hiragana(next))
            end_clause(s, e);
        else if (s->prev != 0xFF0E || !is_number(next))
            end_piece(s, SLM_SPEECH_SENTENCE, e);
        break;
    case COMMA:
        if (spaced || is_wide(next))
            end_clause(s, e);
        break;
    case WIDE_COMMA:
        end_clause(s, e);
        break;
    default:
        break;
    }
}

/* Whether the piece has a guillemet that is still open. */
static int in_guillemets(const slm_speaker *s) {
    size_t i = s->n;
    while (i > 1 && (s->piece[i - 2] != '\xC2' ||
                     (s->piece[i - 1] != '\xAB' && s->piece[i - 1] != '\xBB')))
        i--;
    return i > 1 && s->piece[i - 1] == '\xAB';
}

/* Whether c belongs to the mark before it: "?!", "...", a quotation mark that closes. */
static int continues_cut(const slm_speaker *s, uint32_t c) {
    if (s->cut == NO_CUT)
        return 0;
    if (s->cut_spaced)
        return c == 0xBB && in_guillemets(s); /* French has a blank before it */
    cut_kind kind = cut_of(s, c, s->prev);
    int wide = s->cut == WIDE_STOP || s->cut == WIDE_COMMA;
    int stops = kind != NO_CUT && kind <= WIDE_STOP && s->cut <= WIDE_STOP;
    return IN(CLOSERS, c) || (IN(OPENERS, c) && !wide) || stops ||
           (kind == WIDE_COMMA && s->cut == WIDE_COMMA);
}

static void set_cut(slm_speaker *s, uint32_t c) {
    cut_kind kind = cut_of(s, c, s->prev);
    if (s->cut == NO_CUT) {
        s->cut = kind;
        s->stop_n = s->n;
        s->cut_quoted = 0;
    } else if (kind == NO_CUT) {
        s->cut_quoted = 1;
    } else if (s->cut == STOP) {
        s->cut = kind == STOP ? ELLIPSIS : kind;
    }
    s->cut_spaced = 0;
}

/* ---------------------------------------------------------------- gathering */

/* The blank before a character, if one is due: not before a mark where what stood before it was
 * left out, and not in brackets that are empty now. 0: the character is not wanted either. */
static int put_space(slm_speaker *s, uint32_t c) {
    int closes = c == '.' || c == ',' || c == ';' || c == ':' || c == '!' || c == '?' || c == ')' ||
                 c == ']' || c == '}';
    int due = s->n > 0 && !(s->gap && closes) && (s->space || (s->gap && !is_wide(c)));
    int empty = s->gap && c == ')' && s->n > 0 && s->piece[s->n - 1] == '(';
    s->space = 0;
    if (empty) {
        s->n--;
        while (s->n > 0 && s->piece[s->n - 1] == ' ')
            s->n--;
        return 0; /* the gap goes on behind the bracket */
    }
    s->gap = 0;
    if (due) {
        s->word_n = s->n;
        s->word_end = s->end;
        s->word_begin = s->item_begin;
        s->piece[s->n++] = ' ';
    }
    return 1;
}

static void put_character(slm_speaker *s, uint32_t c) {
    if (!put_space(s, c))
        return;
    if (s->n == 0)
        s->begin = s->item_begin;
    set_cut(s, c);
    s->n += slm_utf8_encode(c, s->piece + s->n);
    s->end = s->item_end;
    s->prev = c;
}

/* Gathers the item. Where an event comes before it, the item stays for the next time. */
static void gather(slm_speaker *s, slm_speech_event *e) {
    switch (s->item.kind) {
    case SLM_SPEAK_CHAR:
        if (s->cut != NO_CUT && !continues_cut(s, s->item.cp))
            decide(s, s->item.cp, e);
        if (e->type == SLM_SPEECH_NONE && s->n + 8 > s->options.max_piece)
            end_long(s, e);
        if (e->type != SLM_SPEECH_NONE)
            return;
        put_character(s, s->item.cp);
        break;
    case SLM_SPEAK_SPACE:
        s->space = s->cut_spaced = 1;
        break;
    case SLM_SPEAK_GAP:
        s->gap = s->cut_spaced = 1;
        break;
    case SLM_SPEAK_NEWLINE: /* what a mark before it means is known */
        s->cut_spaced = 1;
        decide(s, 0, e);
        s->space = 1;
        break;
    case SLM_SPEAK_LINE:
        end_clause(s, e);
        s->space = 1;
        break;
    case SLM_SPEAK_BLOCK:
        end_piece(s, SLM_SPEECH_SENTENCE, e);
        break;
    default:
        break;
    }
    s->item.kind = SLM_SPEAK_NOTHING;
}

/* ---------------------------------------------------------------- stream */

static void begin_answer(slm_speaker *s) {
    s->filter = (slm_speak_filter){
        .markdown = !(s->options.flags & SLM_SPEECH_PLAIN),
        .say_code = (s->options.flags & SLM_SPEECH_INLINE_CODE) != 0,
        .mode =
            s->options.flags & SLM_SPEECH_IN_THINKING ? SLM_SPEAK_IN_THINKING : SLM_SPEAK_IN_TEXT,
        .line_start = 1,
    };
    s->bytes.len = s->taken = 0;
    s->offset = s->begin = s->end = 0;
    s->item.kind = SLM_SPEAK_NOTHING;
    s->n = s->word_n = 0;
    s->prev = 0;
    s->space = s->gap = s->final = s->ended = s->gave = 0;
    s->cut = NO_CUT;
}

slm_status slm_speaker_options(const slm_speech_options *options, slm_speech_options *o,
                               slm_error *error) {
    static const slm_speech_options defaults = {.struct_size = sizeof defaults};
    const uint32_t known = SLM_SPEECH_SENTENCES | SLM_SPEECH_INLINE_CODE | SLM_SPEECH_PLAIN |
                           SLM_SPEECH_IN_THINKING;
    SLM_TRY(slm_copy_options(o, sizeof *o, &defaults, options, "slm_speech_options", error));
    if (o->flags & ~known)
        return slm_fail(error, SLM_ERR_ARG, "flags", SLM_NO_OFFSET,
                        "slm_speech_options.flags: got 0x%x, which has unknown bits", o->flags);
    if (o->min_clause == 0)
        o->min_clause = SLM_SPEAK_MIN_CLAUSE;
    if (o->min_first == 0)
        o->min_first = o->min_clause;
    if (o->max_piece == 0)
        o->max_piece = SLM_SPEAK_MAX_PIECE;
    if (o->max_piece < SLM_SPEAK_LEAST_PIECE || o->max_piece > SLM_SPEAK_MOST_PIECE)
        return slm_fail(error, SLM_ERR_RANGE, "max_piece", SLM_NO_OFFSET,
                        "slm_speech_options.max_piece: got %u, wanted %d to %d", o->max_piece,
                        SLM_SPEAK_LEAST_PIECE, SLM_SPEAK_MOST_PIECE);
    return SLM_OK;
}

slm_status slm_speaker_open(slm_host *host, const slm_speech_options *options, slm_speaker **out,
                            slm_error *error) {
    size_t cap = options->max_piece + ROOM;
    *out = NULL;
    slm_speaker *s = slm_calloc(host, 1, sizeof *s + 2 * cap);
    if (!s)
        return slm_fail_nomem(error, sizeof *s + 2 * cap, "a cutter of clauses");
    s->host = s->bytes.host = host;
    s->options = *options;
    s->piece = (char *)(s + 1);
    s->ready = s->piece + cap;
    begin_answer(s);
    *out = s;
    return SLM_OK;
}

void slm_speaker_close(slm_speaker *s) {
    if (!s)
        return;
    slm_buffer_free(&s->bytes);
    slm_free(s->host, s);
}

slm_status slm_speaker_feed(slm_speaker *s, const char *text, size_t len, slm_error *error) {
    if (s->ended)
        begin_answer(s);
    if (s->final)
        return slm_fail(error, SLM_ERR_BUSY, "speech", SLM_NO_OFFSET,
                        "the answer is finished: pull its events to the end before the next");
    if (s->taken > 0) {
        s->bytes.len -= s->taken;
        memmove(s->bytes.ptr, s->bytes.ptr + s->taken, s->bytes.len);
        s->taken = 0;
    }
    return slm_buffer_append(&s->bytes, text, len, error);
}

slm_status slm_speaker_finish(slm_speaker *s, slm_error *error) {
    SLM_TRY(slm_speaker_feed(s, NULL, 0, error));
    s->final = 1;
    return SLM_OK;
}

void slm_speaker_next(slm_speaker *s, slm_speech_event *e) {
    *e = (slm_speech_event){.struct_size = sizeof *e, .text = ""};
    for (;;) {
        gather(s, e);
        if (e->type != SLM_SPEECH_NONE)
            return;
        if (s->taken == s->bytes.len)
            break;
        size_t n = slm_speak_filter_next(&s->filter, s->bytes.ptr + s->taken,
                                         s->bytes.len - s->taken, s->final, &s->item);
        if (s->item.kind == SLM_SPEAK_MORE) {
            s->item.kind = SLM_SPEAK_NOTHING;
            return;
        }
        s->item_begin = s->offset;
        s->offset += n;
        s->item_end = s->offset;
        s->taken += n;
    }
    if (!s->final)
        return;
    end_piece(s, SLM_SPEECH_SENTENCE, e);
    if (e->type == SLM_SPEECH_NONE) {
        s->ended = 1;
        e->type = SLM_SPEECH_END;
    }
}
