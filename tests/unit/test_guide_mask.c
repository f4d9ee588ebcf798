/* Masks equal trying every token of the vocabulary, on states that random texts come to. */
#include "guide/guide.h"
#include "vocab_files.h"

#include "base/rng.h"

#include <ctype.h>

static const char *const grammars[] = {
    "root ::= (\"a\" | \"ab\" | [c-z]{2,5} | \" \" root)+ \"!\"",
    "root ::= item*\nitem ::= \"- \" [^\\n]{1,40} \"\\n\"",
    "root ::= \"[\" (value (\", \" value)*)? \"]\"\nvalue ::= [0-9]+ | root | \"'\" [^'\\n]* \"'\"",
    "root ::= [\\u0400-\\u04FF]+ | [\\U0001F600-\\U0001F64F]{2} | \"caf\\u00e9\"",
    /* kinds of characters that may all come, with the few that may not */
    "root ::= [^x]*",
    "root ::= line+\nline ::= [^\\n\u00e9]{1,80} \"\\n\"",
    "root ::= word (\" \" word)* \".\"\nword ::= [a-z]+ | [A-Z] [a-z]* | [0-9a-f]{2,60}",
    "root ::= (word \"-\")+\nword ::= [^ -]+ | \" \" [^-]+",
    "root ::= \"a\" root \"b\" | \"a\" root \"c\" | x root? \nx ::= \"x\" y*\ny ::= \"y\"? \"z\"",
};

static const char *const schemas[] = {
    "{}",
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"n\":{\"type\":"
    "\"integer\"},"
    "\"list\":{\"type\":\"array\",\"items\":{\"type\":\"number\"}}},\"required\":[\"name\"]}",
    "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"minLength\":2,\"maxLength\":9}}",
    "{\"type\":\"array\",\"items\":{\"anyOf\":[{\"type\":\"string\",\"maxLength\":3},"
    "{\"type\":\"string\",\"pattern\":\"^x+y*$\"},{\"enum\":[\"long text here\",17,null]}]}}",
    "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\",\"minimum\":-7,"
    "\"maximum\":1234}}",
    "{\"type\":\"object\",\"properties\":{\"abc\":{\"type\":\"boolean\"}},"
    "\"additionalProperties\":{\"type\":\"string\"}}",
    "{\"$defs\":{\"n\":{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"number\"},\"c\":{"
    "\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/n\"}}},\"required\":[\"v\"]}},"
    "\"$ref\":\"#/$defs/n\"}",
    "{\"type\":\"string\",\"format\":\"date-time\"}",
    "{\"type\":\"string\",\"pattern\":\"^[^x]{1,90}$\"}",
    "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"pattern\":\"ab$\"}}",
};

/* Texts of at most so many characters of any kind but one, and such in turns. */
static const struct {
    const char *text;
    int is_schema;
    uint32_t most;
    const char *before; /* the first of these */
    const char *other;  /* one of them that is no letter */
} counted[] = {
    {"root ::= [^x]{1,300}", 0, 300, "", "\xc3\xa9"},
    {"root ::= part (\"|\" part)* \"|\"\npart ::= [^|]{1,90}", 0, 90, "", " "},
    {"root ::= ([^x] [^y]){1,50}", 0, 100, "", "\xe6\x97\xa5"},
    {"root ::= [^x]{66} [^\\x80-\\U0010FFFFe]{1,9}", 0, 75, "", "1"},
    {"root ::= [^\u0400-\u04FFe]{1,40} \"e\"", 0, 40, "", "\xf0\x9f\x98\x80"},
    {"{\"type\":\"string\",\"pattern\":\"^[^x]{1,300}$\"}", 1, 300, "\"", "\xc3\xa9"},
    {"{\"type\":\"string\",\"pattern\":\"^[^x]{64}y{0,3}\",\"maxLength\":80}", 1, 64, "\"", "\\n"},
    {"{\"type\":\"string\",\"maxLength\":70}", 1, 70, "\"", "\xe2\x82\xac"},
    {"{\"type\":\"array\",\"items\":{\"type\":\"string\","
     "\"pattern\":\"^([^x]|x[^y]){1,66}$\"}}",
     1, 66, "[\"", "\\u0001"},
};

