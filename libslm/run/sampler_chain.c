#include "run/sampler_chain.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Rows are scanned in pieces of this many logits; most hold nothing above the threshold, which
 * compilers test several at a time. */
#define PIECE 32u

float slm_logit_saturate(double l) {
    if (l > (double)FLT_MAX)
        return FLT_MAX;
    if (l < (double)-FLT_MAX && l > (double)-INFINITY)
        return -FLT_MAX;
    return (float)l;
}

void slm_candidates_own(slm_sampler *s) {
    if (s->x != s->logit)
        memcpy(s->logit, s->x, s->n * sizeof *s->logit);
    s->x = s->logit;
}

float *slm_candidate_find(slm_sampler *s, int32_t id) {
    if (s->dense)
        return s->logit + id;
    size_t lo = 0, hi = s->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (s->id[mid] < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < s->n && s->id[lo] == id ? s->logit + lo : NULL;
}

float slm_block_maxima(slm_sampler *s, const float *x, size_t *index, int *finite) {
    float max = 0;
    *finite = 1;
    for (size_t at = 0, b = 0; at < s->n_vocab; at += SLM_BLOCK, b++) {
        size_t i, n = s->n_vocab - at < SLM_BLOCK ? s->n_vocab - at : SLM_BLOCK;
        int ok;
        s->block_max[b] = s->kernels->max_index(x + at, n, &i, &ok);
        *finite &= ok;
        if (b == 0 || s->block_max[b] > max) {
            max = s->block_max[b];
            *index = at + i;
        }
    }
    s->blocks_of = NULL;
    return max;
}

/* The block maxima of the candidates; NULL where they are no whole row. */
static const float *blocks_of(slm_sampler *s) {
    size_t index;
    int finite;
    if (!s->dense)
        return NULL;
    if (s->x != s->blocks_of)
        (void)slm_block_maxima(s, s->x, &index, &finite);
    return s->block_max;
}

/* ---- selection -------------------------------------------------------------------------------- */

/* Maps floats to integers of the same order; both zeros give the same number. */
static uint32_t key_code(float key) {
    uint32_t u;
    key += 0.0f;
    memcpy(&u, &key, sizeof u);
    return u & 0x80000000u ? ~u : u | 0x80000000u;
}

static float code_key(uint32_t code) {
    float key;
    uint32_t u = code & 0x80000000u ? code & 0x7fffffffu : ~code;
    memcpy(&key, &u, sizeof key);
    return key;
}

/* What a selection goes by, and what it weighs. weight NULL: 1 each. */
typedef struct keyed {
    const float *key, *weight;
    size_t n;
    float max; /* the largest key */
} keyed;

/* Keys in steps of 1/64 below the largest, the last bin being open: for logits, finer than the
 * distances between most, and what falls into the last one weighs less than 1e-13. */
static void bins_of(const keyed *k, size_t at, size_t n, int32_t *bin) {
    for (size_t i = 0; i < n; i++) {
        float steps = (k->max - k->key[at + i]) * 64.0f;
        bin[i] = (int32_t)(steps < SLM_BINS - 1 ? steps : SLM_BINS - 1);
    }
}

static size_t piece(size_t n, size_t at) { return n - at < PIECE ? n - at : PIECE; }

/* The bin in which a descending selection reaches target; *above receives the mass before it. -1
 * when the mass of all is below target. */
static int32_t find_bin(slm_sampler *s, const keyed *k, double target, double *above) {
    int32_t bin[PIECE], found = 0;
    memset(s->bins, 0, SLM_BINS * sizeof *s->bins);
    for (size_t i = 0; i < k->n; i += PIECE) {
        size_t n = piece(k->n, i);
        bins_of(k, i, n, bin);
        for (size_t j = 0; j < n; j++)
            s->bins[bin[j]] += k->weight != NULL ? (double)k->weight[i + j] : 1.0;
    }
    for (*above = 0; *above + s->bins[found] < target; found++) {
        *above += s->bins[found];
        if (found == SLM_BINS - 1)
            return -1;
    }
    return found;
}

/* The keys and weights of one bin, up to SLM_PICKED of them. Returns how many there are. */
static size_t pick_bin(slm_sampler *s, const keyed *k, int32_t wanted) {
    int32_t bin[PIECE];
    size_t m = 0;
    for (size_t i = 0; i < k->n && m <= SLM_PICKED; i += PIECE) {
        size_t n = piece(k->n, i);
        int any = 0;
        bins_of(k, i, n, bin);
        for (size_t j = 0; j < n; j++)
            any |= bin[j] == wanted;
        for (size_t j = 0; any && j < n; j++)
            if (bin[j] == wanted && m++ < SLM_PICKED) {
                s->picked_key[m - 1] = k->key[i + j];
                s->picked_weight[m - 1] = k->weight != NULL ? k->weight[i + j] : 1.0f;
            }
    }
    return m;
}

/* The last key that a descending selection within a bin needs to reach target, by radix: linear in
 * n for any keys. *above grows by the mass of what is larger. Keys of other bins are passed over. */
static float find_key(slm_sampler *s, const keyed *k, int32_t wanted, double target,
                      double *above) {
    enum { HIGH = 11, LOW = 32 - 2 * HIGH };
    static const unsigned shifts[] = {32 - HIGH, LOW, 0};
    uint32_t prefix = 0, mask = 0;
    int32_t bin[PIECE];
    for (size_t level = 0; level < 3; level++) {
        unsigned shift = shifts[level];
        uint32_t digits = (level == 2 ? 1u << LOW : 1u << HIGH) - 1, found = 0, most = 0;
        double sum = *above;
        memset(s->bins, 0, SLM_BINS * sizeof *s->bins);
        for (size_t i = 0; i < k->n; i += PIECE) {
            size_t n = piece(k->n, i);
            bins_of(k, i, n, bin);
            for (size_t j = 0; j < n; j++) {
                uint32_t code = key_code(k->key[i + j]);
                if (bin[j] == wanted && (code & mask) == prefix) {
                    uint32_t d = code >> shift & digits;
                    s->bins[d] += k->weight != NULL ? (double)k->weight[i + j] : 1.0;
                    most = d > most ? d : most;
                }
            }
        }
        /* Sums taken in another order may fall short of target by rounding: then the last one. */
        for (uint32_t d = most + 1; d-- > 0 && sum < target;)
            if (s->bins[d] > 0) {
                found = d;
                *above = sum;
                sum += s->bins[d];
            }
        prefix |= found << shift;
        mask |= digits << shift;
    }
    return code_key(prefix);
}

/* Where a selection by descending key ends that stops when the weights taken reach target: the
 * last key needed, and in *room how much is still wanted when all larger keys are taken. Returns 0
 * when all together weigh less than target. */
static int find_cut(slm_sampler *s, const keyed *k, double target, float *cut, double *room) {
    double above;
    int32_t bin = find_bin(s, k, target, &above);
    if (bin < 0)
        return 0;
    size_t n = pick_bin(s, k, bin);
    keyed picked = {s->picked_key, s->picked_weight, n, k->max};
    *cut = find_key(s, n <= SLM_PICKED ? &picked : k, bin, target, &above);
    *room = target - above;
    return 1;
}

static int any_above(const float *x, size_t n, float threshold) {
    int any = 0;
    if (n == PIECE) {
        for (size_t i = 0; i < PIECE; i++)
            any |= x[i] > threshold;
        return any;
    }
    for (size_t i = 0; i < n; i++)
        any |= x[i] > threshold;
    return any;
}

/* 1 when no logit of the block that starts at i is above the threshold. */
static int passes_over(const float *blocks, size_t i, float threshold) {
    return blocks != NULL && i % SLM_BLOCK == 0 && !(blocks[i / SLM_BLOCK] > threshold);
}

/* Keeps, in order, the candidates with a larger key, and of those with this key as many of the
 * first as it takes to fill room. blocks: of the keys, may be NULL. */
static void keep(slm_sampler *s, const float *key, const float *weight, const float *blocks,
                 float cut, double room) {
    float below = nextafterf(cut, -INFINITY);
    double got = 0;
    size_t m = 0;
    for (size_t i = 0; i < s->n; i += PIECE) {
        size_t n = piece(s->n, i);
        if (passes_over(blocks, i, below)) {
            i += SLM_BLOCK - PIECE;
            continue;
        }
        if (!any_above(key + i, n, below))
            continue;
        for (size_t j = i; j < i + n; j++) {
            if (!(key[j] >= cut) || (key[j] == cut && got >= room))
                continue;
            if (key[j] == cut)
                got += weight != NULL ? (double)weight[j] : 1.0;
            s->logit[m] = s->x[j];
            s->id[m] = s->dense ? (int32_t)j : s->id[j];
            m++;
        }
    }
    s->x = s->logit;
    s->n = m;
    s->dense = 0;
}

static float largest(const slm_sampler *s, const float *x, size_t n) {
    size_t index;
    int finite;
    return s->kernels->max_index(x, n, &index, &finite);
}

/* ---- filters ---------------------------------------------------------------------------------- */

/* After a filter: what it kept stays only if it would have kept none of the rest. */
static void settle_rest(slm_sampler *s) {
    for (size_t i = 0; i < s->n; i++)
        s->rest.is_undecided |= !slm_before_rest(s, s->x[i], s->id[i]);
    s->rest.any = 0;
}

/* Keeps the k largest of the first m of our own arrays; *cut receives the k-th. */
static size_t keep_k(slm_sampler *s, size_t m, size_t k, float *cut) {
    keyed all = {s->logit, NULL, m, largest(s, s->logit, m)};
    double room;
    s->x = s->logit;
    s->n = m;
    s->dense = 0;
    if (find_cut(s, &all, (double)k, cut, &room))
        keep(s, s->logit, NULL, NULL, *cut, room);
    return s->n;
}

/* Collects what exceeds the k-th largest seen so far, and finds that one anew when the buffer, the
 * front of our own arrays, is full. Masked logits never enter. A row starts with the k-th largest
 * of its block maxima, since k logits are at least as large. */
void slm_stage_top_k(slm_sampler *s) {
    size_t k = (size_t)s->sampling.top_k, m = 0, n_all = s->n;
    if (k >= (s->rest.any ? s->n_vocab : n_all))
        return;
    if (k > n_all) {
        s->rest.is_undecided = 1;
        return;
    }
    size_t cap = k < 256 ? 1024 : 4 * k;
    const float *blocks = blocks_of(s), *x = s->x;
    size_t n_blocks = blocks != NULL ? (n_all + SLM_BLOCK - 1) / SLM_BLOCK : 0;
    int dense = s->dense;
    float cut = -INFINITY;
    if (n_blocks > k) {
        keyed maxima = {blocks, NULL, n_blocks, largest(s, blocks, n_blocks)};
        double room;
        if (find_cut(s, &maxima, (double)k, &cut, &room))
            cut = nextafterf(cut, -INFINITY);
    }
    for (size_t i = 0; i < n_all; i += PIECE) {
        size_t n = piece(n_all, i);
        if (passes_over(blocks, i, cut)) {
            i += SLM_BLOCK - PIECE;
            continue;
        }
        if (any_above(x + i, n, cut))
            for (size_t j = i; j < i + n; j++)
                if (x[j] > cut) {
                    s->logit[m] = x[j];
                    s->id[m] = dense ? (int32_t)j : s->id[j];
                    m++;
                }
        if (m > k && m >= cap)
            m = keep_k(s, m, k, &cut);
    }
    if (m > k)
        m = keep_k(s, m, k, &cut);
    s->x = s->logit;
    s->n = m;
    s->dense = 0;
    if (s->rest.any)
        settle_rest(s);
}

void slm_stage_min_p(slm_sampler *s) {
    const float *blocks = blocks_of(s);
    double max = blocks != NULL ? (double)largest(s, blocks, (s->n + SLM_BLOCK - 1) / SLM_BLOCK)
                                : (double)largest(s, s->x, s->n);
    float cut = (float)(max + log((double)s->sampling.min_p));
    s->rest.is_undecided |= s->rest.any && !(cut > s->rest.bound);
    keep(s, s->x, NULL, blocks, cut, INFINITY);
    s->rest.any = 0;
}

static void weigh(slm_sampler *s) {
    memcpy(s->weight, s->x, s->n * sizeof *s->weight);
    s->kernels->softmax(s->weight, s->n);
}

/* One candidate always stays, so the mass to reach is never nothing. */
static void keep_mass(slm_sampler *s, const float *key, float p) {
    keyed all = {key, s->weight, s->n, largest(s, key, s->n)};
    float cut;
    double room;
    if (find_cut(s, &all, p > 0 ? (double)p : DBL_MIN, &cut, &room))
        keep(s, key, s->weight, NULL, cut, room);
}

/* How many candidates are at `cut`, up to `room` of their weight. */
static size_t count_at(const slm_sampler *s, float cut, double room) {
    size_t n = 0;
    double got = 0;
    for (size_t i = 0; i < s->n; i++)
        if (s->x[i] == cut && got < room) {
            got += (double)s->weight[i];
            n++;
        }
    return n;
}

/* The mass of all is known up to rounding, that of this and that of the whole row's weights. It is
 * decided if the least that it can be and the most give the same set. */
#define MASS_ERROR 0x1p-15

static void keep_mass_of_best(slm_sampler *s, float p) {
    float max = largest(s, s->x, s->n), cut[2];
    double unit = s->kernels->sum_exp(s->x, s->n, max), room[2];
    double scale = exp((double)s->rest.row_max - (double)max) / unit;
    double most = 1 + s->rest.mass * scale, least = most - s->rest.lowered * scale;
    double target[2] = {(double)p * (least > 1 ? least : 1) * (1 - MASS_ERROR),
                        (double)p * most * (1 + MASS_ERROR)};
    keyed all = {s->x, s->weight, s->n, max};
    int is_known = most < (double)INFINITY;
    for (int i = 0; i < 2 && is_known; i++)
        is_known = find_cut(s, &all, target[i] > DBL_MIN ? target[i] : DBL_MIN, &cut[i], &room[i]);
    if (!is_known || cut[0] != cut[1] ||
        count_at(s, cut[0], room[0]) != count_at(s, cut[1], room[1])) {
        s->rest.is_undecided = 1;
        return;
    }
    keep(s, s->x, s->weight, NULL, cut[0], room[0]);
    settle_rest(s);
}

void slm_stage_top_p(slm_sampler *s) {
    weigh(s);
    if (s->rest.any)
        keep_mass_of_best(s, s->sampling.top_p);
    else
        keep_mass(s, s->x, s->sampling.top_p);
}

void slm_stage_typical(slm_sampler *s) {
    s->rest.is_undecided |= s->rest.any;
    double max = (double)largest(s, s->x, s->n), entropy = 0;
    double log_sum = log(s->kernels->sum_exp(s->x, s->n, (float)max));
    weigh(s);
    for (size_t i = 0; i < s->n; i++)
        if (s->weight[i] > 0)
            entropy += (double)s->weight[i] * (log_sum - ((double)s->x[i] - max));
    for (size_t i = 0; i < s->n; i++) /* a masked token is infinitely surprising */
        s->key[i] = -(float)fabs(log_sum - ((double)s->x[i] - max) - entropy);
    keep_mass(s, s->key, s->sampling.typical_p);
}

/* ---- changes ---------------------------------------------------------------------------------- */

void slm_stage_temperature(slm_sampler *s) {
    float temperature = s->sampling.temperature;
    slm_candidates_own(s);
    /* Different logits may become equal, and then it is their ids that count. */
    s->rest.bound_id = -1;
    s->rest.mass = INFINITY;
    if (s->absolute) {
        for (size_t i = 0; i < s->n; i++)
            s->logit[i] = slm_logit_saturate((double)s->logit[i] / (double)temperature);
        s->rest.bound = slm_logit_saturate((double)s->rest.bound / (double)temperature);
        return;
    }
    /* Nothing after this depends on more than differences, and those of the largest are exact. */
    float max = largest(s, s->logit, s->n);
    s->rest.is_undecided |= s->rest.any && !(max >= s->rest.bound);
    for (size_t i = 0; i < s->n; i++)
        s->logit[i] = (s->logit[i] - max) / temperature;
    s->rest.bound = (s->rest.bound - max) / temperature;
}

void slm_stage_bias(slm_sampler *s) {
    slm_candidates_own(s);
    for (size_t i = 0; i < s->n_bias; i++) {
        float *l = slm_candidate_find(s, s->bias[i].id);
        if (l != NULL)
            *l = slm_logit_saturate((double)*l + (double)s->bias[i].bias);
        else
            slm_rest_change(s, s->bias[i].bias <= 0);
    }
}
