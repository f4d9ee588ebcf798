/* Lines of texts, and values put into them. */
#include "text/jinja_impl.h"
#include "text/unicode.h"

#include <math.h>

/* ---- lines ---- */

size_t slm_j_line_end(slm_str s, size_t from, size_t *next) {
    size_t at = from, len;
    for (; at < s.len; at += len) {
        uint32_t cp = slm_utf8_decode(s.ptr + at, s.len - at, &len);
        if ((cp >= 0x0A && cp <= 0x0D) || (cp >= 0x1C && cp <= 0x1E) || cp == 0x85 ||
            cp == 0x2028 || cp == 0x2029) {
            int pair = cp == 0x0D && at + 1 < s.len && s.ptr[at + 1] == '\n';
            *next = at + (pair ? 2 : len);
            return at;
        }
    }
    *next = at;
    return at;
}

/* What lines are moved in by: a text, or so many blanks. */
static slm_status indentation(slm_jinja *j, const slm_jargs *args, slm_jvalue *out) {
    const slm_jvalue *width = slm_j_arg(args, 0, "width");
    int64_t n;
    char *s;
    slm_jmark *marks;
    if (width && width->type == SLM_J_STRING) {
        *out = *width;
        return SLM_OK;
    }
    SLM_TRY(slm_j_arg_int(j, args, 0, "width", 4, &n));
    n = n < 0 ? 0 : n > 1000 ? 1000 : n;
    SLM_TRY(slm_j_new_text(j, (size_t)n, &s, &marks, out));
    memset(s, ' ', (size_t)n);
    for (int64_t i = 0; i < n; i++)
        marks[i] = SLM_MARK_TEMPLATE;
    return SLM_OK;
}

/* Every line after the first further in; the first too, and empty ones, where asked for. Lines end
 * with a line feed, whatever ended them before. */
slm_status slm_j_indent(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    slm_jvalue by, part;
    int first = slm_j_arg_true(args, 1, "first", 0), blank = slm_j_arg_true(args, 2, "blank", 0);
    SLM_TRY(slm_j_str(j, v, &v));
    SLM_TRY(indentation(j, args, &by));
    slm_str text = slm_j_text(v);
    SLM_TRY(slm_j_charge_chars(j, text.len));
    SLM_TRY(slm_j_own(j, "", out));
    for (size_t from = 0, end, next;; from = next) {
        end = slm_j_line_end(text, from, &next);
        SLM_TRY(slm_j_charge(j, 1));
        if (from == 0 ? first : end > from || blank)
            SLM_TRY(slm_j_concat(j, *out, by, out));
        SLM_TRY(slm_j_part(j, v, from, end, &part));
        SLM_TRY(slm_j_concat(j, *out, part, out));
        if (end == text.len || (next == text.len && text.ptr[end] == '\r'))
            return SLM_OK; /* jinja2 adds a line feed at the end, which a carriage return takes in */
        SLM_TRY(slm_j_string(j, "\n", 1, v.u.s->marks[end], &part));
        SLM_TRY(slm_j_concat(j, *out, part, out));
    }
}

/* ---- values in texts ---- */

/* "%s of %d" | format(a, b): %s, %d, %i and %% without anything between them. */
slm_status slm_j_percent(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    if (v.type != SLM_J_STRING)
        return slm_j_fail(j, "format of %s, wanted a string", slm_j_type_name(v));
    slm_str text = slm_j_text(v);
    slm_jvalue part;
    size_t done = 0, used = 0;
    SLM_TRY(slm_j_own(j, "", out));
    for (size_t at; (at = slm_str_find(text, (slm_str){"%", 1}, done)) != SIZE_MAX; done = at + 2) {
        char c = at + 1 < text.len ? text.ptr[at + 1] : 0;
        SLM_TRY(slm_j_part(j, v, done, at, &part));
        SLM_TRY(slm_j_concat(j, *out, part, out));
        if (c == '%') {
            SLM_TRY(slm_j_part(j, v, at, at + 1, &part));
        } else if (c != 's' && c != 'd' && c != 'i') {
            return slm_j_fail(j, "format knows %%s, %%d, %%i and %%%% only");
        } else {
            if (used == args->n)
                return slm_j_fail(j, "format has fewer values than places");
            slm_jvalue given = args->v[used++];
            if (c != 's' && given.type == SLM_J_FLOAT)
                given = slm_j_int((int64_t)fmax(-0x1p62, fmin(0x1p62, given.u.f)));
            if (c != 's' && !slm_j_is_number(given))
                return slm_j_fail(j, "%%%c of %s", c, slm_j_type_name(given));
            if (c != 's' && given.type == SLM_J_BOOL)
                given.type = SLM_J_INT;
            SLM_TRY(slm_j_str(j, given, &part));
        }
        SLM_TRY(slm_j_concat(j, *out, part, out));
    }
    if (used < args->n)
        return slm_j_fail(j, "format has more values than places");
    SLM_TRY(slm_j_part(j, v, done, text.len, &part));
    return slm_j_concat(j, *out, part, out);
}

