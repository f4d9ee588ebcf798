/* Reading JSON to a tree: the scanner has found the text to be right before the tree is built. */
#include "base/json.h"

#include "base/utf8.h"

#include <string.h>

/* ---- places and errors ---- */

void slm_json_place(const char *text, size_t offset, size_t *line, size_t *column) {
    *line = *column = 1;
    for (size_t i = 0; i < offset; i++) {
        if (text[i] == '\n') {
            ++*line;
            *column = 1;
        } else {
            *column += ((uint8_t)text[i] & 0xC0) != 0x80;
        }
    }
}

static slm_status not_json(const slm_json_scan *s, const char *text, size_t len, size_t at,
                           const char *what, slm_error *error) {
    size_t line, column;
    slm_json_place(text, at, &line, &column);
    if (at == len)
        return slm_fail(error, SLM_ERR_FORMAT, what, at,
                        "%s is not JSON at line %zu, column %zu: got the end, wanted %s", what,
                        line, column, slm_json_scan_wanted(s));
    uint8_t c = (uint8_t)text[at];
    int in_string = slm_json_scan_in_string(s);
    if (s->depth == s->max_depth && !in_string && (c == '[' || c == '{'))
        return slm_fail(error, SLM_ERR_LIMIT, what, at,
                        "%s is nested too deeply at line %zu, column %zu: wanted at most %u levels",
                        what, line, column, s->max_depth);
    char got[8] = {'\'', (char)c, '\''};
    if (c < 0x20 || c >= 0x7F) {
        static const char HEX[] = "0123456789abcdef";
        memcpy(got, (char[]){'0', 'x', HEX[c >> 4], HEX[c & 15], 0}, 5);
    }
    int utf8 = in_string && (c >= 0x80 || (s->n_more > 0 && (uint8_t)text[at - 1] >= 0x80));
    return slm_fail(error, utf8 ? SLM_ERR_UTF8 : SLM_ERR_FORMAT, what, at,
                    "%s is not %s at line %zu, column %zu: got %s, wanted %s", what,
                    utf8 ? "UTF-8" : "JSON", line, column, got, slm_json_scan_wanted(s));
}

static slm_status check(const char *text, size_t len, uint32_t flags, const char *what,
                        slm_error *error) {
    if (len > UINT32_MAX)
        return slm_fail(error, SLM_ERR_LIMIT, what, SLM_NO_OFFSET,
                        "%s has %zu bytes, wanted at most "
                        "4 GiB",
                        what, len);
    slm_json_scan s;
    slm_json_scan_begin(&s);
    s.max_depth -= flags >> 8; /* SLM_JSON_WITHIN */
    size_t at = slm_json_scan_feed(&s, text, len);
    if (s.progress != SLM_JSON_DONE && (at < len || slm_json_scan_end(&s) != SLM_JSON_DONE))
        return not_json(&s, text, len, at, what, error);
    while (at < len && strchr(" \t\n\r", text[at]) && text[at] != 0)
        at++;
    return at < len ? not_json(&s, text, len, at, what, error) : SLM_OK;
}

/* ---- the tree ---- */

typedef struct builder {
    slm_arena *arena;
    const char *text;
    size_t len, pos;
    uint32_t flags;
    const char *what;
    slm_buffer values; /* slm_json: open arrays and objects, each followed by its items so far */
    slm_buffer order;  /* uint32_t: members sorted by name                                     */
    slm_str name;      /* of the value that comes next                                         */
    uint32_t depth;
    size_t open[SLM_JSON_MAX_DEPTH]; /* index of each in values                                */
} builder;

static slm_json *value_at(const builder *b, size_t i) {
    return (slm_json *)(void *)b->values.ptr + i;
}

static slm_status push(builder *b, slm_json v, slm_error *error) {
    v.name = b->name;
    b->name = (slm_str){NULL, 0};
    return slm_buffer_append(&b->values, &v, sizeof v, error);
}

