/* PocketSphinx, linked: it recognises while the sound comes, and needs no more than its package.
 *
 * Its final transcript comes of two more passes over all of the utterance, and often has other words
 * than the first. So in a pause the utterance is ended for its sake, and heard again from the
 * beginning, from memory, should it go on.
 *
 * Its model of sounds was made of people's voices, and hears synthetic ones badly. So several
 * decoders listen side by side, one with the model as it is and one for each transform of it (MLLR)
 * that lies with the words; the text is that of the decoder to which the sound seems likeliest.
 *
 * It hears words of the household in everything, also in what has nothing to do with one. Such words
 * seldom follow each other, so a text is doubted when the language model finds it unlikely.
 *
 * Answers depend on what was heard before (the running mean of the channel), so equal input gives
 * equal output from one open to the next, not from one utterance to the next. */
#define _GNU_SOURCE
#include "engines.h"
#include "stream.h"

#include <pocketsphinx.h>
#include <sphinxbase/err.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_DECODERS = 4, PATH_SIZE = 600 };
/* As much of an utterance is heard again; one that is longer cannot be settled. */
enum { MOST_SAMPLES = 40 * RECOGNIZER_RATE };

/* The language model's score of a text, weighted and by PocketSphinx's measure, over its words and two
 * more, which short texts need: of 84 wishes that were heard well none was below -287, of 76 sentences
 * about other things 71 were. */
static const double LEAST_LIKELY = -290;
enum { EXTRA_WORDS = 2 };

typedef struct sphinx {
    recognizer base;
    ps_decoder_t *decoders[MOST_DECODERS];
    int n;
    bool open;
    bool settled; /* ended, but more may come */
    bool doubts; /* what is unlikely */
    int best; /* decoder; -1: none has a text */
    int16_t *sound; /* of the utterance */
    size_t n_sound;
} sphinx;

static void copy_text(const char *from, char *text, size_t size) {
    size_t n = from ? strlen(from) : 0;
    if (n >= size)
        n = size - 1;
    memcpy(text, from ? from : "", n);
    text[n] = 0;
}

static bool end(sphinx *s) {
    bool good = s->open;
    for (int i = 0; s->open && i < s->n; i++)
        good = ps_end_utt(s->decoders[i]) == 0 && good;
    s->open = false;
    return good;
}

/* The text of the decoder with the best score, "" where none has one. */
static void best_text(sphinx *s, char *text, size_t size) {
    const char *best = NULL;
    int32 best_score = 0;
    s->best = -1;
    for (int i = 0; i < s->n; i++) {
        int32 score = 0;
        const char *heard = ps_get_hyp(s->decoders[i], &score);
        if (heard && (!best || score > best_score)) {
            best = heard;
            best_score = score;
            s->best = i;
        }
    }
    copy_text(best, text, size);
}

static bool start(sphinx *s, char *why, size_t why_size) {
    for (int i = 0; i < s->n; i++)
        if (ps_start_utt(s->decoders[i]) != 0) {
            while (i-- > 0)
                ps_end_utt(s->decoders[i]);
            return fail(why, why_size, "pocketsphinx: an utterance cannot begin");
        }
    return (s->open = true);
}

static bool begin(recognizer *r, char *why, size_t why_size) {
    sphinx *s = (sphinx *)r;
    end(s);
    s->settled = false;
    s->n_sound = 0;
    return start(s, why, why_size);
}

static bool hear(sphinx *s, const int16_t *samples, size_t n, char *why, size_t why_size) {
    bool good = s->open;
    for (int i = 0; good && i < s->n; i++)
        good = ps_process_raw(s->decoders[i], samples, n, FALSE, FALSE) >= 0;
    if (good)
        return true;
    end(s);
    return fail(why, why_size, "pocketsphinx: the sound was refused");
}

static bool feed(recognizer *r, const int16_t *samples, size_t n, char *why, size_t why_size) {
    sphinx *s = (sphinx *)r;
    if (s->settled) {
        s->settled = false;
        if (!start(s, why, why_size) || !hear(s, s->sound, s->n_sound, why, why_size))
            return false;
    }
    if (n <= MOST_SAMPLES - s->n_sound)
        memcpy(s->sound + s->n_sound, samples, n * sizeof *samples);
    s->n_sound = n <= MOST_SAMPLES - s->n_sound ? s->n_sound + n : MOST_SAMPLES;
    return hear(s, samples, n, why, why_size);
}

static bool partial(recognizer *r, char *text, size_t size, char *why, size_t why_size) {
    sphinx *s = (sphinx *)r;
    (void)why;
    (void)why_size;
    if (s->open || s->settled)
        best_text(s, text, size);
    else
        text[0] = 0;
    return true;
}

