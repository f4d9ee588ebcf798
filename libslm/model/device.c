#include "model/device.h"

#ifdef SLM_HAVE_CUDA

#include "base/checked.h"
#include "base/lanes.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Pieces of device memory: large enough to be few; a board whose memory is in pieces, or whose driver
 * refuses large ones, has smaller ones. */
#define CHUNK_MOST  ((uint64_t)512 << 20)
#define CHUNK_LEAST ((uint64_t)128 << 20)
/* Of tiles that a lane packs at a time, in pinned memory; it has two, one being copied. */
#define SLOT_BYTES ((size_t)2 << 20)
/* Of buffers of all lanes together, unless one alone takes more. */
#define BUFFERS_BYTES  ((size_t)48 << 20)
#define LANES_PER_CORE 2u /* one waits for what it reads while another packs                         */
#define MAX_LANES      16u
#define ALIGN_BYTES   256u /* of a matrix                                                            */
/* What attention is written for. */
#define HEAD_STEP 16u
#define HEAD_MOST 256u

static slm_status open_device(int device, slm_cuda_info *info, slm_error *error) {
    char name[96] = "a CUDA device", driver[48] = "no driver";
    int code = slm_cuda_open(device, info);
    if (code == 0)
        return SLM_OK;
    if (info->name[0] != 0)
        snprintf(name, sizeof name, "%s of compute capability %u.%u", info->name, info->major,
                 info->minor);
    if (info->driver != 0)
        snprintf(driver, sizeof driver, "a driver for CUDA %u.%u", info->driver / 1000,
                 info->driver % 1000 / 10);
    return slm_fail(error, SLM_ERR_DEVICE, "device", SLM_NO_OFFSET,
                    "cannot use %s: %s (CUDA error %d; got %s, this build is of CUDA %u.%u)", name,
                    slm_cuda_error(code), code, driver, info->runtime / 1000,
                    info->runtime % 1000 / 10);
}

slm_status slm_device_probe(slm_error *error) {
    slm_cuda_info info;
    return open_device(0, &info, error);
}

/* ---------------------------------------------------------------- what goes where --------------- */

typedef struct slm_transfer {
    slm_model *model;
    slm_device_weights *d;
    slm_place *places;     /* [n] in the order of the file                                           */
    uint32_t n, n_pieces;
    uint32_t n_lanes;
    size_t rows_bytes;     /* of a lane's buffer for rows                                            */
    size_t slot_bytes;
    void *memory;          /* of rows                                                                */
    uint8_t *rows;         /* [n_lanes][rows_bytes]                                                  */
    slm_device_memory slots[MAX_LANES]; /* pinned, [2][slot_bytes]                                   */
    slm_cuda_stream streams[2 * MAX_LANES];
    const slm_model_options *options;
    _Atomic uint32_t next;
    _Atomic uint64_t done;
    uint64_t all;
    _Atomic int has_failed;
    slm_status status;
    slm_error error;
} slm_transfer;

static size_t tile_bytes(const slm_linear *l) { return slm_frag_tile_bytes(l->type, l->n_in); }
static uint32_t n_tiles(const slm_linear *l) { return (l->n_out + SLM_TILE_M - 1) / SLM_TILE_M; }

slm_cuda_matrix slm_device_matrix(const slm_linear *l) {
    slm_cuda_matrix matrix = {.w = l->tiles, .n_out = l->n_out, .n_in = l->n_in, .scale = l->scale};
    matrix.type = l->type == SLM_DTYPE_TQ1_0 ? SLM_DTYPE_TQ2_0 : l->type;
    return matrix;
}