static uint32_t read_hex(const char *p) {
    uint32_t v = 0;
    for (int i = 0; i < 4; i++)
        v = v << 4 | (uint32_t)(p[i] <= '9' ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
    return v;
}

/* Decodes one escape at p, behind its backslash; returns the bytes read. */
static size_t decode_escape(const char *p, char *out, size_t *n_out) {
    static const char FROM[] = "bfnrt", TO[] = "\b\f\n\r\t";
    *n_out = 1;
    if (*p != 'u') {
        const char *at = strchr(FROM, *p);
        *out = at ? TO[at - FROM] : *p;
        return 1;
    }
    uint32_t cp = read_hex(p + 1);
    size_t n = 5;
    if (cp >= 0xD800 && cp <= 0xDBFF) {
        cp = 0x10000 + ((cp - 0xD800) << 10) + (read_hex(p + 7) - 0xDC00);
        n = 11;
    }
    *n_out = slm_utf8_encode(cp, out);
    return n;
}

/* The string at pos, which is moved behind it. */
static slm_status read_string(builder *b, slm_str *out, slm_error *error) {
    const char *p = b->text + ++b->pos, *end = p;
    int escapes = 0;
    for (; *end != '"'; end++) {
        if (*end == '\\') {
            escapes = 1;
            end++;
        }
    }
    b->pos += (size_t)(end - p) + 1;
    *out = (slm_str){p, (size_t)(end - p)};
    if (!escapes)
        return SLM_OK;
    char *copy = slm_arena_alloc(b->arena, out->len); /* no escape is shorter than what it means */
    if (!copy)
        return slm_fail_nomem(error, out->len, b->what);
    out->ptr = copy;
    out->len = 0;
    while (p < end) {
        const char *escape = memchr(p, '\\', (size_t)(end - p));
        size_t plain = (size_t)((escape ? escape : end) - p), n = 0;
        memcpy(copy + out->len, p, plain);
        out->len += plain;
        p += plain;
        if (escape)
            p += 1 + decode_escape(p + 1, copy + out->len, &n);
        out->len += n;
    }
    return SLM_OK;
}

/* ---- members of one name ---- */

static int before(const slm_json *items, uint32_t a, uint32_t b) {
    slm_str x = items[a].name, y = items[b].name;
    if (x.len != y.len)
        return x.len < y.len;
    int c = memcmp(x.ptr, y.ptr, x.len);
    return c != 0 ? c < 0 : a < b;
}

static void sift_down(const slm_json *items, uint32_t *order, size_t from, size_t n) {
    for (size_t child; (child = 2 * from + 1) < n; from = child) {
        if (child + 1 < n && before(items, order[child], order[child + 1]))
            child++;
        if (!before(items, order[from], order[child]))
            return;
        uint32_t t = order[from];
        order[from] = order[child];
        order[child] = t;
    }
}

/* Sorts members by name and place: n log n whatever the names are. */
static slm_status sort_members(builder *b, const slm_json *items, uint32_t n, slm_error *error) {
    b->order.len = 0;
    SLM_TRY(slm_buffer_reserve(&b->order, n * sizeof(uint32_t), error));
    uint32_t *order = (uint32_t *)(void *)b->order.ptr;
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    for (size_t i = n / 2; i-- > 0;)
        sift_down(items, order, i, n);
    for (size_t i = n; i-- > 1;) {
        uint32_t t = order[0];
        order[0] = order[i];
        order[i] = t;
        sift_down(items, order, 0, i);
    }
    return SLM_OK;
}

static slm_status settle_names(builder *b, slm_json *object, slm_json *items, slm_error *error) {
    uint32_t n = object->n_items, n_kept = 0;
    if (n < 2)
        return SLM_OK;
    SLM_TRY(sort_members(b, items, n, error));
    const uint32_t *order = (const uint32_t *)(const void *)b->order.ptr;
    for (uint32_t first = 0, i = 1; i < n; i++) {
        slm_json *kept = &items[order[first]], *again = &items[order[i]];
        if (!slm_str_equal(kept->name, again->name)) {
            first = i;
            continue;
        }
        if (!(b->flags & SLM_JSON_KEEP_LAST)) {
            size_t line, column;
            slm_json_place(b->text, again->offset, &line, &column);
            return slm_fail(error, SLM_ERR_DUP, b->what, again->offset,
                            "%s has the member \"%.*s\" twice, again at line %zu, column %zu",
                            b->what, (int)(kept->name.len < 64 ? kept->name.len : 64),
                            kept->name.ptr, line, column);
        }
        slm_str name = kept->name;
        *kept = *again;
        kept->name = name;
        again->type = SLM_JSON_NULL;
        again->offset = SIZE_MAX; /* dropped below */
    }
    for (uint32_t i = 0; i < n; i++)
        if (items[i].offset != SIZE_MAX)
            items[n_kept++] = items[i];
    object->n_items = n_kept;
    return SLM_OK;
}

static slm_status close_nested(builder *b, slm_error *error) {
    size_t index = b->open[--b->depth], n = b->values.len / sizeof(slm_json) - index - 1;
    slm_json *v = value_at(b, index), *items = slm_arena_alloc(b->arena, n * sizeof *items);
    if (!items)
        return slm_fail_nomem(error, n * sizeof *items, b->what);
    if (n > 0)
        memcpy(items, v + 1, n * sizeof *items);
    v->items = items;
    v->n_items = (uint32_t)n; /* the text has fewer than 2^32 bytes */
    b->values.len = (index + 1) * sizeof *items;
    return v->type == SLM_JSON_OBJECT ? settle_names(b, v, items, error) : SLM_OK;
}

static int is_of_number(char c) {
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

static slm_status build_token(builder *b, slm_error *error) {
    char c = b->text[b->pos];
    slm_json v = {.offset = b->pos};
    if (c == '"') {
        SLM_TRY(read_string(b, &v.text, error));
        if (!b->name.ptr && b->depth > 0 &&
            value_at(b, b->open[b->depth - 1])->type == SLM_JSON_OBJECT) {
            b->name = v.text;
            return SLM_OK;
        }
        v.type = SLM_JSON_STRING;
        return push(b, v, error);
    }
    if (c == '{' || c == '[') {
        b->pos++;
        v.type = c == '{' ? SLM_JSON_OBJECT : SLM_JSON_ARRAY;
        b->open[b->depth++] = b->values.len / sizeof v;
        return push(b, v, error);
    }
    if (c == '}' || c == ']') {
        b->pos++;
        return close_nested(b, error);
    }
    if (c == 't' || c == 'f' || c == 'n') {
        b->pos += c == 'f' ? 5 : 4;
        v.type = c == 't' ? SLM_JSON_TRUE : c == 'f' ? SLM_JSON_FALSE : SLM_JSON_NULL;
        return push(b, v, error);
    }
    if (c != '-' && (c < '0' || c > '9')) { /* a comma, a colon or a blank */
        b->pos++;
        return SLM_OK;
    }
    v.type = SLM_JSON_NUMBER;
    v.text.ptr = b->text + b->pos;
    while (b->pos < b->len && is_of_number(b->text[b->pos]))
        b->pos++;
    v.text.len = b->pos - v.offset;
    return push(b, v, error);
}

slm_status slm_json_parse(slm_arena *arena, const char *text, size_t len, uint32_t flags,
                          const char *what, const slm_json **out, slm_error *error) {
    *out = NULL;
    SLM_TRY(check(text, len, flags, what, error));
    builder b = {.arena = arena,
                 .text = text,
                 .len = len,
                 .flags = flags,
                 .what = what,
                 .values = {.host = arena->host},
                 .order = {.host = arena->host}};
    slm_status status = SLM_OK;
    while (status == SLM_OK && (b.depth > 0 || b.values.len == 0))
        status = build_token(&b, error);
    slm_json *root = status == SLM_OK ? slm_arena_alloc(arena, sizeof *root) : NULL;
    if (root)
        *out = memcpy(root, b.values.ptr, sizeof *root);
    else if (status == SLM_OK)
        status = slm_fail_nomem(error, sizeof *root, what);
    slm_buffer_free(&b.values);
    slm_buffer_free(&b.order);
    return status;
}

/* ---- access ---- */

const slm_json *slm_json_get_str(const slm_json *v, slm_str name) {
    if (!v || v->type != SLM_JSON_OBJECT)
        return NULL;
    for (uint32_t i = 0; i < v->n_items; i++)
        if (slm_str_equal(v->items[i].name, name))
            return &v->items[i];
    return NULL;
}

const slm_json *slm_json_get(const slm_json *v, const char *name) {
    return slm_json_get_str(v, (slm_str){name, strlen(name)});
}

int slm_json_is(const slm_json *v, const char *text) {
    return v && v->type == SLM_JSON_STRING && slm_str_is(v->text, text);
}