/* Tools with names that share a beginning and arguments of several kinds; what each format writes
 * before a call. */
static const char tools[] =
    "[{\"name\":\"lamp\",\"parameters\":{\"type\":\"object\",\"properties\":{\"place\":{\"enum\":["
    "\"hall\",\"John's room\"]},\"level\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":100}}}},"
    "{\"name\":\"lamps_off\"},{\"name\":\"note\",\"parameters\":{\"type\":\"object\","
    "\"properties\":{"
    "\"text\":{\"type\":\"string\",\"maxLength\":30},\"tags\":{\"type\":\"array\",\"items\":{"
    "\"type\":"
    "\"string\"}},\"at\":{\"type\":\"number\"}},\"required\":[\"text\"]}}]";
static const struct {
    slm_tool_format format;
    const char *before[3];
} formats[] = {
    {SLM_TOOLS_HERMES,
     {"<tool_call>\n{\"name\": \"", "Hm.<tool_call>{\"name\":\"note\",", "a <tool_"}},
    {SLM_TOOLS_PHI4_MINI, {"<|tool_call|>[", "functools[{\"name\": \"note\", ", "func"}},
    {SLM_TOOLS_LLAMA3_JSON, {"{\"name\": \"lamp\", ", "<|python_tag|>", "so {"}},
    {SLM_TOOLS_LLAMA32_PYTHONIC, {"[", "[note(text=", "<|python_tag|>[lamp("}},
    {SLM_TOOLS_JSON,
     {"{\"name\": \"lamp", "[{\"name\":\"note\",\"arguments\":{\"text\":\"a", "1 ["}},
};

/* A second automaton of the same guide, which is only ever stepped. */
typedef struct brute {
    slm_guide *guide;
    slm_matcher *matcher;
    char *buf;
} brute;

static int may_follow(brute *b, const slm_vocab *v, int32_t id, int sleeps) {
    slm_automaton *a = &b->guide->automaton;
    uint32_t flags = slm_vocab_flags(v, id), config = b->matcher->config;
    if (slm_vocab_is_end(v, id)) {
        int can_end, must_end;
        assert_int_equal(slm_matcher_state(b->matcher, &can_end, &must_end, NULL), SLM_OK);
        return can_end;
    }
    int spells = slm_guide_spells(b->guide, id);
    slm_str bytes = spells ? slm_vocab_text(v, id) : slm_vocab_token_bytes(v, id, 0, b->buf);
    if (!spells &&
        ((flags & (SLM_TOKEN_CONTROL | SLM_TOKEN_UNKNOWN | SLM_TOKEN_UNUSED)) || bytes.len == 0))
        return sleeps;
    slm_automaton_begin(a, NULL);
    for (size_t i = 0; i < bytes.len && config != 0; i++)
        config = slm_automaton_step(a, config, (uint8_t)bytes.ptr[i]);
    assert_int_equal(a->status, SLM_OK);
    return config != 0;
}

static void compare(brute *b, const slm_vocab *v, const uint64_t *bits, int sleeps,
                    const char *what) {
    for (int32_t id = 0; (uint32_t)id < slm_vocab_size(v); id++)
        if ((int)(bits[id / 64] >> (id % 64) & 1) != may_follow(b, v, id, sleeps)) {
            slm_str bytes = slm_vocab_token_bytes(v, id, 0, b->buf);
            fail_msg("%s: token %d (\"%.*s\") should be %s", what, id, (int)bytes.len, bytes.ptr,
                     may_follow(b, v, id, sleeps) ? "allowed" : "masked");
        }
}

/* A token of the mask that is no end, or -1. */
static int32_t pick(const slm_vocab *v, const uint64_t *bits, slm_rng *rng) {
    uint32_t n = slm_vocab_size(v), from = (uint32_t)(slm_rng_next(rng) % n);
    for (uint32_t i = 0; i < n; i++) {
        int32_t id = (int32_t)((from + i) % n);
        if (bits[id / 64] >> (id % 64) & 1 && !slm_vocab_is_end(v, id))
            return id;
    }
    return -1;
}

enum { STEPS = 12 };

