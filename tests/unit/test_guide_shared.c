/* Every schema and grammar of the reference data accepts and rejects the texts that it should. */
#include "slm.h"
#include "vocab_files.h"

static slm_status compile(const char *text, size_t len, int is_schema, slm_guide **guide,
                          slm_error *error) {
    slm_guide_options o = {.struct_size = sizeof o, .flags = SLM_GUIDE_LENIENT};
    return is_schema ? slm_guide_compile_json_schema(NULL, text, len, &o, guide, error)
                     : slm_guide_compile_gbnf(NULL, text, len, NULL, guide, error);
}

static slm_match match(slm_guide *guide, json_t *text) {
    slm_match m;
    slm_error error = SLM_ERROR_INIT;
    if (slm_guide_match(guide, json_string_value(text), json_string_length(text), &m, &error))
        fail_msg("%s: %s", json_string_value(text), error.message);
    return m;
}

static int expect(slm_guide *guide, const char *name, json_t *list, int whole) {
    size_t i;
    json_t *text;
    int wrong = 0;
    json_array_foreach(list, i, text) {
        if ((match(guide, text) == SLM_MATCH_WHOLE) == whole)
            continue;
        print_message("%s: %s should be %s\n", name, json_string_value(text),
                      whole ? "accepted" : "rejected");
        wrong++;
    }
    return wrong;
}

/* Calls fn for each line of a file; fails when it found fault with any. */
static void each_line(const char *file, size_t at_least, int (*fn)(json_t *line)) {
    FILE *f = fopen(shared_path("chat/%s", file), "r");
    char *line = NULL;
    size_t cap = 0, n = 0;
    int wrong = 0;
    assert_non_null(f);
    while (getline(&line, &cap, f) > 0) {
        json_error_t why;
        json_t *v = json_loads(line, JSON_ALLOW_NUL, &why);
        if (v == NULL)
            fail_msg("%s: %s", file, why.text);
        wrong += fn(v);
        json_decref(v);
        n++;
    }
    free(line);
    fclose(f);
    assert_true(n >= at_least);
    assert_int_equal(wrong, 0);
}

static int schema_line(json_t *line) {
    const char *name = json_string_value(json_object_get(line, "name"));
    char *text = json_dumps(json_object_get(line, "schema"), JSON_ENCODE_ANY);
    slm_guide *guide;
    slm_error error = SLM_ERROR_INIT;
    int wrong = 0;
    size_t i;
    json_t *group;
    if (compile(text, strlen(text), 1, &guide, &error) != SLM_OK) {
        print_message("%s: %s\n", name, error.message);
        free(text);
        return 1;
    }
    wrong += expect(guide, name, json_object_get(line, "valid"), 1);
    wrong += expect(guide, name, json_object_get(line, "invalid"), 0);
    wrong += expect(guide, name, json_object_get(line, "invalid_soft"), 0);
    json_array_foreach(json_object_get(line, "valid_one_of"), i, group) {
        size_t j, any = 0;
        json_t *one;
        json_array_foreach(group, j, one) any += match(guide, one) == SLM_MATCH_WHOLE;
        if (any == 0) {
            print_message("%s: none of the texts of group %zu is accepted\n", name, i);
            wrong++;
        }
    }
    slm_guide_close(&guide);
    free(text);
    return wrong;
}

static void schemas(void **state) {
    (void)state;
    need_shared();
    each_line("schemas/must.jsonl", 241, schema_line);
    each_line("schemas/should.jsonl", 21, schema_line);
    each_line("schemas/more.jsonl", 51, schema_line);
}

/* Refused with a message that names what is at fault, or enforced. */
static int refused_line(json_t *line) {
    const char *name = json_string_value(json_object_get(line, "name"));
    const char *kind = json_string_value(json_object_get(line, "kind"));
    const char *word = json_string_value(json_object_get(line, "error_names"));
    char *text = json_dumps(json_object_get(line, "schema"), JSON_ENCODE_ANY);
    slm_guide *guide;
    slm_error error = SLM_ERROR_INIT;
    int wrong = 0;
    slm_status status = compile(text, strlen(text), 1, &guide, &error);
    if (status == SLM_OK && strcmp(kind, "unsupported") == 0) {
        wrong += expect(guide, name, json_object_get(line, "valid"), 1);
        wrong += expect(guide, name, json_object_get(line, "invalid"), 0);
    } else if (status != SLM_ERR_GRAMMAR && status != SLM_ERR_UNSUP) {
        print_message("%s: got %s\n", name, slm_status_name(status));
        wrong++;
    } else if (word != NULL && strstr(error.message, word) == NULL) {
        print_message("%s: \"%s\" does not name %s\n", name, error.message, word);
        wrong++;
    }
    slm_guide_close(&guide);
    free(text);
    return wrong;
}

static void refused_schemas(void **state) {
    (void)state;
    need_shared();
    each_line("schemas/refuse.jsonl", 65, refused_line);
}

/* Bytes of the first n characters. */
static size_t bytes_of(const char *text, size_t n) {
    size_t i = 0;
    for (; n > 0; n--)
        for (i++; ((unsigned char)text[i] & 0xc0) == 0x80;)
            i++;
    return i;
}

static int grammar_line(json_t *line) {
    const char *name = json_string_value(json_object_get(line, "name"));
    json_t *grammar = json_object_get(line, "grammar"), *text;
    json_t *prefixes = json_object_get(line, "viable_prefix");
    slm_guide *guide;
    slm_error error = SLM_ERROR_INIT;
    size_t i;
    if (compile(json_string_value(grammar), json_string_length(grammar), 0, &guide, &error)) {
        print_message("%s: %s\n", name, error.message);
        return 1;
    }
    int wrong = expect(guide, name, json_object_get(line, "match"), 1);
    wrong += expect(guide, name, json_object_get(line, "no_match"), 0);
    json_array_foreach(json_object_get(line, "no_match"), i, text) {
        const char *t = json_string_value(text);
        size_t n = (size_t)json_integer_value(json_array_get(prefixes, i)), at = bytes_of(t, n);
        slm_match m, longer = SLM_MATCH_NONE;
        assert_int_equal(slm_guide_match(guide, t, at, &m, &error), SLM_OK);
        if (t[at] != 0)
            assert_int_equal(slm_guide_match(guide, t, bytes_of(t, n + 1), &longer, &error),
                             SLM_OK);
        if (m == SLM_MATCH_NONE || longer != SLM_MATCH_NONE) {
            print_message("%s: of %s, %zu characters should begin a text\n", name, t, n);
            wrong++;
        }
    }
    slm_guide_close(&guide);
    return wrong;
}

static int broken_grammar_line(json_t *line) {
    json_t *grammar = json_object_get(line, "grammar");
    const char *name = json_string_value(json_object_get(line, "name"));
    const char *word = json_string_value(json_object_get(line, "error"));
    slm_guide *guide;
    slm_error error = SLM_ERROR_INIT;
    slm_status status =
        compile(json_string_value(grammar), json_string_length(grammar), 0, &guide, &error);
    if (status == SLM_ERR_GRAMMAR && strstr(error.message, word) != NULL)
        return 0;
    print_message("%s: got %s \"%s\", wanted \"%s\"\n", name, slm_status_name(status),
                  error.message, word);
    slm_guide_close(&guide);
    return 1;
}

static void grammars(void **state) {
    (void)state;
    need_shared();
    each_line("grammars/gbnf.jsonl", 22, grammar_line);
    each_line("grammars/gbnf_errors.jsonl", 27, broken_grammar_line);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schemas),
        cmocka_unit_test(refused_schemas),
        cmocka_unit_test(grammars),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