/* The value that a place names: by number, by name, or the next one. *next: how many were taken by
 * their order; SIZE_MAX once one was named by number. */
static slm_status place(slm_jinja *j, const slm_jargs *args, slm_str name, size_t *next,
                        slm_jvalue *out) {
    size_t i = 0;
    int is_number = name.len > 0 && name.len < 4;
    for (size_t k = 0; k < name.len && is_number; k++) {
        is_number = name.ptr[k] >= '0' && name.ptr[k] <= '9';
        i = i * 10 + (size_t)(name.ptr[k] - '0');
    }
    if (name.len == 0 || is_number) {
        if ((name.len == 0) != (*next != SIZE_MAX) && *next != 0)
            return slm_j_fail(j, "format has places with and without numbers");
        i = name.len == 0 ? *next : i;
        *next = name.len == 0 ? i + 1 : SIZE_MAX;
        if (i >= args->n)
            return slm_j_fail(j, "format has fewer values than places");
        *out = args->v[i];
        return SLM_OK;
    }
    for (i = args->n; i < args->n_all; i++)
        if (slm_str_equal(args->names[i], name)) {
            *out = args->v[i];
            return SLM_OK;
        }
    return slm_j_fail(j, "format got no value for {%.*s}", (int)(name.len < 40 ? name.len : 40),
                      name.ptr);
}

/* "{} of {0} and {name}".format(...): values as they print, without members and formats. */
slm_status slm_j_braces(slm_jinja *j, slm_jvalue self, const slm_jargs *args, slm_jvalue *out) {
    slm_str text = slm_j_text(self);
    slm_jvalue part;
    size_t done = 0, next = 0;
    SLM_TRY(slm_j_charge_chars(j, text.len));
    SLM_TRY(slm_j_own(j, "", out));
    for (size_t at = 0, from; at < text.len; at = done) {
        while (at < text.len && text.ptr[at] != '{' && text.ptr[at] != '}')
            at++;
        SLM_TRY(slm_j_charge(j, 1));
        SLM_TRY(slm_j_part(j, self, done, at, &part));
        SLM_TRY(slm_j_concat(j, *out, part, out));
        done = at;
        if (at == text.len)
            break;
        from = at + 1;
        if (from < text.len && text.ptr[from] == text.ptr[at]) { /* a brace twice is a brace */
            SLM_TRY(slm_j_part(j, self, at, from, &part));
            done = from + 1;
        } else {
            const char *end = memchr(text.ptr + at, '}', text.len - at);
            if (end == NULL || text.ptr[at] == '}')
                return slm_j_fail(j, "format has a single brace");
            slm_jvalue value;
            slm_str name = {text.ptr + from, (size_t)(end - text.ptr) - from};
            if (name.len > 0 && strcspn(name.ptr, ".[!:{}") < name.len)
                return slm_j_fail(j, "format knows {}, {0} and {name} only, not {%.*s}",
                                  (int)(name.len < 40 ? name.len : 40), name.ptr);
            SLM_TRY(place(j, args, name, &next, &value));
            SLM_TRY(slm_j_str(j, value, &part));
            done = (size_t)(end - text.ptr) + 1;
        }
        SLM_TRY(slm_j_concat(j, *out, part, out));
    }
    return SLM_OK;
}