/* Random texts behind the given one through two guides that are the same. */
static void walk_guides(slm_guide *guides[2], const char *before, const char *what, slm_rng *rng,
                        int n_walks, int n_steps) {
    slm_error error = SLM_ERROR_INIT;
    slm_matcher *m;
    brute b = {.guide = guides[1]};
    const slm_vocab *v = guides[0]->trie->vocab;
    b.buf = malloc(slm_vocab_max_token_bytes(v));
    assert_int_equal(slm_matcher_open(guides[0], &m, &error), SLM_OK);
    assert_int_equal(slm_matcher_open(b.guide, &b.matcher, &error), SLM_OK);
    for (int i = 0; i < n_walks; i++) {
        assert_int_equal(slm_matcher_reset(m, &error), SLM_OK);
        assert_int_equal(slm_matcher_reset(b.matcher, &error), SLM_OK);
        if (slm_matcher_take_bytes(m, before, strlen(before), &error) != SLM_OK)
            fail_msg("%s: \"%s\": %s", what, before, error.message);
        assert_int_equal(slm_matcher_take_bytes(b.matcher, before, strlen(before), NULL), SLM_OK);
        for (int n = 0; n < n_steps; n++) {
            const uint64_t *bits;
            size_t n_words;
            if (slm_matcher_get_mask(m, &bits, &n_words, &error) != SLM_OK)
                fail_msg("%s", error.message);
            compare(&b, v, bits, slm_matcher_sleeps(m), what);
            int32_t id = pick(v, bits, rng);
            if (id < 0)
                break;
            if (slm_matcher_accept(m, id, &error) != SLM_OK)
                fail_msg("%s: %s", what, error.message);
            assert_int_equal(slm_matcher_accept(b.matcher, id, &error), SLM_OK);
        }
    }
    free(b.buf);
    slm_matcher_close(&m);
    slm_matcher_close(&b.matcher);
}

static void close_guides(slm_guide *guides[2]) {
    slm_guide_close(&guides[0]);
    slm_guide_close(&guides[1]);
}

static void compile(slm_model *model, const slm_guide_source *source,
                    const slm_guide_options *options, slm_guide *guides[2]) {
    slm_error error = SLM_ERROR_INIT;
    for (int i = 0; i < 2; i++) {
        slm_status status = source->is_schema
                                ? slm_guide_compile_json_schema(model, source->text, source->len,
                                                                options, &guides[i], &error)
                                : slm_guide_compile_gbnf(model, source->text, source->len, options,
                                                         &guides[i], &error);
        if (status != SLM_OK)
            fail_msg("%s: %s", source->text, error.message);
    }
}

static void walk(slm_model *model, const slm_guide_source *source, const slm_guide_options *options,
                 slm_rng *rng, int n_walks) {
    slm_guide *guides[2];
    compile(model, source, options, guides);
    walk_guides(guides, "", source->text, rng, n_walks, STEPS);
    close_guides(guides);
}

/* Grammars of which a walk that passes over branches would pass over little. */
static const char *const hostile[] = {
    /* several frames at once; a class under a name is written out */
    "root ::= (e{1,300} \"!\" | t{1,300} \"?\")\ne ::= [^e]\nt ::= [^t]",
    "root ::= a{1,50} \"0\" | b{1,51} \"1\" | c{1,52} \"2\" | d{1,53} \"3\"\na ::= [^a]\n"
    "b ::= [^b]\nc ::= [^c]\nd ::= [^d]",
    /* so many together that each is walked from alone */
    "root ::= ra | rb | rc | rd | re | rf | rg\nra ::= a{1,90} \"0\"\nrb ::= b{1,91} \"1\"\n"
    "rc ::= c{1,92} \"2\"\nrd ::= d{1,93} \"3\"\nre ::= e{1,94} \"4\"\nrf ::= f{1,95} \"5\"\n"
    "rg ::= g{1,96} \"6\"\na ::= [^a]\nb ::= [^b]\nc ::= [^c]\nd ::= [^d]\ne ::= [^e]\n"
    "f ::= [^f]\ng ::= [^g]",
    /* frames that end within most tokens */
    "root ::= (a b)*\na ::= [^x]{1,5}\nb ::= [^y]{1,6}",
    "root ::= [a-z ] root [a-z ] | [^0-9]",
    /* every letter by itself */
    "root ::= ([^a] [^b] [^c] [^d] [^e] [^f] [^g] [^h] [^i] [^j] [^k] [^l] [^m] [^n] [^o])*",
    "root ::= (([^\\u0100-\\u0fff] | \"x\" [^e]) [^\\u00e9x]){1,90}",
    /* characters of a class that end within most tokens */
    "root ::= (a b)*\na ::= [^x]{1,30}\nb ::= [^y]{1,40}",
};

