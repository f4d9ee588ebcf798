/* Messages and option parsing of the `slm` program. */
#define _POSIX_C_SOURCE 200809L

#include "cli.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int quiet_given;

int slm_cli_quiet(void) { return quiet_given; }

/* ---------------------------------------------------------------- messages ------------------- */

/* Well-formed sequences only (Unicode, table 3-7): no overlong forms, surrogates or > U+10FFFF. */
size_t slm_cli_utf8(const char *text, size_t n) {
    const unsigned char *p = (const unsigned char *)text;
    if (n == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || n < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return len;
}

int32_t slm_cli_unsafe(const char *text, size_t n) {
    const unsigned char *p = (const unsigned char *)text;
    int32_t c = n == 1 ? p[0] : n == 2 ? p[0] & 0x1f : n == 3 ? p[0] & 0x0f : p[0] & 0x07;
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (p[i] & 0x3f);
    int unsafe = c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0xfeff ||
                 (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
                 (c >= 0x2060 && c <= 0x206f);
    return unsafe ? c : -1;
}

static SLM_CLI_PRINTF(2, 0) void say(const char *prefix, const char *format, va_list args) {
    char raw[2048], line[2 * sizeof raw];
    int written = vsnprintf(raw, sizeof raw, format, args);
    size_t n = written < 0 ? 0 : (size_t)written < sizeof raw ? (size_t)written : sizeof raw - 1;
    size_t out = 0;
    for (size_t i = 0; i < n && out + 8 < sizeof line;) {
        size_t len = slm_cli_utf8(raw + i, n - i);
        if (len > 0 && slm_cli_unsafe(raw + i, len) < 0) {
            memcpy(line + out, raw + i, len);
            out += len;
            i += len;
        } else {
            out += (size_t)snprintf(line + out, 5, "\\x%02x",
                                    (unsigned)(unsigned char)raw[i]);
            i++;
        }
    }
    line[out] = '\0';
    slm_cli_bar_end();
    fprintf(stderr, "%s%s\n", prefix, line);
}

int slm_cli_fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    say("slm: ", format, args);
    va_end(args);
    return SLM_EXIT_FAILED;
}

int slm_cli_usage(const char *format, ...) {
    va_list args;
    va_start(args, format);
    say("slm: ", format, args);
    va_end(args);
    return SLM_EXIT_USAGE;
}

int slm_cli_fail_error(const char *what, const slm_error *error) {
    if (error->status == SLM_ERR_CANCEL)
        return SLM_EXIT_INTERRUPTED;
    const char *message = error->message[0] ? error->message : slm_status_name(error->status);
    if (!what)
        return slm_cli_fail("%s", message);
    /* The library names a file by the last part of its path, at the beginning or as in "cannot open
     * NAME: why": once is enough. */
    const char *slash = strrchr(what, '/'), *base = slash ? slash + 1 : what;
    size_t len = strlen(base), verb = strlen("cannot ");
    if (len > 0 && strncmp(message, base, len) == 0 && (message[len] == ':' || message[len] == ' '))
        return slm_cli_fail("%s%s", what, message + len);
    if (len > 0 && strncmp(message, "cannot ", verb) == 0) {
        verb += strcspn(message + verb, " ");
        if (message[verb] == ' ' && strncmp(message + verb + 1, base, len) == 0 &&
            message[verb + 1 + len] == ':')
            return slm_cli_fail("%s: %.*s%s", what, (int)verb, message, message + verb + 1 + len);
    }
    return slm_cli_fail("%s: %s", what, message);
}

void slm_cli_warn(const char *format, ...) {
    if (quiet_given)
        return;
    va_list args;
    va_start(args, format);
    say("slm: warning: ", format, args);
    va_end(args);
}

void slm_cli_note(const char *format, ...) {
    if (quiet_given)
        return;
    va_list args;
    va_start(args, format);
    say("", format, args);
    va_end(args);
}

void slm_cli_log(void *user, slm_log_level level, const char *line) {
    (void)user;
    if (level == SLM_LOG_ERROR || level == SLM_LOG_WARNING)
        slm_cli_warn("%s", line);
}

/* ---------------------------------------------------------------- numbers -------------------- */

static int parse_digits(const char *text, uint64_t *out) {
    uint64_t value = 0;
    if (*text == '\0')
        return 0;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
            return 0;
    }
    *out = value;
    return 1;
}

int slm_cli_parse_u64(const char *text, uint64_t *out) { return parse_digits(text, out); }

int slm_cli_parse_i64(const char *text, int64_t min, int64_t max, int64_t *out) {
    int negative = *text == '-';
    uint64_t magnitude;
    if (!parse_digits(text + negative, &magnitude) || magnitude > (uint64_t)INT64_MAX)
        return 0;
    int64_t value = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    if (value < min || value > max)
        return 0;
    *out = value;
    return 1;
}

