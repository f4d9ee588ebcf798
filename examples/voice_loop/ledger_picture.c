/* The ledger as a picture: a band for each turn, its stages as bars on a common scale. */
#include "ledger.h"

#include <string.h>

enum { WIDTH = 960, LEFT = 60, BAND = 64, HEAD = 48, LEGEND = 108 };

static const struct {
    const char *name, *colour;
} stages[] = {{"speech", "#4c78a8"}, {"endpoint", "#bab0ac"}, {"recognition", "#72b7b2"},
              {"first token", "#e45756"}, {"first clause", "#f58518"}, {"voice", "#eeca3b"},
              {"answer", "#54a24b"}, {"interruption", "#b279a2"}};

static void write_escaped(FILE *f, const char *s, size_t max) {
    for (size_t i = 0; s[i] && i < max; i++) {
        if (strchr("<>&\"", s[i]))
            fprintf(f, "&#%d;", s[i]);
        else
            fputc((unsigned char)s[i] < 0x20 ? ' ' : s[i], f);
    }
}

/* From the end of the stage before to the end of this one. */
static double bar(FILE *f, int stage, double from, double to, double origin, double scale, int y) {
    if (from < 0 || to < 0 || to < from)
        return from;
    fprintf(f, "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"18\" fill=\"%s\"/>\n",
            LEFT + (from - origin) * scale, y, (to - from) * scale + 0.5, stages[stage].colour);
    return to;
}

static size_t whole_characters(const char *s, size_t max) {
    size_t n = strlen(s);
    if (n <= max)
        return n;
    for (n = max; n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80;)
        n--;
    return n;
}

void ledger_draw(FILE *f, const turn *turns, size_t n) {
    double longest = 1000;
    for (size_t i = 0; i < n; i++) {
        double end = turns[i].last_audio > turns[i].asr ? turns[i].last_audio : turns[i].asr;
        if (end - turns[i].speech_start > longest)
            longest = end - turns[i].speech_start;
    }
    double scale = (WIDTH - LEFT - 20) / longest;
    fprintf(f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%zu\" "
            "font-family=\"sans-serif\" font-size=\"12\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
            WIDTH, HEAD + BAND * n + 10);
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
        fprintf(f,
                "<rect x=\"%zu\" y=\"12\" width=\"12\" height=\"12\" fill=\"%s\"/>"
                "<text x=\"%zu\" y=\"22\">%s</text>\n",
                LEFT + LEGEND * i, stages[i].colour, LEFT + LEGEND * i + 16, stages[i].name);
    for (size_t i = 0; i < n; i++) {
        const turn *t = &turns[i];
        int y = HEAD + BAND * (int)i;
        double o = t->speech_start, at = t->speech_start;
        const char *said = text_get(&t->transcript);
        fprintf(f, "<text x=\"8\" y=\"%d\">%u</text>\n<text x=\"%d\" y=\"%d\">", y + 14, t->id, LEFT,
                y + 34);
        write_escaped(f, said, whole_characters(said, 70));
        fprintf(f, " \xe2\x86\x92 ");
        write_escaped(f, text_get(&t->answer), whole_characters(text_get(&t->answer), 80));
        if (t->first_audio >= 0 && t->speech_end >= 0)
            fprintf(f, " (%.0f ms)", t->first_audio - t->speech_end);
        fprintf(f, "</text>\n");
        at = bar(f, 0, at, t->speech_end, o, scale, y);
        at = bar(f, 1, at, t->vad_end, o, scale, y);
        at = bar(f, 2, at, t->asr, o, scale, y);
        at = bar(f, 3, at, t->first_token, o, scale, y);
        at = bar(f, 4, at, t->first_clause, o, scale, y);
        at = bar(f, 5, at, t->first_audio, o, scale, y);
        bar(f, 6, t->first_audio, t->last_audio, o, scale, y);
        if (t->interrupted)
            bar(f, 7, t->barge_in, t->silent, o, scale, y + 18);
    }
    fprintf(f, "</svg>\n");
}