/* The same texts twice: the first counts the characters of classes, the second has them written
 * out, as those are that have a name. */
static const struct {
    const char *counted;
    int is_schema;
    const char *written;
} pairs[] = {
    {"root ::= [^x]{1,30}", 0, "root ::= c{1,30}\nc ::= [^x]"},
    {"root ::= [^x]{0,18} \"x\" [ -~]{18}", 0,
     "root ::= c{0,18} \"x\" d{18}\nc ::= [^x]\nd ::= [ -~]"},
    {"root ::= [a-z ]{20,} [^e]{3,19} \".\"", 0,
     "root ::= c{20,} d{3,19} \".\"\nc ::= [a-z ]\nd ::= [^e]"},
    /* texts that can be divided in many ways, of which one covers the others */
    {"root ::= ([a-m ]{1,20} | [k-z ]{2,30} \"k\")* \"!\"", 0,
     "root ::= (c{1,20} | d{2,30} \"k\")* \"!\"\nc ::= [a-m ]\nd ::= [k-z ]"},
    {"root ::= ([^aeiou]{1,17} [^t]{4,16})+", 0,
     "root ::= (c{1,17} d{4,16})+\nc ::= [^aeiou]\nd ::= [^t]"},
    {"root ::= \"a\" [^\\u0100-\\u0fff]{16,25} | [^e]{1,16} root?", 0,
     "root ::= \"a\" c{16,25} | d{1,16} root?\nc ::= [^\\u0100-\\u0fff]\nd ::= [^e]"},
    {"root ::= a | b\na ::= [^a]{1,16} \"0\"\nb ::= [^a]{9,99} [0a]", 0,
     "root ::= a | b\na ::= c{1,16} \"0\"\nb ::= c{9,99} [0a]\nc ::= [^a]"},
    {"{\"type\":\"string\",\"pattern\":\"^[a-f ]{0,40}x[ b-e]{2,30}$\"}", 1,
     "root ::= \"\\\"\" c{0,40} \"x\" d{2,30} \"\\\"\"\nc ::= [a-f ]\nd ::= [ b-e]"},
    {"{\"type\":\"string\",\"pattern\":\"^[a-z]{5,30}[0-9 ]{20}\\\\.[^\\\\n]{16}$\"}", 1,
     "root ::= \"\\\"\" c{5,30} d{20} \".\" e{16} \"\\\"\"\nc ::= [a-z]\nd ::= [0-9 ]\n"
     "e ::= [^\"\\\\\\x00-\\x1f] | \"\\\\\" ([\"\\\\bfrt] | \"u00\" ("
     "\"0\" [0-7bB] | \"0\" [eEfF] | \"1\" [0-9a-fA-F]))"},
    {"{\"type\":\"array\",\"items\":{\"type\":\"string\",\"pattern\":\"^[a-z]*$\","
     "\"minLength\":3,\"maxLength\":20}}",
     1,
     "root ::= \"[\" (s (\",\" \" \"? s)*)? \"]\"\ns ::= \"\\\"\" c{3,20} \"\\\"\"\nc ::= [a-z]"},
    /* in copies, of which one covers others, or of which so many must come that what is inside is
       written out, on both sides; a class is counted behind */
    {"root ::= ([a-z]{0,16} \",\"?){0,250} \"!\" [^x]{1,30}", 0,
     "root ::= (c{0,16} \",\"?){0,250} \"!\" d{1,30}\nc ::= [a-z]\nd ::= [^x]"},
    {"root ::= ([a-z]{0,16} \",\"){66,70} \"!\" [^x]{1,30}", 0,
     "root ::= (c{0,16} \",\"){66,70} \"!\" d{1,30}\nc ::= [a-z]\nd ::= [^x]"},
    {"root ::= (([a-z]{1,20} \" \"?){1,20} \".\"?){1,20} \"!\" [^x]{1,30}", 0,
     "root ::= ((c{1,20} \" \"?){1,20} \".\"?){1,20} \"!\" d{1,30}\nc ::= [a-z]\nd ::= [^x]"},
};