/* strtod would also take blanks, hexadecimal, "inf" and "nan", and wants the point of the locale
 * of numbers, which something in the process may have set. */
int slm_cli_parse_f32(const char *text, double min, double max, float *out) {
    char copy[128] = "", *end;
    size_t n = 0;
    if (*text == '\0' || text[strspn(text, "0123456789+-.eE")] != '\0')
        return 0;
    for (; *text != '\0' && n < sizeof copy - 8; text++)
        n += (size_t)snprintf(copy + n, 8, "%.*s", *text == '.' ? 7 : 1,
                              *text == '.' ? localeconv()->decimal_point : text);
    double value = strtod(copy, &end);
    if (*text != '\0' || *end != '\0' || !isfinite(value) || value < min || value > max)
        return 0;
    *out = (float)value;
    return 1;
}

/* ---------------------------------------------------------------- options -------------------- */

static int has_value(const slm_opt *o) {
    return o->kind != SLM_OPT_FLAG && o->kind != SLM_OPT_UNFLAG;
}

int slm_cli_opt_bad(const slm_opt *option, const char *value, const char *wanted) {
    return slm_cli_usage("option --%s: got \"%s\", wanted %s", option->name, value, wanted);
}

static int bad_number(const slm_opt *o, const char *value) {
    char wanted[96];
    const char *what = o->kind == SLM_OPT_F32 ? "number" : "whole number";
    if (o->kind == SLM_OPT_U64)
        snprintf(wanted, sizeof wanted, "a whole number from 0 to %llu",
                 (unsigned long long)UINT64_MAX);
    else if (o->kind == SLM_OPT_F32)
        snprintf(wanted, sizeof wanted, "a %s from %g to %g", what, o->min, o->max);
    else
        snprintf(wanted, sizeof wanted, "a %s from %.0f to %.0f", what, o->min, o->max);
    return slm_cli_opt_bad(o, value, wanted);
}

/* The position of value among the words of "a|b|c", or -1. */
static int find_choice(const char *words, const char *value) {
    size_t len = strlen(value);
    for (int i = 0; *words; i++) {
        size_t n = strcspn(words, "|");
        if (n == len && memcmp(words, value, n) == 0)
            return i;
        words += n + (words[n] == '|');
    }
    return -1;
}

static int apply(const slm_opt *o, const char *value) {
    int64_t i;
    switch (o->kind) {
    case SLM_OPT_FLAG:
    case SLM_OPT_UNFLAG:
        *(int *)o->target = o->kind == SLM_OPT_FLAG;
        return 0;
    case SLM_OPT_I32:
        if (!slm_cli_parse_i64(value, (int64_t)o->min, (int64_t)o->max, &i))
            return bad_number(o, value);
        *(int32_t *)o->target = (int32_t)i;
        return 0;
    case SLM_OPT_U32:
        if (!slm_cli_parse_i64(value, (int64_t)o->min, (int64_t)o->max, &i))
            return bad_number(o, value);
        *(uint32_t *)o->target = (uint32_t)i;
        return 0;
    case SLM_OPT_U64:
        return slm_cli_parse_u64(value, o->target) ? 0 : bad_number(o, value);
    case SLM_OPT_F32:
        return slm_cli_parse_f32(value, o->min, o->max, o->target) ? 0 : bad_number(o, value);
    case SLM_OPT_TEXT:
        *(const char **)o->target = value;
        return 0;
    case SLM_OPT_CHOICE: {
        int choice = find_choice(o->arg, value);
        if (choice < 0)
            return slm_cli_opt_bad(o, value, o->arg);
        *(int32_t *)o->target = o->choices[choice];
        return 0;
    }
    case SLM_OPT_CALL:
        return o->call(o, value);
    }
    return 0;
}

static void print_option(const slm_opt *o) {
    char left[80];
    int n = o->letter ? snprintf(left, sizeof left, "-%c, ", o->letter)
                      : snprintf(left, sizeof left, "    ");
    snprintf(left + n, sizeof left - (size_t)n, "--%s%s%s", o->name, o->arg ? " " : "",
             o->arg ? o->arg : "");
    if (strlen(left) > 26)
        slm_cli_print("  %s\n%30s%s\n", left, "", o->help);
    else
        slm_cli_print("  %-26s  %s\n", left, o->help);
}

/* What stands before its name where it is called. */
static const char *leading(const slm_cli_command *c) { return c->is_program ? "" : "slm "; }

