/* Words before a full stop: abbreviations of several languages together, since answers mix them and
 * nobody says which one comes. Where a word is one in one language and ends sentences in another
 * ("art.", "no.", "die 3."), what stands around it decides. */
#include "text/speak_impl.h"

#include <string.h>
#include <utf8proc.h>

enum { MAX_WORD = 32 }; /* bytes; nothing longer is an abbreviation */

/* Each list begins and ends with a blank, words are in lower case without their last full stop. */

/* clang-format off */

/* What they stand before belongs to them. */
static const char ABBREVIATIONS[] =
    " mr mrs ms messrs dr prof sr rev hon st mt gen col sgt capt lt cmdr gov sen rep pres supt"
    " vs cf viz approx ca e.g i.e al"                                         /* English */
    " hr hrn fr frl dipl phil jur nat bzw vgl evtl ggf inkl exkl zzgl bspw sog str geb gest verh"
    " z.b d.h u.a u.u i.d.r s.o s.u o.g z.t m.e"                              /* German  */
    " mm mme mmes mlle mlles mgr pr env p.ex c.-à-d"                          /* French  */
    " sra srta sres dra dña lic arq avda p.ej"                                /* Spanish */
    " sig sigg dott dott.ssa avv p.es"                                        /* Italian */
    " dhr mevr mw drs bijv bv o.a d.w.z m.b.t"                                /* Dutch   */
    " т.е т.к т.н ул проф акад тов гр напр доц госп"                          /* Russian */
    " π.χ δηλ βλ κος κα δρ"                                                   /* Greek   */
    " डॉ प्रो श्री ";                                                              /* Hindi   */

/* The same, where a number follows. */
static const char BEFORE_NUMBERS[] =
    " no nos nr nrs num núm pp pág págs sec sect fig figs abb kap ch chap bd vol vols eq art par"
    " abs tel ext blz jan feb mar apr jun jul aug sep sept oct okt nov dec dez"
    " гл рис табл стр кв ст"
    " αρ σελ ";

/* With full stops inside, and yet at the end of sentences. */
static const char ENDINGS[] =
    " a.m p.m b.c a.d b.c.e ph.d m.d u.s.w v.chr n.chr т.д т.п κ.λπ κ.ά ";

/* Before a number these make it an ordinal: "am 3. Mai", "der 2. Satz". */
static const char BEFORE_ORDINALS[] =
    " am ab bis beim das dem den der des die im jeden jeder jedes seit vom zum zur ";

/* clang-format on */

static int is_in(const char *list, const char *word, size_t n) {
    char wanted[MAX_WORD + 3];
    wanted[0] = ' ';
    memcpy(wanted + 1, word, n);
    memcpy(wanted + 1 + n, " ", 2);
    return strstr(list, wanted) != NULL;
}

/* The word that ends at text[end), in lower case; its bytes in the text, 0 when there is none or it
 * is too long for a list. *begin receives where it begins. */
static size_t word_before(const char *text, size_t end, char word[MAX_WORD], size_t *n_word,
                          size_t *begin) {
    size_t from = end, n = 0;
    *n_word = 0;
    *begin = end;
    while (from > 0 && end - from < MAX_WORD) {
        uint8_t c = (uint8_t)text[from - 1];
        if (c == ' ' || c == '(' || c == '[' || c == '"' || c == '\'' || c == '/')
            break;
        from--;
    }
    if (from > 0 && end - from >= MAX_WORD)
        return 0;
    for (size_t i = from, len; i < end; i += len) {
        uint32_t cp = slm_utf8_decode(text + i, end - i, &len);
        if (n == 0 && !(slm_cp_class(cp) & (SLM_CLASS_LETTER | SLM_CLASS_NUMBER))) {
            from += len; /* a quotation mark or the like before it */
            continue;
        }
        char lower[4];
        size_t n_lower = slm_utf8_encode((uint32_t)utf8proc_tolower((utf8proc_int32_t)cp), lower);
        if (n + n_lower > MAX_WORD)
            return 0;
        memcpy(word + n, lower, n_lower);
        n += n_lower;
    }
    *n_word = n;
    *begin = from;
    return end - from;
}

slm_speak_stop slm_speak_stop_after(const char *text, size_t n) {
    char word[MAX_WORD];
    size_t n_word, begin, len = word_before(text, n, word, &n_word, &begin), first = 0;
    if (len == 0 || n_word == 0 || memchr(word, '\0', n_word))
        return SLM_SPEAK_ENDS;
    size_t digits = 0;
    while (digits < n_word && word[digits] >= '0' && word[digits] <= '9')
        digits++;
    if (digits == n_word) {
        if (begin == 0)
            return SLM_SPEAK_ABBREVIATES; /* the number of an item */
        char before[MAX_WORD];
        size_t n_before, at, end = begin - 1;
        if (digits > 2 || text[end] != ' ' || word_before(text, end, before, &n_before, &at) == 0)
            return SLM_SPEAK_ENDS;
        return is_in(BEFORE_ORDINALS, before, n_before) ? SLM_SPEAK_ABBREVIATES : SLM_SPEAK_ENDS;
    }
    if (is_in(ENDINGS, word, n_word))
        return SLM_SPEAK_ENDS;
    if (is_in(ABBREVIATIONS, word, n_word))
        return SLM_SPEAK_ABBREVIATES;
    if (is_in(BEFORE_NUMBERS, word, n_word))
        return SLM_SPEAK_NUMBERS;
    if (slm_cp_class(slm_utf8_decode(word, n_word, &first)) & SLM_CLASS_LETTER) {
        if (first == n_word) /* an initial */
            return SLM_SPEAK_ABBREVIATES;
        if (memchr(word, '.', n_word)) { /* U.S, z.B: letters with full stops between them */
            size_t letters = 0;
            for (size_t i = 0; i < n_word; i++)
                letters = word[i] == '.' ? 0 : letters + (((uint8_t)word[i] & 0xC0) != 0x80);
            if (letters <= 1)
                return SLM_SPEAK_ABBREVIATES;
        }
    }
    return SLM_SPEAK_ENDS;
}