/* Copies: the first guide knows that they are, the second has them written out. */
static const char *const copies[] = {
    "root ::= ([^\\n]{0,5} \"\\n\"?){0,6}",
    "root ::= ([a-f]{0,3} \",\"?){2,7} \"!\"",
    "root ::= ([a-z ]{1,4} [,.]?){1,6} [a-z]?",
    "root ::= ([a-c]{2,3} \"x\"?){3,6} | [a-d]{4} root?",
    "root ::= (([a-z]{1,3} \" \"?){0,3} \".\"?){1,4} \"!\"",
    "root ::= ([^x] | \"x\" [^y]){1,8} (\"a\"? \"b\"* \"\"){2,5}",
    "root ::= (w \" \"?){0,5} w\nw ::= [a-z]{1,3} | \"(\" root \")\"",
    "root ::= v\nv ::= \"[\" (v \",\"?){0,4} v \"]\" | [0-9]{1,3}",
    "root ::= ((x{0,3}){1,3} y?){4}\nx ::= [a-d]? \"e\" | \"f\" y\ny ::= [g-z ]{0,3} | \"#\" x",
    "root ::= (\"a\" | \"ab\" | \"ba\"){0,9} (\"b\" root){0,2}",
    "root ::= (([ab]{2} | [a-c]{3}){1,3} \"c\"?){0,4} (\"d\"{1,2}){2,}",
};

/* Behind a class or a literal. */
static char *behind_quoted(char *at) {
    char closing = *at == '[' ? ']' : '"';
    for (at++; *at != closing; at++)
        at += *at == '\\';
    return at + 1;
}

/* The beginning of what stands before a repetition: a name, a class, a literal or a group. */
static const char *atom_before(char *text, const char *brace) {
    const char *atom = text;
    for (char *at = text; at < brace;) {
        if (*at == '[' || *at == '"') {
            atom = at;
            at = behind_quoted(at);
        } else if (isalnum((unsigned char)*at)) {
            for (atom = at; isalnum((unsigned char)*at);)
                at++;
        } else {
            at++;
        }
    }
    if (brace[-1] != ')')
        return atom;
    const char *open[64];
    size_t depth = 0;
    for (char *at = text; at < brace;) {
        if (*at == '[' || *at == '"') {
            at = behind_quoted(at);
            continue;
        }
        assert_true(depth < COUNT(open));
        if (*at == '(')
            open[depth++] = at;
        else if (*at == ')')
            atom = open[--depth];
        at++;
    }
    return atom;
}

/* A grammar with each repetition of a name, a class or a group in braces as what it stands for: a text
 * as often as it must come, and then as often as it may, (x(x(x)?)?)?. */
static char *write_out(const char *grammar) {
    char *text = malloc(strlen(grammar) + 1);
    strcpy(text, grammar);
    for (char *brace = text; (brace = strpbrk(brace, "{[\"")) != NULL;) {
        char *end;
        if (*brace != '{') { /* neither a class nor a literal is looked into */
            brace = behind_quoted(brace);
            continue;
        }
        unsigned min = (unsigned)strtoul(brace + 1, &end, 10), max = min;
        int endless = *end == ',' && end[1] == '}';
        if (*end == ',' && !endless)
            max = (unsigned)strtoul(end + 1, &end, 10);
        const char *atom = atom_before(text, brace), *rest = strchr(brace, '}') + 1;
        int len = (int)(brace - atom);
        size_t cap = strlen(text) + (max + 2) * ((size_t)len + 8), n = 0;
        char *longer = malloc(cap);
        n += (size_t)snprintf(longer, cap, "%.*s", (int)(atom - text), text);
        for (unsigned i = 0; i < min; i++)
            n += (size_t)snprintf(longer + n, cap - n, "%.*s ", len, atom);
        for (unsigned i = min; i < max; i++)
            n += (size_t)snprintf(longer + n, cap - n, "(%.*s ", len, atom);
        for (unsigned i = min; i < max; i++)
            n += (size_t)snprintf(longer + n, cap - n, ")?");
        if (endless)
            n += (size_t)snprintf(longer + n, cap - n, "%.*s*", len, atom);
        (void)snprintf(longer + n, cap - n, "%s", rest);
        assert_true(n + strlen(rest) < cap);
        brace = longer + n;
        free(text);
        text = longer;
    }
    return text;
}

