/* Recurrent state in snapshots: the checkpoints of a session, and the pages that their windows
 * need. All pages are of one text, so of two that hold the same tokens the fuller one serves both.
 */
#include "run/snapshot.h"

#include <inttypes.h>
#include <string.h>

uint32_t slm_snapshot_list_marks(const slm_session *s, slm_snapshot_mark *marks) {
    const slm_model *m = s->cache->model;
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_checkpoints; i++) {
        const slm_checkpoint *c = slm_state_checkpoint(s, i);
        if (c->n == s->n_valid)
            continue; /* the session's own state */
        marks[n] = (slm_snapshot_mark){.n = c->n};
        for (uint32_t g = 0; g < m->n_groups; g++)
            if (m->groups[g].window != 0)
                marks[n].groups[g] = (slm_snapshot_range){c->tables[g].begin, c->tables[g].end};
        n++;
    }
    return n;
}

uint32_t slm_snapshot_ranges(const slm_snapshot_mark *marks, uint32_t n_marks,
                             slm_snapshot_range own, uint32_t group, slm_snapshot_range *ranges) {
    uint32_t n = 0, covered = 0;
    for (uint32_t i = 0; i <= n_marks; i++) {
        slm_snapshot_range r = i < n_marks ? marks[i].groups[group] : own;
        r.begin = r.begin > covered ? r.begin : covered;
        if (r.begin >= r.end)
            continue;
        if (n > 0 && ranges[n - 1].end == r.begin)
            ranges[n - 1].end = r.end;
        else
            ranges[n++] = r;
        covered = r.end;
    }
    return n;
}

/* ---------------------------------------------------------------- reading -------------------- */

static slm_status bad_mark(const slm_snapshot_reader *r, uint32_t i, const char *what, uint64_t got,
                           uint64_t least, uint64_t most, slm_error *error) {
    return slm_fail(error, SLM_ERR_RANGE, "marks", SLM_NO_OFFSET,
                    "%s: %s of mark %" PRIu32 " is %" PRIu64 ", wanted %" PRIu64 " to %" PRIu64,
                    r->file->name, what, i, got, least, most);
}

/* Ranges that do not ascend would have pages come twice. */
static slm_status check_range(const slm_snapshot_reader *r, const slm_snapshot_session *s,
                              uint32_t i, slm_snapshot_range got, uint32_t n, uint32_t window,
                              slm_snapshot_range *before, slm_error *error) {
    uint32_t end = (uint32_t)(((uint64_t)n + s->page_tokens - 1) / s->page_tokens);
    if (got.begin == 0 && got.end == 0)
        return SLM_OK;
    if (window == 0)
        return bad_mark(r, i, "the last page", got.end, 0, 0, error);
    if (got.end != end)
        return bad_mark(r, i, "the last page", got.end, end, end, error);
    if (got.begin < before->begin || got.begin >= end)
        return bad_mark(r, i, "the first page", got.begin, before->begin, end - 1, error);
    *before = got;
    return SLM_OK;
}

static slm_status check_marks(const slm_snapshot_reader *r, const slm_snapshot_model *m,
                              const slm_snapshot_session *s, const slm_snapshot_mark *marks,
                              uint32_t n, slm_error *error) {
    slm_snapshot_range before[SLM_MAX_KV_GROUPS] = {{0, 0}};
    for (uint32_t i = 0; i < n; i++) {
        uint32_t least = i > 0 ? marks[i - 1].n + 1 : 1;
        if (marks[i].n < least || marks[i].n >= s->n_valid)
            return bad_mark(r, i, "the place", marks[i].n, least, s->n_valid, error);
        for (uint32_t g = 0; g < SLM_MAX_KV_GROUPS; g++)
            SLM_TRY(check_range(r, s, i, marks[i].groups[g], marks[i].n,
                                g < m->n_groups ? m->groups[g].window : 0, &before[g], error));
    }
    for (uint32_t g = 0; g < m->n_groups; g++)
        if (s->groups[g].end > 0 && s->groups[g].begin < before[g].begin)
            return slm_fail(error, SLM_ERR_RANGE, "pages", SLM_NO_OFFSET,
                            "%s: group %" PRIu32 " begins with page %" PRIu32
                            ", wanted at least %" PRIu32 ", as of the mark before",
                            r->file->name, g, s->groups[g].begin, before[g].begin);
    return SLM_OK;
}

static slm_status check_sizes(const slm_snapshot_reader *r, uint32_t marks, uint32_t states,
                              uint64_t state_bytes, slm_error *error) {
    uint64_t bytes = r->sections[marks].bytes, n = bytes / sizeof(slm_snapshot_mark);
    if (bytes % sizeof(slm_snapshot_mark) != 0 || n > SLM_SNAPSHOT_MARKS)
        return slm_fail(error, SLM_ERR_RANGE, "marks", SLM_NO_OFFSET,
                        "%s: section \"marks\" has %" PRIu64 " bytes, wanted %zu for each of at "
                        "most %u",
                        r->file->name, bytes, sizeof(slm_snapshot_mark), SLM_SNAPSHOT_MARKS);
    if (r->sections[states].bytes != (n + 1) * state_bytes)
        return slm_fail(error, SLM_ERR_RANGE, "states", SLM_NO_OFFSET,
                        "%s: section \"states\" has %" PRIu64 " bytes, wanted %" PRIu64
                        " for %" PRIu64 " states",
                        r->file->name, r->sections[states].bytes, (n + 1) * state_bytes, n + 1);
    return SLM_OK;
}

slm_status slm_snapshot_read_states(slm_snapshot_reader *r, slm_host *host, uint64_t state_bytes,
                                    uint32_t most, const slm_snapshot_model *model,
                                    const slm_snapshot_session *session, slm_snapshot_states *out,
                                    slm_error *error) {
    uint32_t marks, states;
    SLM_TRY(slm_snapshot_find(r, "marks", &marks, error));
    SLM_TRY(slm_snapshot_find(r, "states", &states, error));
    SLM_TRY(check_sizes(r, marks, states, state_bytes, error));
    size_t n = (size_t)(r->sections[marks].bytes / sizeof *out->marks);
    out->n_marks = (uint32_t)n;
    out->first = n > most ? (uint32_t)(n - most) : 0;
    size_t n_kept = n - out->first + 1;
    out->marks = slm_alloc(host, n * sizeof *out->marks);
    out->states = slm_alloc(host, n_kept * (size_t)state_bytes);
    if (out->marks == NULL || out->states == NULL)
        return slm_fail_nomem(error, n_kept * state_bytes, "recurrent state of a snapshot");
    SLM_TRY(slm_snapshot_read(r, marks, out->marks, error));
    SLM_TRY(check_marks(r, model, session, out->marks, out->n_marks, error));
    return slm_snapshot_read_part(r, states, out->first * state_bytes, n_kept * state_bytes,
                                  out->states, error);
}

void slm_snapshot_free_states(slm_host *host, slm_snapshot_states *states) {
    slm_free(host, states->marks);
    slm_free(host, states->states);
}