static int by_place(const void *a, const void *b) {
    const slm_linear *x = ((const slm_place *)a)->linear, *y = ((const slm_place *)b)->linear;
    if (x->part != y->part)
        return x->part < y->part ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static slm_status list_matrices(slm_transfer *t, slm_error *error) {
    slm_model *m = t->model;
    size_t most = (size_t)m->config.n_layers * SLM_LAYER_LINEARS + 2;
    uint32_t d_head = m->config.d_head, step = HEAD_STEP, widest = HEAD_MOST;
    if (m->config.arch->differential) { /* two heads are one to it, of whole blocks of 32 */
        step *= 2;
        widest /= 2;
    }
    if (d_head % step != 0 || d_head > widest)
        return slm_fail(error, SLM_ERR_UNSUP, "device", SLM_NO_OFFSET,
                        "device: got cuda with heads of %u elements, wanted a multiple of %u up "
                        "to %u", d_head, step, widest);
    t->places = slm_calloc(&m->host, most, sizeof *t->places);
    if (t->places == NULL)
        return slm_fail_nomem(error, most * sizeof *t->places, "a list of matrices");
    t->places[t->n++].linear = &m->embed;
    if (m->head.w != m->embed.w)
        t->places[t->n++].linear = &m->head;
    for (uint32_t i = 0; i < m->config.n_layers; i++)
        for (uint32_t j = 0; j < SLM_LAYER_LINEARS; j++) {
            slm_linear *l = slm_layer_linear(&m->layers[i], j);
            if (l->n_out > 0)
                t->places[t->n++].linear = l;
        }
    qsort(t->places, t->n, sizeof *t->places, by_place);
    for (uint32_t i = 0; i < t->n; i++) {
        slm_place *p = &t->places[i];
        const slm_linear *l = p->linear;
        if (tile_bytes(l) == 0)
            return slm_fail(error, SLM_ERR_UNSUP, "device", l->offset,
                            "device: got cuda, which has no products of type %u", l->type);
        p->bytes = slm_round_up(slm_frag_bytes(l->type, l->n_out, l->n_in), ALIGN_BYTES);
        size_t fit = SLOT_BYTES / tile_bytes(l);
        p->piece_tiles = fit == 0 ? 1 : fit < n_tiles(l) ? (uint32_t)fit : n_tiles(l);
        p->first_piece = t->n_pieces;
        t->n_pieces += (n_tiles(l) + p->piece_tiles - 1) / p->piece_tiles;
        size_t rows = p->piece_tiles * SLM_TILE_M * l->row_bytes;
        size_t slot = p->piece_tiles * tile_bytes(l);
        t->rows_bytes = rows > t->rows_bytes ? rows : t->rows_bytes;
        t->slot_bytes = slot > t->slot_bytes ? slot : t->slot_bytes;
        t->all += p->bytes;
    }
    return SLM_OK;
}

/* Bytes that the vectors take on the device: up to the last of them. */
static uint64_t vector_bytes(const slm_model *m) { return m->n_vectors * sizeof(float); }

static slm_status check_room(const slm_transfer *t, slm_error *error) {
    const slm_model *m = t->model;
    const char *what;
    uint64_t needed = t->all + vector_bytes(m), room = slm_device_room(m, &what);
    uint64_t held = atomic_load(&m->host.bytes), limit = m->host.limit;
    if (limit != 0 && (limit < held || limit - held < room)) {
        room = limit > held ? limit - held : 0;
        what = "what memory_limit leaves";
    }
    if (needed <= room)
        return SLM_OK;
    return slm_fail(error, SLM_ERR_NOMEM, "device", SLM_NO_OFFSET,
                    "the weights need %" PRIu64 " bytes of the device, but %s is %" PRIu64, needed, what,
                    room);
}

/* ---------------------------------------------------------------- transfer ---------------------- */

static slm_status open_lanes(slm_transfer *t, slm_error *error) {
    slm_model *m = t->model;
    uint32_t n = LANES_PER_CORE * slm_cpu_count();
    t->rows_bytes = slm_round_up(t->rows_bytes + SLM_AROUND_ROOM, SLM_AROUND_ALIGN);
    size_t fit = BUFFERS_BYTES / (t->rows_bytes + 2 * t->slot_bytes);
    n = n < MAX_LANES ? n : MAX_LANES;
    n = n < t->n_pieces ? n : t->n_pieces;
    t->n_lanes = n <= fit ? n : fit > 0 ? (uint32_t)fit : 1;
    size_t bytes = t->n_lanes * t->rows_bytes + SLM_AROUND_ALIGN;
    t->memory = slm_alloc(&m->host, bytes);
    if (t->memory == NULL)
        return slm_fail_nomem(error, bytes, "buffers for weights");
    slm_advise_huge(t->memory, bytes); /* reads past the page cache look every page up */
    t->rows = (uint8_t *)slm_round_up((uintptr_t)t->memory, SLM_AROUND_ALIGN);
    for (uint32_t i = 0; i < t->n_lanes; i++) {
        int code = 0;
        SLM_TRY(slm_device_alloc(m, &t->slots[i], 2 * t->slot_bytes, 1, "buffers for weights",
                                 error));
        for (uint32_t j = 0; code == 0 && j < 2; j++)
            code = slm_cuda_stream_open(&t->streams[2 * i + j], t->d->device, 1);
        if (code != 0)
            return slm_device_fail(code, "copying weights", error);
    }
    return SLM_OK;
}

static void close_lanes(slm_transfer *t) {
    slm_model *m = t->model;
    for (uint32_t i = 0; i < MAX_LANES; i++) {
        slm_cuda_stream_close(&t->streams[2 * i]);
        slm_cuda_stream_close(&t->streams[2 * i + 1]);
        slm_device_free(m, &t->slots[i]);
    }
    slm_free(&m->host, t->memory);
}

/* Reads the rows of a piece, packs them into a slot, and has the slot copied. */
static slm_status move_piece(slm_transfer *t, uint32_t lane, uint32_t piece, uint32_t turn,
                             slm_error *error) {
    uint32_t lo = 0, hi = t->n;
    while (hi - lo > 1) { /* the last place that begins at or before the piece */
        uint32_t mid = lo + (hi - lo) / 2;
        *(t->places[mid].first_piece <= piece ? &lo : &hi) = mid;
    }
    const slm_place *p = &t->places[lo];
    const slm_linear *l = p->linear;
    const slm_file *file = slm_gguf_part(t->model->gguf, l->part);
    uint32_t first = (piece - p->first_piece) * p->piece_tiles, n = n_tiles(l) - first;
    n = n < p->piece_tiles ? n : p->piece_tiles;
    uint32_t row = first * SLM_TILE_M, n_rows = l->n_out - row;
    n_rows = n_rows < n * SLM_TILE_M ? n_rows : n * SLM_TILE_M;
    uint64_t offset = l->offset + (uint64_t)row * l->row_bytes;
    const uint8_t *rows;
    uint8_t *slot = (uint8_t *)t->slots[lane].at + turn * t->slot_bytes;
    slm_cuda_stream *stream = &t->streams[2 * lane + turn];

    SLM_TRY(slm_file_read_around(file, t->rows + lane * t->rows_bytes, n_rows * l->row_bytes,
                                 offset, &rows, error));
    slm_file_drop(file, file->resident, offset, n_rows * l->row_bytes);
    int code = slm_cuda_wait(stream); /* for what the slot held before */
    if (code != 0)
        return slm_device_fail(code, "copying weights", error);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t left = n_rows - i * SLM_TILE_M;
        slm_frag_pack_tile(l->type, slot + i * tile_bytes(l), rows + i * SLM_TILE_M * l->row_bytes,
                           l->row_bytes, left < SLM_TILE_M ? left : SLM_TILE_M, l->n_in);
    }
    code = slm_cuda_to_device(stream, p->to + (uint64_t)first * tile_bytes(l), slot, n * tile_bytes(l));
    if (code != 0)
        return slm_device_fail(code, "copying weights", error);
    uint64_t end = first + n < n_tiles(l) ? (uint64_t)(first + n) * tile_bytes(l) : p->bytes;
    atomic_fetch_add(&t->done, end - (uint64_t)first * tile_bytes(l));
    return SLM_OK;
}

