#include "policy.h"

#include <math.h>
#include <stdlib.h>

void deep_confidence_add(deep_confidence *c, double logprob) {
    c->sum += logprob;
    c->n++;
}

double deep_confidence_value(const deep_confidence *c) {
    return c->n > 0 ? exp(c->sum / (double)c->n) : 0;
}

const char *deep_reason_name(deep_reason reason) {
    static const char *const names[] = {"none", "user", "tool", "too_long", "unsure"};
    return names[reason];
}

const char *deep_outcome_name(deep_outcome outcome) {
    static const char *const names[] = {"kept",       "offline", "no_consent", "withheld",
                                        "unrecorded", "sent",    "taken",      "failed"};
    return names[outcome];
}

static deep_reason find_reason(const deep_policy *p, const deep_turn *t) {
    if (t->user_asks)
        return DEEP_USER;
    if (t->tool_asks)
        return DEEP_TOOL;
    if (p->max_prompt > 0 && t->n_prompt > p->max_prompt)
        return DEEP_TOO_LONG;
    if (t->confidence && deep_confidence_value(t->confidence) < p->min_confidence)
        return DEEP_UNSURE;
    return DEEP_NO_REASON;
}

static deep_outcome end(const deep_policy *p, deep_record *r, deep_outcome outcome,
                        const char *error) {
    r->outcome = outcome;
    r->text = NULL;
    r->n_redacted = 0;
    r->error = error;
    p->record(p->user, r); /* what has happened has happened */
    return outcome;
}

static deep_outcome send(const deep_policy *p, deep_record *r, char **answer) {
    char error[256] = "";
    r->outcome = DEEP_SENT;
    if (!p->record(p->user, r))
        return DEEP_UNRECORDED;
    *answer = p->take_over(p->user, r->text, error, sizeof error);
    return *answer ? end(p, r, DEEP_TAKEN, NULL) : end(p, r, DEEP_FAILED, error);
}

deep_outcome deep_policy_ask(const deep_policy *p, const deep_turn *t, char **answer,
                             deep_reason *reason) {
    deep_record r = {.reason = find_reason(p, t),
                     .confidence = t->confidence ? deep_confidence_value(t->confidence) : -1};
    *answer = NULL;
    if (reason)
        *reason = r.reason;
    if (r.reason == DEEP_NO_REASON)
        return DEEP_KEPT;
    if (p->offline)
        return end(p, &r, DEEP_OFFLINE, NULL);
    if (!p->consent)
        return end(p, &r, DEEP_NO_CONSENT, NULL);
    char *text = p->redact ? p->redact(p->user, t->text, &r.n_redacted) : NULL;
    if (!text)
        return end(p, &r, DEEP_WITHHELD, NULL);
    r.text = text;
    deep_outcome outcome = send(p, &r, answer);
    free(text);
    return outcome;
}