static int print_help(const slm_cli_command *c, const slm_opt *options, size_t n_options) {
    static const slm_opt always[] = {
        {.letter = 'q', .name = "quiet", .help = "results and errors only"},
        {.letter = 'h', .name = "help", .help = "this text"},
    };
    slm_cli_print("Usage: %s%s %s\n\n%s\n\nOptions\n", leading(c), c->name, c->synopsis,
                  c->purpose);
    for (size_t i = 0; i < n_options; i++)
        if (options[i].help)
            print_option(&options[i]);
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        print_option(&always[i]);
    if (c->notes)
        slm_cli_print("\n%s", c->notes);
    return slm_cli_finish(SLM_EXIT_DONE);
}

typedef struct parser {
    const slm_cli_command *command;
    const slm_opt *options;
    size_t n_options;
    int argc, at; /* at: the next argument */
    char **argv;
} parser;

static int unknown(const parser *p, const char *spelling) {
    return slm_cli_usage("%s: got the option \"%s\", wanted one that \"%s%s --help\" lists",
                         p->command->name, spelling, leading(p->command), p->command->name);
}

/* value is what was joined to the option, or NULL; then the next argument is taken. */
static int take(parser *p, const slm_opt *o, const char *value) {
    if (!value) {
        if (p->at >= p->argc)
            return slm_cli_usage("option --%s: got no value, wanted %s", o->name, o->arg);
        value = p->argv[p->at++];
    }
    int status = apply(o, value);
    return status ? status : -1;
}

static int long_option(parser *p, const char *argument) {
    const char *name = argument + 2, *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    const char *value = equals ? equals + 1 : NULL;
    static const char *const always[] = {"help", "quiet"};
    for (int i = 0; i < 2; i++) {
        if (strlen(always[i]) != len || memcmp(name, always[i], len) != 0)
            continue;
        if (value)
            return slm_cli_usage("option --%s: got \"%s\", wanted no value", always[i], value);
        if (i == 0)
            return print_help(p->command, p->options, p->n_options);
        quiet_given = 1;
        return -1;
    }
    for (size_t i = 0; i < p->n_options; i++) {
        const slm_opt *o = &p->options[i];
        if (strlen(o->name) != len || memcmp(o->name, name, len) != 0)
            continue;
        if (has_value(o))
            return take(p, o, value);
        if (value)
            return slm_cli_opt_bad(o, value, "no value");
        apply(o, NULL);
        return -1;
    }
    return unknown(p, argument);
}

/* "-q", "-t4", "-t 4", "-qt4" */
static int short_options(parser *p, const char *argument) {
    for (const char *c = argument + 1; *c; c++) {
        const slm_opt *o = NULL;
        for (size_t i = 0; i < p->n_options && !o; i++)
            if (p->options[i].letter == *c)
                o = &p->options[i];
        if (o && has_value(o))
            return take(p, o, c[1] ? c + 1 : NULL);
        if (o)
            apply(o, NULL);
        else if (*c == 'q')
            quiet_given = 1;
        else if (*c == 'h')
            return print_help(p->command, p->options, p->n_options);
        else
            return unknown(p, argument);
    }
    return -1;
}

int slm_cli_parse(const slm_cli_command *command, const slm_opt *options, size_t n_options,
                  int argc, char **argv, const char **args) {
    parser p = {command, options, n_options, argc, 1, argv};
    size_t n_args = 0;
    int only_args = 0;
    for (size_t i = 0; i < command->max_args; i++)
        args[i] = NULL;
    while (p.at < argc) {
        const char *argument = argv[p.at++];
        int status = -1;
        if (!only_args && strcmp(argument, "--") == 0)
            only_args = 1;
        else if (!only_args && argument[0] == '-' && argument[1] == '-')
            status = long_option(&p, argument);
        else if (!only_args && argument[0] == '-' && argument[1] != '\0')
            status = short_options(&p, argument);
        else if (n_args < command->max_args)
            args[n_args++] = argument;
        else
            status = slm_cli_usage("%s: got one argument too many, \"%s\", wanted at most %zu: %s",
                                   command->name, argument, command->max_args, command->synopsis);
        if (status >= 0)
            return status;
    }
    if (n_args < command->min_args)
        return slm_cli_usage("%s: got no %s, wanted: %s%s %s", command->name,
                             command->arg_names[n_args], leading(command), command->name,
                             command->synopsis);
    for (size_t i = 0; i < n_args; i++) /* a prompt may be empty, a file's name may not */
        if (args[i][0] == '\0' && strstr(command->arg_names[i], ".gguf"))
            return slm_cli_usage("%s: got an empty name for %s, wanted a file's name",
                                 command->name, command->arg_names[i]);
    if (n_args > 0 && strstr(command->arg_names[0], ".gguf"))
        args[0] = slm_cli_model_path(args[0]);
    return -1;
}