static slm_status report(const slm_transfer *t, slm_error *error) {
    const slm_model_options *o = t->options;
    if (o->progress == NULL || o->progress(o->progress_user, atomic_load(&t->done), t->all) == 0)
        return SLM_OK;
    return slm_fail(error, SLM_ERR_CANCEL, NULL, SLM_NO_OFFSET,
                    "copying the weights was stopped at %" PRIu64 " of %" PRIu64 " bytes",
                    atomic_load(&t->done), t->all);
}

static void move_lane(void *context, uint32_t lane) {
    slm_transfer *t = context;
    for (uint32_t turn = 0; !atomic_load(&t->has_failed); turn ^= 1) {
        slm_error error = SLM_ERROR_INIT;
        uint32_t piece = atomic_fetch_add(&t->next, 1);
        if (piece >= t->n_pieces)
            return;
        slm_status status = move_piece(t, lane, piece, turn, &error);
        if (status == SLM_OK && lane == 0)
            status = report(t, &error);
        if (status != SLM_OK && atomic_exchange(&t->has_failed, 1) == 0) {
            t->status = status; /* of the first that failed */
            t->error = error;
        }
    }
}

static slm_status move_all(slm_transfer *t, slm_error *error) {
    slm_model *m = t->model;
    slm_lanes lanes;
    slm_lanes_open(&lanes, t->n_lanes);
    t->n_lanes = lanes.n < t->n_lanes ? lanes.n : t->n_lanes;
    slm_lanes_run(&lanes, move_lane, t);
    slm_lanes_close(&lanes);
    int code = 0;
    for (uint32_t i = 0; i < 2 * t->n_lanes; i++) {
        int last = slm_cuda_wait(&t->streams[i]);
        code = code == 0 ? last : code;
    }
    if (t->status != SLM_OK)
        return slm_fail(error, t->status, t->error.subject, t->error.offset, "%s", t->error.message);
    for (uint64_t at = 0, n; code == 0 && at < vector_bytes(m); at += n) { /* through a slot */
        n = vector_bytes(m) - at < t->slot_bytes ? vector_bytes(m) - at : t->slot_bytes;
        memcpy(t->slots[0].at, (const uint8_t *)m->vectors + at, (size_t)n);
        code = slm_cuda_to_device(&t->streams[0], (uint8_t *)(uintptr_t)t->d->vectors + at,
                                  t->slots[0].at, (size_t)n);
        code = code == 0 ? slm_cuda_wait(&t->streams[0]) : code;
    }
    if (code != 0)
        return slm_device_fail(code, "copying weights", error);
    return report(t, error); /* other cores may have taken all there was */
}