static void walk_hostile(slm_model *model, size_t which, slm_rng *rng, int n_walks) {
    const slm_guide_source source = {hostile[which], SLM_NTS, 0};
    slm_guide *guides[2];
    compile(model, &source, NULL, guides);
    walk_guides(guides, "", source.text, rng, n_walks, 6);
    assert_non_null(guides[0]->masker.flat.at); /* it did walk over all nodes */
    close_guides(guides);
}

static void walk_both(slm_model *model, const slm_guide_source sources[2], uint32_t n_classes,
                      slm_rng *rng, int n_walks) {
    slm_guide *short_ones[2], *written[2];
    compile(model, &sources[0], NULL, short_ones);
    compile(model, &sources[1], NULL, written);
    assert_true(short_ones[0]->grammar.n_classes >= n_classes);
    assert_int_equal(written[0]->grammar.n_classes, 0);
    slm_guide *both[2] = {short_ones[0], written[1]};
    walk_guides(both, "", sources[0].text, rng, n_walks, 8);
    both[0] = written[0];
    both[1] = short_ones[1];
    walk_guides(both, "", sources[0].text, rng, n_walks, 8);
    close_guides(short_ones);
    close_guides(written);
}

static void walk_copies(slm_model *model, size_t which, slm_rng *rng, int n_walks) {
    char *written = write_out(copies[which]);
    slm_guide *known[2], *plain[2];
    compile(model, &(slm_guide_source){copies[which], SLM_NTS, 0}, NULL, known);
    compile(model, &(slm_guide_source){written, SLM_NTS, 0}, NULL, plain);
    assert_true(known[0]->grammar.n_copies > 0);
    assert_int_equal(plain[0]->grammar.n_copies, 0);
    slm_guide *both[2] = {known[0], plain[1]};
    walk_guides(both, "", copies[which], rng, n_walks, STEPS);
    both[0] = plain[0];
    both[1] = known[1];
    walk_guides(both, "", written, rng, n_walks, STEPS);
    close_guides(known);
    close_guides(plain);
    free(written);
}

static void walk_pair(slm_model *model, size_t which, slm_rng *rng, int n_walks) {
    const slm_guide_source sources[2] = {{pairs[which].counted, SLM_NTS, pairs[which].is_schema},
                                         {pairs[which].written, SLM_NTS, 0}};
    walk_both(model, sources, 1, rng, n_walks);
}

/* More classes than are counted: the last ones are written out. Each has a letter of its own, and
 * the first letter of the text says which of them may follow. */
static void walk_many_classes(slm_model *model, slm_rng *rng, int n_walks) {
    enum { N = SLM_MAX_CLASSES + 6, CAP = 64 * N };
    char counts[CAP] = "root ::= ", written[2 * CAP] = "root ::= ";
    size_t a = strlen(counts), b = a;
    for (int i = 0; i < N; i++) {
        const char *bar = i > 0 ? " | " : "";
        int first = 'A' + i % 7, least = i / 7 + 1, own = 0x100 + i;
        a += (size_t)snprintf(counts + a, sizeof counts - a, "%s\"%c\" [a-z\\u%04x]{%d,20} \"#\"",
                              bar, first, own, least);
        b += (size_t)snprintf(written + b, sizeof written - b, "%s\"%c\" c%d{%d,20} \"#\"", bar,
                              first, i, least);
    }
    for (int i = 0; i < N; i++)
        b += (size_t)snprintf(written + b, sizeof written - b, "\nc%d ::= [a-z\\u%04x]", i,
                              0x100 + i);
    assert_true(a < sizeof counts && b < sizeof written);
    const slm_guide_source sources[2] = {{counts, SLM_NTS, 0}, {written, SLM_NTS, 0}};
    walk_both(model, sources, SLM_MAX_CLASSES, rng, n_walks);
}

