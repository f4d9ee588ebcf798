/* The parts of slm doctor. Everything is read below a root folder, so that a tree recorded on
 * another machine can be looked at. */
#ifndef SLM_TOOLS_CMD_DOCTOR_H
#define SLM_TOOLS_CMD_DOCTOR_H

#include "cli.h"

typedef enum slm_severity {
    SLM_SEVERITY_OK,
    SLM_SEVERITY_NOTE,
    SLM_SEVERITY_WARNING,
    SLM_SEVERITY_PROBLEM
} slm_severity;

typedef struct slm_fact {
    const char *section, *name;
    char text[160];
    int is_number; /* text is one */
} slm_fact;

typedef struct slm_finding {
    slm_severity severity;
    const char *topic;
    char found[240];
    char change[240]; /* what to do about it; may be empty */
} slm_finding;

#define SLM_DOCTOR_FACTS    96u
#define SLM_DOCTOR_FINDINGS 48u

typedef struct slm_doctor {
    const char *root;
    slm_fact facts[SLM_DOCTOR_FACTS]; /* those of a section together */
    size_t n_facts;
    slm_finding findings[SLM_DOCTOR_FINDINGS];
    size_t n_findings;
    int is_tegra;
    int is_portable; /* no instructions that packed weights gain by                           */
    uint64_t memory_total; /* bytes, of the machine or the limit of the process's group */
    uint64_t memory_free;  /* that can be had without swapping  */
} slm_doctor;

/* What the examinations find out about (cmd_doctor.c). */
void slm_doctor_fact(slm_doctor *d, const char *section, const char *name, const char *format, ...)
    SLM_CLI_PRINTF(4, 5);
void slm_doctor_number(slm_doctor *d, const char *section, const char *name, double value);
/* change may be NULL. */
void slm_doctor_find(slm_doctor *d, slm_severity severity, const char *topic, const char *change,
                     const char *format, ...) SLM_CLI_PRINTF(5, 6);

/* Files of the system (cmd_doctor_files.c). Names begin with a slash and may hold a format. */

/* The beginning of a file: NUL bytes become blanks, other unprintable ones but newlines '?', blanks
 * at the end are dropped. 0 when there is none. */
int slm_doctor_read(const slm_doctor *d, char *text, size_t cap, const char *format, ...)
    SLM_CLI_PRINTF(4, 5);
/* The number at its beginning, decimal or 0x. 0 when there is none. */
int slm_doctor_read_number(const slm_doctor *d, uint64_t *value, const char *format, ...)
    SLM_CLI_PRINTF(3, 4);
int slm_doctor_exists(const slm_doctor *d, const char *name);
/* Entries of a folder whose names begin with prefix, in the order of the alphabet, at most cap of
 * them. */
typedef struct slm_entry {
    char name[64];
} slm_entry;
size_t slm_doctor_list(const slm_doctor *d, const char *folder, const char *prefix,
                       slm_entry *entries, size_t cap);
/* The processors of a list such as "0-3,8". Returns how many; those at and above cap are left out.
 */
size_t slm_doctor_cpus(const char *list, unsigned char *is_in, size_t cap);
/* Whether a text of words holds this one. */
int slm_doctor_has_word(const char *text, const char *word);
/* The value behind "key<blanks>:<blanks>" at the beginning of a line, up to its end; 0: none. */
int slm_doctor_value(const char *text, const char *key, char *value, size_t cap);

/* The examinations. */
void slm_doctor_cpu(slm_doctor *d);
void slm_doctor_memory(slm_doctor *d);
void slm_doctor_heat(slm_doctor *d);
void slm_doctor_gpu(slm_doctor *d);

#endif
