/* The chat page, as the build has put it into the program (page.html). */
#ifndef SLM_TOOLS_SERVE_PAGE_H
#define SLM_TOOLS_SERVE_PAGE_H

#include <stddef.h>

extern const unsigned char serve_page_html[];
extern const size_t serve_page_html_len;

#endif