/* With so many characters left of those that a pattern counts, in one guide: what it found out for
 * one place must be right for the others. */
static void walk_counted(slm_model *model, size_t which, slm_rng *rng, size_t stride) {
    static const uint32_t left[] = {63, 2, 200, 64, 0, 17, 65, 1, 5};
    const slm_guide_source source = {counted[which].text, SLM_NTS, counted[which].is_schema};
    slm_guide *guides[2];
    compile(model, &source, NULL, guides);
    for (size_t i = which % stride; i < COUNT(left); i += stride) {
        char before[1024];
        size_t n = (size_t)snprintf(before, sizeof before, "%s", counted[which].before);
        for (uint32_t c = left[i]; c < counted[which].most; c++)
            n += (size_t)snprintf(before + n, sizeof before - n, "%s",
                                  c % 7 ? "a" : counted[which].other);
        walk_guides(guides, before, source.text, rng, 1, 2);
    }
    close_guides(guides);
}

static void walk_tools(slm_model *model, size_t format, slm_rng *rng, int n_walks) {
    slm_error error = SLM_ERROR_INIT;
    for (size_t i = 0; i < COUNT(formats[format].before); i++) {
        slm_tools_options o = {.struct_size = sizeof o, .format = formats[format].format};
        slm_guide *guides[2];
        for (int g = 0; g < 2; g++)
            if (slm_guide_compile_tools(model, tools, SLM_NTS, &o, NULL, &guides[g], &error) !=
                SLM_OK)
                fail_msg("%s", error.message);
        walk_guides(guides, formats[format].before[i], slm_tool_format_name(o.format), rng, n_walks,
                    STEPS);
        close_guides(guides);
    }
}

static void masks(void **state) {
    const char *name = *state;
    slm_error error = SLM_ERROR_INIT;
    slm_model *model;
    slm_model_options o = {.struct_size = sizeof o, .flags = SLM_MODEL_VOCAB_ONLY};
    slm_guide_options lenient = {.struct_size = sizeof lenient, .flags = SLM_GUIDE_LENIENT};
    slm_span trigger = {"<tool_call>", SLM_NTS, 0};
    slm_guide_options lazy = {.struct_size = sizeof lazy, .triggers = &trigger, .n_triggers = 1};
    slm_rng rng;
    need_shared();
    slm_rng_seed(&rng, 7);
    if (slm_model_open(shared_path("vocab/%s.gguf", name), &o, &model, &error) != SLM_OK)
        fail_msg("%s", error.message);
#ifdef SLM_SLOW
    int n = 1;
#else
    int n = 3;
#endif
    for (size_t i = 0; i < COUNT(grammars); i++)
        walk(model, &(slm_guide_source){grammars[i], SLM_NTS, 0}, NULL, &rng, n);
    for (size_t i = 0; i < COUNT(hostile); i++)
        walk_hostile(model, i, &rng, n > 1 ? 2 : 1);
    for (size_t i = 0; i < COUNT(pairs); i++)
        walk_pair(model, i, &rng, n > 1 ? 2 : 1);
    for (size_t i = 0; i < COUNT(copies); i++)
        walk_copies(model, i, &rng, n);
    walk_many_classes(model, &rng, n > 1 ? 4 : 1);
    for (size_t i = 0; i < COUNT(schemas); i++)
        walk(model, &(slm_guide_source){schemas[i], SLM_NTS, 1}, NULL, &rng, n);
    walk(model, &(slm_guide_source){schemas[0], SLM_NTS, 1}, &lenient, &rng, n);
    walk(model, &(slm_guide_source){schemas[1], SLM_NTS, 1}, &lazy, &rng, n);
    for (size_t i = 0; i < COUNT(formats); i++)
        walk_tools(model, i, &rng, 1);
    for (size_t i = 0; i < COUNT(counted); i++)
        walk_counted(model, i, &rng, n > 1 ? 1 : 3);
    slm_model_close(&model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(masks, "llama3"),
        cmocka_unit_test_prestate(masks, "qwen2"),
        cmocka_unit_test_prestate(masks, "phi3"),
        cmocka_unit_test_prestate(masks, "llama-spm"),
        cmocka_unit_test_prestate(masks, "phi4-mini"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