/* What lies before the tensors: metadata, names and the vocabulary, which stay in use. */
static uint64_t head_bytes(const slm_gguf *g, uint32_t part) {
    uint64_t least = slm_gguf_part(g, part)->size;
    for (uint64_t i = 0; i < slm_gguf_n_tensors(g); i++) {
        const slm_gguf_tensor *tensor = slm_gguf_tensor_at(g, i);
        if (tensor->part == part && tensor->offset < least)
            least = tensor->offset;
    }
    return least;
}

/* Lets go of the files: of their mappings with SLM_LOAD_READ, and of what reading left in the system's
 * memory at the seams of pieces. */
static slm_status leave_files(slm_transfer *t, slm_error *error) {
    const slm_gguf *g = t->model->gguf;
    for (uint32_t i = 0; i < slm_gguf_n_parts(g); i++) {
        slm_file *file = (slm_file *)(uintptr_t)slm_gguf_part(g, i); /* it is the model's */
        if (t->options->load == SLM_LOAD_READ && file->kind == SLM_FILE_MAPPED)
            SLM_TRY(slm_file_keep_head(file, head_bytes(g, i), error));
        slm_file_drop(file, file->resident, 0, file->size);
        slm_free(&t->model->host, file->resident);
        file->resident = NULL;
    }
    return SLM_OK;
}

static slm_status load(slm_transfer *t, slm_error *error) {
    SLM_TRY(open_device(t->d->device, &t->d->info, error));
    SLM_TRY(list_matrices(t, error));
    SLM_TRY(check_room(t, error));
    SLM_TRY(slm_device_place(t->model, t->places, t->n, vector_bytes(t->model), CHUNK_MOST,
                             CHUNK_LEAST, error));
    slm_status status = open_lanes(t, error);
    if (status == SLM_OK)
        status = move_all(t, error);
    if (status == SLM_OK)
        status = leave_files(t, error);
    close_lanes(t);
    return status;
}

slm_status slm_device_load(slm_model *m, const slm_model_options *options, slm_error *error) {
    slm_transfer t = {.model = m, .options = options};
    /* Of files, not used in place any more. */
    uint64_t in_place = m->mapped_bytes < m->weight_bytes ? m->mapped_bytes : m->weight_bytes;
    t.d = slm_calloc(&m->host, 1, sizeof *t.d);
    if (t.d == NULL)
        return slm_fail_nomem(error, sizeof *t.d, "the device");
    m->device = t.d;
    if (m->host.limit != 0)
        m->host.limit += in_place;
    slm_status status = load(&t, error);
    if (status == SLM_OK) {
        for (uint32_t i = 0; i < t.n; i++)
            t.places[i].linear->tiles = t.places[i].to;
        if (m->head.w == m->embed.w)
            m->head.tiles = m->embed.tiles;
        m->on_device_bytes = t.d->bytes;
        m->mapped_bytes -= in_place;
        slm_log(&m->host, SLM_LOG_INFO, "%" PRIu64 " bytes of weights are on %s", t.d->bytes,
                t.d->info.name);
    }
    slm_free(&m->host, t.places);
    if (status == SLM_OK)
        return SLM_OK;
    if (m->host.limit != 0)
        m->host.limit -= in_place;
    slm_device_unload(m);
    return status;
}

void slm_device_unload(slm_model *m) {
    if (m->device == NULL)
        return;
    for (uint32_t i = 0; i < m->device->n_chunks; i++)
        slm_device_free(m, &m->device->chunks[i]);
    slm_free(&m->host, m->device->chunks);
    slm_free(&m->host, m->device);
    m->device = NULL;
}

#else

static slm_status refuse(slm_error *error) {
    return slm_fail(error, SLM_ERR_UNSUP, "device", SLM_NO_OFFSET,
                    "device: got cuda, but this build of libslm runs on the CPU only");
}

slm_status slm_device_probe(slm_error *error) { return refuse(error); }

slm_status slm_device_load(slm_model *m, const slm_model_options *options, slm_error *error) {
    (void)m;
    (void)options;
    return refuse(error);
}

void slm_device_unload(slm_model *m) { (void)m; }

#endif
