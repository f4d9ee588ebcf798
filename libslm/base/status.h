/* Failing with an explanation. Every fallible function of the library takes an slm_error that may
 * be NULL and returns what slm_fail returned. */
#ifndef SLM_BASE_STATUS_H
#define SLM_BASE_STATUS_H

#include "slm.h"

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define SLM_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#else
#define SLM_PRINTF(fmt, first)
#endif

#define SLM_NO_OFFSET UINT64_MAX

/* Fills *error as far as its struct_size goes and returns status. subject may be NULL; it and the
 * message may hold bytes of a hostile file: whatever is not printable ASCII or valid UTF-8 is
 * escaped as \xNN, and both are cut to their fields with "..." at the end. */
slm_status slm_fail(slm_error *error, slm_status status, const char *subject, uint64_t offset,
                    const char *format, ...) SLM_PRINTF(5, 6);

/* Hands a failure on. */
#define SLM_TRY(expr)                     \
    do {                                  \
        slm_status slm_try_ = (expr);     \
        if (slm_try_ != SLM_OK)           \
            return slm_try_;              \
    } while (0)

/* Copies len bytes of src to dst (cap bytes, cap > 0), NUL-terminated, escaped and cut as above. */
void slm_escape(char *dst, size_t cap, const char *src, size_t len);

/* Copies an option struct of an older or newer caller: *dst (dst_size bytes) gets defaults first,
 * then the fields the caller has. src may be NULL. SLM_ERR_ARG when src's struct_size is below 4,
 * or when it is larger than ours and the bytes we do not know are not zero. */
slm_status slm_copy_options(void *dst, size_t dst_size, const void *defaults, const void *src,
                            const char *what, slm_error *error);

/* SLM_ERR_ARG when the struct_size that info begins with cannot be one: for calls that have an
 * effect before they fill it. */
slm_status slm_check_info(const void *info, const char *what, slm_error *error);

/* Copies an info struct out: as many bytes as the caller's struct_size (in dst) allows, keeping
 * that struct_size. SLM_ERR_ARG when it is below 4. */
slm_status slm_copy_info(void *dst, const void *src, size_t src_size, const char *what,
                         slm_error *error);

#endif
