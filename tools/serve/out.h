/* Text that grows: bodies of requests and of replies. A failed allocation is remembered, so that a text
 * is written without looking back and asked once, at its end, whether all of it is there. */
#ifndef SLM_TOOLS_SERVE_OUT_H
#define SLM_TOOLS_SERVE_OUT_H

#include <stddef.h>
#include <stdint.h>

typedef struct serve_out {
    char *data;
    size_t len, cap;
    int failed; /* there was no memory: the text is not whole */
} serve_out;

void serve_out_add(serve_out *out, const char *data, size_t len);
void serve_out_text(serve_out *out, const char *text); /* up to its NUL */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void serve_out_format(serve_out *out, const char *format, ...);
/* A JSON string with its quotes. text is UTF-8; bytes that are not become U+FFFD. */
void serve_out_string(serve_out *out, const char *text, size_t len);
/* A JSON number that reads back as the same float; null for what is not finite. */
void serve_out_float(serve_out *out, double value);
/* Takes the first n bytes away. */
void serve_out_drop(serve_out *out, size_t n);
void serve_out_free(serve_out *out);

#endif
