/* The first call of a block while it is being read: its name, and its arguments as they come.
 *
 * The bytes are known to be the beginning of JSON; here they are only sorted: at the level of the call
 * members alternate between names and values, and of the arguments everything but white space goes on.
 * What cannot be told before the end (a name with escapes or behind the arguments, arguments in a
 * string) is left to whoever reads the whole block. */
#include "text/toolcall_impl.h"

#include <string.h>

void slm_call_stream_begin(slm_call_stream *s) {
    slm_buffer name = s->name, piece = s->piece;
    name.len = piece.len = 0;
    *s = (slm_call_stream){.name = name, .piece = piece};
}

static int is_key(const slm_call_stream *s, const char *name) {
    return s->n_key == strlen(name) && memcmp(s->key, name, s->n_key) == 0;
}

static int is_arguments(const slm_call_stream *s, int parameters) {
    return is_key(s, "arguments") || (parameters && is_key(s, "parameters"));
}

/* A member of the call begins. One that says again what was said, or else, is none of a good call. */
static void end_key(slm_call_stream *s, int parameters) {
    s->is_value = 1;
    s->is_name = is_key(s, "name");
    s->is_bad |= s->is_name ? s->has_name : is_arguments(s, parameters) && s->says_arguments;
    s->says_arguments |= is_arguments(s, parameters);
}

/* A byte of a string at the level of the call: of a member's name, of the call's, or of no interest. */
static slm_status take_string(slm_call_stream *s, char c, slm_error *error) {
    if (s->escaped || c == '\\') {
        s->escaped = !s->escaped;
        s->n_key = sizeof s->key; /* no name that is known */
        s->is_left |= s->is_value && s->is_name;
        s->is_bad |= !s->is_value; /* it may say "name" */
    } else if (c == '"') {
        s->in_string = 0;
        s->has_name |= s->is_value && s->is_name && s->name.len > 0;
    } else if (!s->is_value && s->n_key < sizeof s->key) {
        s->key[s->n_key++] = c;
    } else if (s->is_value && s->is_name && !s->has_name) {
        return slm_buffer_append(&s->name, &c, 1, error);
    }
    return SLM_OK;
}

/* A byte of the arguments. */
static slm_status take_argument(slm_call_stream *s, char c, slm_error *error) {
    int is_blank = !s->in_string && slm_toolcall_is_space(c);
    if (s->in_string) {
        if (!s->escaped && c == '"')
            s->in_string = 0;
        s->escaped = !s->escaped && c == '\\';
    } else if (c == '"') {
        s->in_string = 1;
    } else if (c == '{' || c == '[') {
        s->depth++;
    } else if (c == '}' || c == ']') {
        s->depth--;
    }
    s->in_arguments = s->depth > s->call_depth;
    return is_blank ? SLM_OK : slm_buffer_append(&s->piece, &c, 1, error);
}

static slm_status take_structure(slm_call_stream *s, char c, int parameters, slm_error *error) {
    int at_call = s->depth == s->call_depth && s->call_depth > 0;
    if (c == '"') {
        s->in_string = 1;
        if (at_call && !s->is_value)
            s->n_key = 0;
    } else if (c == '{' && at_call && s->is_value && is_arguments(s, parameters)) {
        s->is_left |= !s->has_name;
        s->has_arguments = s->in_arguments = !s->is_left;
        if (s->in_arguments)
            return take_argument(s, c, error);
        s->depth++;
    } else if (c == '{' || c == '[') {
        s->depth++;
        if (s->call_depth == 0 && c == '{')
            s->call_depth = s->depth;
    } else if (c == '}' || c == ']') {
        s->depth--;
        s->is_over |= s->depth < s->call_depth;
    } else if (at_call && c == ':') {
        end_key(s, parameters);
    } else if (at_call && c == ',') {
        s->is_value = s->is_name = 0;
    }
    return SLM_OK;
}

slm_status slm_call_stream_json(slm_call_stream *s, const char *text, size_t len, int parameters,
                                slm_error *error) {
    for (size_t i = 0; i < len && !s->is_over && !s->is_left; i++) {
        char c = text[i];
        if (s->in_arguments)
            SLM_TRY(take_argument(s, c, error));
        else if (s->in_string && s->depth == s->call_depth)
            SLM_TRY(take_string(s, c, error));
        else if (!s->in_string)
            SLM_TRY(take_structure(s, c, parameters, error));
        else if (s->escaped || c == '\\')
            s->escaped = !s->escaped;
        else if (c == '"')
            s->in_string = 0;
    }
    return SLM_OK;
}

slm_status slm_call_stream_python(slm_call_stream *s, const slm_buffer *calls, slm_error *error) {
    slm_toolcall_record record;
    if (calls->len < sizeof record)
        return SLM_OK;
    memcpy(&record, calls->ptr, sizeof record);
    const char *name = calls->ptr + sizeof record, *arguments = name + record.name_len;
    size_t n = calls->len - sizeof record - record.name_len;
    if (record.arguments_len > 0) /* all of them; what follows is another call */
        n = record.arguments_len;
    if (!s->has_name)
        SLM_TRY(slm_buffer_append(&s->name, name, record.name_len, error));
    s->has_name = 1;
    s->has_arguments = n > 0;
    SLM_TRY(slm_buffer_append(&s->piece, arguments + s->n_python, n - s->n_python, error));
    s->n_python = n;
    return SLM_OK;
}