static bool settle(recognizer *r, char *text, size_t size, char *why, size_t why_size) {
    sphinx *s = (sphinx *)r;
    if (s->open && s->n_sound < MOST_SAMPLES) {
        if (!end(s))
            return fail(why, why_size, "pocketsphinx: the utterance cannot be settled");
        s->settled = true;
    }
    return partial(r, text, size, why, why_size);
}

static bool finish(recognizer *r, char *text, size_t size, char *why, size_t why_size) {
    sphinx *s = (sphinx *)r;
    if (!s->settled && !end(s))
        return fail(why, why_size, "pocketsphinx: the utterance cannot be finished");
    s->settled = false;
    best_text(s, text, size);
    return true;
}

static bool doubts(const recognizer *r) {
    const sphinx *s = (const sphinx *)r;
    double sum = 0;
    int n = 0;
    if (!s->doubts || s->best < 0)
        return false;
    for (ps_seg_t *seg = ps_seg_iter(s->decoders[s->best]); seg; seg = ps_seg_next(seg)) {
        const char *word = ps_seg_word(seg);
        int32 acoustic, language, order;
        ps_seg_prob(seg, &acoustic, &language, &order);
        if (word[0] == '<' || word[0] == '[') /* silence, noise */
            continue;
        sum += language;
        n++;
    }
    return n > 0 && sum / (n + EXTRA_WORDS) < LEAST_LIKELY;
}

static void cancel(recognizer *r) {
    sphinx *s = (sphinx *)r;
    end(s);
    s->settled = false;
}

static void close_engine(recognizer *r) {
    sphinx *s = (sphinx *)r;
    end(s);
    for (int i = 0; i < s->n; i++)
        ps_free(s->decoders[i]);
    free(s->sound);
    free(s);
}

/* One decoder more; transform may be NULL. */
static bool add_decoder(sphinx *s, const char *acoustic, const char *dictionary,
                        const char *language, const char *transform) {
    cmd_ln_t *config = cmd_ln_init(NULL, ps_args(), TRUE, "-hmm", acoustic, "-dict", dictionary,
                                   "-lm", language, "-logfn", "/dev/null", "-dither", "no",
                                   "-lw", "9", "-fwdflatlw", "9", NULL);
    if (config && transform)
        cmd_ln_set_str_r(config, "-mllr", transform);
    ps_decoder_t *decoder = config ? ps_init(config) : NULL;
    if (config)
        cmd_ln_free_r(config); /* the decoder keeps its own hold of it */
    if (decoder)
        s->decoders[s->n++] = decoder;
    return decoder;
}

recognizer *recognizer_open_pocketsphinx(const recognizer_options *options, char *why,
                                         size_t why_size) {
    const char *model = VOICE_POCKETSPHINX_MODEL "/en-us/";
    const char *folder = options->data_folder;
    char acoustic[PATH_SIZE], dictionary[PATH_SIZE], language[PATH_SIZE], transform[PATH_SIZE];
    if (options->language && strncmp(options->language, "en", 2) != 0) {
        fail(why, why_size, "pocketsphinx: language %.20s, but only en is there",
             options->language);
        return NULL;
    }
    snprintf(acoustic, sizeof acoustic, "%sen-us", model);
    snprintf(dictionary, sizeof dictionary, "%s%s", folder ? folder : model,
             folder ? "/words.dict" : "cmudict-en-us.dict");
    snprintf(language, sizeof language, "%s%s", folder ? folder : model,
             folder ? "/words.lm" : "en-us.lm.bin");
    sphinx *s = calloc(1, sizeof *s);
    int16_t *sound = malloc(MOST_SAMPLES * sizeof *sound);
    if (!s || !sound) {
        free(s);
        free(sound);
        fail(why, why_size, "pocketsphinx: out of memory");
        return NULL;
    }
    s->base = (recognizer){
        .name = "pocketsphinx",
        .streams = true,
        .charge_ms = 60,
        .charge_ms_per_s = 30,
        .begin = begin,
        .feed = feed,
        .partial = partial,
        .settle = settle,
        .finish = finish,
        .doubts = doubts,
        .cancel = cancel,
        .close = close_engine,
    };
    s->sound = sound;
    s->doubts = folder;
    s->best = -1;
    err_set_logfp(NULL);
    bool good = add_decoder(s, acoustic, dictionary, language, NULL);
    for (int i = 1; good && folder && i < MOST_DECODERS; i++) {
        snprintf(transform, sizeof transform, "%s/voices-%d.mllr", folder, i);
        if (access(transform, R_OK) != 0)
            break;
        good = add_decoder(s, acoustic, dictionary, language, transform);
    }
    if (good)
        return &s->base;
    fail(why, why_size, "pocketsphinx: cannot start with %.150s, %.150s and %.150s", acoustic,
         dictionary, language);
    close_engine(&s->base);
    return NULL;
}
