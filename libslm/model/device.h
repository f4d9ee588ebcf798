/* A model's weights on a CUDA device. Without CUDA in the build nothing of this is there but the
 * refusal. */
#ifndef SLM_MODEL_DEVICE_H
#define SLM_MODEL_DEVICE_H

#include "model/model.h"

#ifdef SLM_HAVE_CUDA

#include "cuda/slm_cuda.h"

/* Memory of the device, or pinned memory of the host. */
typedef struct slm_device_memory {
    void *at;
    uint64_t bytes;
    uint8_t is_pinned;
} slm_device_memory;

struct slm_device_weights {
    int device;
    slm_cuda_info info;
    slm_device_memory *chunks;
    uint32_t n_chunks;
    uint64_t bytes;           /* of all chunks                                                       */
    const uint8_t *vectors;   /* the model's norms and biases, in the order of model->vectors        */
};

/* The device's copy of a vector of the model; NULL for NULL. */
static inline const float *slm_device_vector(const slm_model *m, const float *vector) {
    return vector == NULL ? NULL
                          : (const float *)(const void *)(m->device->vectors +
                                                          (vector - m->vectors) * (ptrdiff_t)sizeof(float));
}
/* A matrix of the model as kernels take it. */
slm_cuda_matrix slm_device_matrix(const slm_linear *l);

/* Memory on the model's device, uninitialised, counted and limited by the model's host like all else.
 * what: it is for, in messages. */
slm_status slm_device_alloc(slm_model *model, slm_device_memory *memory, uint64_t bytes,
                            int is_pinned, const char *what, slm_error *error);
void slm_device_free(slm_model *model, slm_device_memory *memory); /* nothing, if there is none */
/* Bytes that the device can still give; *what: of which memory, in messages. */
uint64_t slm_device_room(const slm_model *model, const char **what);

/* Where the tiles of a matrix go. */
typedef struct slm_place {
    slm_linear *linear;
    uint8_t *to;
    uint64_t bytes;       /* rounded up, so that the next begins where kernels want it               */
    uint32_t first_piece; /* of all pieces that cores take                                           */
    uint32_t piece_tiles; /* tiles in one of them                                                    */
} slm_place;

/* Memory for all places, in chunks of at most `most` bytes that places fill one after the other (a
 * larger place has its own), and one for the vectors. Where the device refuses one, in chunks of half
 * the size, down to `least`. What is there after a failure is freed by slm_device_unload. */
slm_status slm_device_place(slm_model *model, slm_place *places, uint32_t n, uint64_t vector_bytes,
                            uint64_t most, uint64_t least, slm_error *error);
/* The status of an error number of the device, with a message. */
slm_status slm_device_fail(int code, const char *what, slm_error *error);

#endif

/* Whether a device is there that this build can use: SLM_OK, SLM_ERR_UNSUP in a build without CUDA,
 * SLM_ERR_DEVICE with what is wrong. */
slm_status slm_device_probe(slm_error *error);
/* Puts all weights on the device: reads them once, in large pieces, by all cores; what that brought
 * into the system's memory is dropped. With SLM_LOAD_READ nothing depends on the files afterwards.
 * Refused before the first byte when they do not fit. On failure the model is as it was. */
slm_status slm_device_load(slm_model *model, const slm_model_options *options, slm_error *error);
void slm_device_unload(slm_model *model);

#endif
