/* Numbers of a command line. */
#ifndef SLM_BENCH_NUMBERS_H
#define SLM_BENCH_NUMBERS_H

#include <stdint.h>
#include <stdlib.h>

/* Up to cap whole numbers from 1 to max, with commas; returns how many, 0 for anything else. */
static inline uint32_t take_numbers(const char *text, uint32_t *numbers, uint32_t cap, long max) {
    uint32_t n = 0;
    for (const char *at = text;; at++) {
        char *end;
        long number = strtol(at, &end, 10);
        if (end == at || number < 1 || number > max || n == cap)
            return 0;
        numbers[n++] = (uint32_t)number;
        at = end;
        if (*at == '\0')
            return n;
        if (*at != ',')
            return 0;
    }
}

#endif
