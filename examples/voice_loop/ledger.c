#include "ledger.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool text_add(long_text *t, const char *data, size_t n) {
    char *grown = realloc(t->data, t->n + n + 1);
    if (!grown)
        return false;
    memcpy(grown + t->n, data, n);
    grown[t->n + n] = '\0';
    t->data = grown;
    t->n += n;
    return true;
}

const char *text_get(const long_text *t) {
    return t->data ? t->data : "";
}

void text_free(long_text *t) {
    free(t->data);
    *t = (long_text){0};
}

void turn_init(turn *t, uint32_t id) {
    *t = (turn){.id = id,
                .speech_start = -1,
                .speech_end = -1,
                .vad_end = -1,
                .asr = -1,
                .begun = -1,
                .first_token = -1,
                .first_clause = -1,
                .synthesis = -1,
                .first_audio = -1,
                .last_audio = -1,
                .barge_in = -1,
                .silent = -1};
}

void turn_free(turn *t) {
    text_free(&t->transcript);
    text_free(&t->answer);
    text_free(&t->also_said);
    text_free(&t->calls);
    text_free(&t->error);
}

/* ---- JSON ---- */

static json_t *ms(double value) {
    return value < 0 ? json_null() : json_integer((json_int_t)floor(value));
}

/* What recognizers and the like give need not be UTF-8. */
static json_t *string(const char *s, size_t n) {
    json_t *j = json_stringn(s, n);
    if (j)
        return j;
    long_text clean = {0};
    for (size_t i = 0; i < n; i++)
        text_add(&clean, (unsigned char)s[i] < 0x80 ? s + i : "?", 1);
    j = json_string(text_get(&clean));
    text_free(&clean);
    return j;
}

static json_t *lines(const long_text *t) {
    json_t *array = json_array();
    for (const char *p = text_get(t); *p;) {
        size_t n = strcspn(p, "\n");
        json_array_append_new(array, string(p, n));
        p += n + (p[n] == '\n');
    }
    return array;
}

static double since(double later, double earlier) {
    return later < 0 || earlier < 0 ? -1 : floor(later) - floor(earlier);
}

static json_t *as_json(const turn *t) {
    json_t *j = json_object(), *measured = json_object();
    size_t spoken = t->spoken < t->answer.n ? (size_t)t->spoken : t->answer.n;
    json_object_set_new(j, "turn", json_integer(t->id));
    json_object_set_new(j, "transcript", string(text_get(&t->transcript), t->transcript.n));
    json_object_set_new(j, "answer", string(text_get(&t->answer), t->answer.n));
    json_object_set_new(j, "spoken", string(text_get(&t->answer), spoken));
    json_object_set_new(j, "speech_start_ms", ms(t->speech_start));
    json_object_set_new(j, "speech_end_ms", ms(t->speech_end));
    json_object_set_new(j, "vad_end_ms", ms(t->vad_end));
    json_object_set_new(j, "asr_ms", ms(t->asr));
    json_object_set_new(j, "begun_ms", ms(t->begun));
    json_object_set_new(j, "guesses", json_integer(t->guesses));
    json_object_set_new(j, "first_token_ms", ms(t->first_token));
    json_object_set_new(j, "first_clause_ms", ms(t->first_clause));
    json_object_set_new(j, "synthesis_ms", ms(t->synthesis));
    json_object_set_new(j, "first_audio_ms", ms(t->first_audio));
    json_object_set_new(j, "last_audio_ms", ms(t->last_audio));
    json_object_set_new(j, "total_ms", ms(since(t->first_audio, t->speech_end)));
    json_object_set_new(j, "interrupted", json_boolean(t->interrupted));
    json_object_set_new(j, "barge_in_ms", ms(t->interrupted ? t->barge_in : -1));
    json_object_set_new(j, "silent_ms", ms(t->interrupted ? t->silent : -1));
    json_object_set_new(j, "resumed", json_integer(t->resumed));
    json_object_set_new(j, "prompt_ahead", json_integer(t->ahead));
    json_object_set_new(j, "prompt_reused", json_integer(t->reused));
    json_object_set_new(j, "prompt_evaluated", json_integer(t->evaluated));
    json_object_set_new(j, "calls", lines(&t->calls));
    json_object_set_new(j, "also_said", lines(&t->also_said));
    json_object_set_new(j, "error",
                        t->error.n ? string(text_get(&t->error), t->error.n) : json_null());
    json_object_set_new(measured, "asr", json_real(t->measured.asr));
    json_object_set_new(measured, "first_token", json_real(t->measured.first_token));
    json_object_set_new(measured, "first_clause", json_real(t->measured.first_clause));
    json_object_set_new(measured, "first_audio", json_real(t->measured.first_audio));
    json_object_set_new(j, "measured", measured);
    return j;
}

static void write_json(turn_ledger *l, const turn *t) {
    json_t *j = as_json(t);
    if (json_dumpf(j, l->json, JSON_COMPACT | JSON_PRESERVE_ORDER) != 0 ||
        fputc('\n', l->json) == EOF || fflush(l->json) != 0)
        l->failed = true;
    json_decref(j);
}

/* ---- the table ---- */

static void cell(FILE *f, double value) {
    if (value < 0)
        fprintf(f, " %8s", "-");
    else
        fprintf(f, " %8.0f", value);
}

/* Waits of a turn, each from the moment before. */
static void write_row(FILE *f, const turn *t, bool with_head) {
    static const char *const heads[] = {"endpoint", "recogn.", "token", "clause",
                                        "voice",    "played",  "total", "silence"};
    if (with_head) {
        fprintf(f, "turn");
        for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
            fprintf(f, " %8s", heads[i]);
        fprintf(f, "  said / answered\n");
    }
    fprintf(f, "%4u", t->id);
    cell(f, since(t->vad_end, t->speech_end));
    cell(f, since(t->asr, t->vad_end));
    cell(f, since(t->first_token, t->asr));
    cell(f, since(t->first_clause, t->first_token));
    cell(f, since(t->synthesis, t->first_clause));
    cell(f, since(t->first_audio, t->synthesis));
    cell(f, since(t->first_audio, t->speech_end));
    cell(f, t->interrupted ? since(t->silent, t->barge_in) : -1);
    fprintf(f, "  %.40s / %.60s\n", text_get(&t->transcript), text_get(&t->answer));
    fflush(f);
}

void ledger_add(turn_ledger *l, turn *t) {
    if (l->json)
        write_json(l, t);
    if (l->table)
        write_row(l->table, t, l->n_written % 20 == 0);
    l->n_written++;
    if (l->picture && l->n == l->cap) {
        size_t cap = 2 * l->cap + 16;
        turn *grown = realloc(l->turns, cap * sizeof *grown);
        if (grown) {
            l->turns = grown;
            l->cap = cap;
        }
    }
    if (l->picture && l->n < l->cap)
        l->turns[l->n++] = *t;
    else
        turn_free(t);
    *t = (turn){0};
}

void ledger_close(turn_ledger *l) {
    if (l->picture)
        ledger_draw(l->picture, l->turns, l->n);
    for (size_t i = 0; i < l->n; i++)
        turn_free(&l->turns[i]);
    free(l->turns);
    *l = (turn_ledger){0};
}
