/* Reading lines from a person or a pipe. Line editing is libedit's where it was found. */
#define _GNU_SOURCE

#include "cli.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef SLM_HAVE_LIBEDIT
#include <histedit.h>
#include <langinfo.h>
#include <wchar.h>
#endif

struct slm_cli_lines {
    char buffer[4096];
    size_t at, n;
    int is_asked;    /* whether to print the prompt on standard error */
    char prompt[80];
    char *history_path; /* where earlier lines are kept; NULL: nowhere */
#ifdef SLM_HAVE_LIBEDIT
    EditLine *editor; /* NULL: plain reading */
    History *history;
#endif
};

/* The next byte; -1 at the end, after a failure or an interruption, which errno tells (0: end). */
static int next_byte(slm_cli_lines *l) {
    while (l->at == l->n) {
        errno = 0;
        ssize_t got = slm_cli_interrupted() ? -1 : read(STDIN_FILENO, l->buffer, sizeof l->buffer);
        if (slm_cli_interrupted())
            errno = EINTR;
        if (got < 0 && errno == EINTR && !slm_cli_interrupted())
            continue;
        if (got <= 0)
            return -1;
        l->at = 0;
        l->n = (size_t)got;
    }
    return (unsigned char)l->buffer[l->at++];
}

static int stopped(int error) {
    if (error == 0)
        return SLM_LINE_END;
    if (error == EINTR)
        return SLM_LINE_INTERRUPTED;
    slm_cli_fail("standard input: cannot be read: %s", strerror(error));
    return SLM_LINE_FAILED;
}

static int out_of_memory(void) {
    slm_cli_fail("standard input: got no memory for a line");
    return SLM_LINE_FAILED;
}

static int next_plain(slm_cli_lines *l, slm_cli_text *line) {
    if (l->is_asked)
        fputs(l->prompt, stderr);
    for (;;) {
        int c = next_byte(l);
        if (c < 0 && errno == 0 && line->len > 0)
            return SLM_LINE_READ; /* the last line, without a newline */
        if (c < 0 || c == '\n') {
            if (c < 0)
                return stopped(errno);
            return SLM_LINE_READ;
        }
        char byte = (char)c;
        if (!slm_cli_text_add(line, &byte, 1))
            return out_of_memory();
    }
}

#ifdef SLM_HAVE_LIBEDIT
static char *show_prompt(EditLine *editor) {
    slm_cli_lines *l = NULL;
    el_get(editor, EL_CLIENTDATA, &l);
    return l->prompt;
}

/* libedit's own reader starts again after a signal, so that Ctrl-C would not be noticed. */
static int next_character(EditLine *editor, wchar_t *out) {
    slm_cli_lines *l = NULL;
    mbstate_t state = {0};
    el_get(editor, EL_CLIENTDATA, &l);
    for (int bytes = 0; bytes < 8; bytes++) {
        int c = next_byte(l);
        if (c < 0)
            return errno ? -1 : 0;
        char byte = (char)c;
        size_t got = mbrtowc(out, &byte, 1, &state);
        if (got == (size_t)-1)
            break;
        if (got != (size_t)-2)
            return 1;
    }
    *out = L'?';
    return 1;
}

static void open_editor(slm_cli_lines *l) {
    setlocale(LC_CTYPE, ""); /* numbers stay as they are */
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
    l->editor = el_init("slm", stdin, stdout, stderr);
    l->history = history_init();
    if (!l->editor || !l->history)
        return;
    HistEvent event;
    history(l->history, &event, H_SETSIZE, 1000);
    history(l->history, &event, H_SETUNIQUE, 1);
    if (l->history_path)
        history(l->history, &event, H_LOAD, l->history_path);
    el_set(l->editor, EL_CLIENTDATA, l);
    el_set(l->editor, EL_EDITOR, "emacs");
    el_set(l->editor, EL_SIGNAL, 0);
    el_set(l->editor, EL_PROMPT, show_prompt);
    el_set(l->editor, EL_HIST, history, l->history);
    el_set(l->editor, EL_GETCFN, next_character);
}

static int next_edited(slm_cli_lines *l, slm_cli_text *line) {
    int n = 0;
    errno = 0;
    el_resize(l->editor);
    const char *text = el_gets(l->editor, &n);
    int error = errno;
    if (slm_cli_interrupted()) {
        const LineInfo *info = el_line(l->editor);
        line->len = (size_t)(info->lastchar - info->buffer);
        el_reset(l->editor);
        fputs("^C\n", stdout);
        fflush(stdout);
        return SLM_LINE_INTERRUPTED;
    }
    if (!text || n <= 0) {
        fputs("\n", stdout);
        fflush(stdout);
        return stopped(n < 0 ? error : 0);
    }
    size_t len = (size_t)n;
    if (text[len - 1] == '\n')
        len--;
    if (!slm_cli_text_add(line, text, len))
        return out_of_memory();
    HistEvent event;
    if (len > 0)
        history(l->history, &event, H_ENTER, text);
    return SLM_LINE_READ;
}
#endif

#ifdef SLM_HAVE_LIBEDIT
/* The path of a file of this name where programs keep their state (XDG Base Directory), its folders
 * made; malloc'ed. NULL where there is no such place. */
static char *state_file(const char *name) {
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int is_set = state && state[0] == '/';
    if (!is_set && (!home || home[0] != '/'))
        return NULL;
    const char *base = is_set ? state : home, *below = is_set ? "" : "/.local/state";
    size_t size = strlen(base) + strlen(below) + strlen(name) + sizeof "/slm/";
    char *path = malloc(size);
    if (!path)
        return NULL;
    snprintf(path, size, "%s%s/slm/%s", base, below, name);
    for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST) {
            free(path);
            return NULL;
        }
        *slash = '/';
    }
    return path;
}

/* What was typed is nobody else's business. */
static void save_history(const slm_cli_lines *l) {
    HistEvent event;
    mode_t before = umask(077);
    if (history(l->history, &event, H_SAVE, l->history_path) >= 0)
        chmod(l->history_path, 0600);
    umask(before);
}
#endif

slm_cli_lines *slm_cli_lines_open(const char *history_name) {
    slm_cli_lines *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->is_asked = isatty(STDIN_FILENO);
    slm_cli_lines_prompt(l, NULL);
#ifdef SLM_HAVE_LIBEDIT
    if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) {
        l->history_path = history_name ? state_file(history_name) : NULL;
        open_editor(l);
    }
#else
    (void)history_name;
#endif
    return l;
}

void slm_cli_lines_prompt(slm_cli_lines *l, const char *what) {
    size_t n = 0;
    for (const char *p = what ? what : ""; *p && n < sizeof l->prompt - 3; p++)
        if ((unsigned char)*p > ' ' && (unsigned char)*p < 0x7f) /* a model may have made it up */
            l->prompt[n++] = *p;
    memcpy(l->prompt + n, "> ", 3);
}

void slm_cli_lines_close(slm_cli_lines *l) {
    if (!l)
        return;
#ifdef SLM_HAVE_LIBEDIT
    if (l->history_path && l->history)
        save_history(l);
    if (l->editor)
        el_end(l->editor);
    if (l->history)
        history_end(l->history);
#endif
    free(l->history_path);
    free(l);
}

int slm_cli_lines_next(slm_cli_lines *l, slm_cli_text *line) {
    line->len = 0;
#ifdef SLM_HAVE_LIBEDIT
    if (l->editor && l->history)
        return next_edited(l, line);
#endif
    return next_plain(l, line);
}
