/* The vocabulary of a model and the two tokenizers over it. Immutable after opening; any thread. */
#ifndef SLM_TEXT_VOCAB_H
#define SLM_TEXT_VOCAB_H

#include "gguf/gguf.h"

typedef enum slm_vocab_kind { SLM_VOCAB_BPE = 1, SLM_VOCAB_SPM = 2 } slm_vocab_kind;

typedef struct slm_vocab slm_vocab;

/* Reads tokenizer.ggml.*. architecture (general.architecture) decides the pre-tokenizer where the
 * file names none (BitNet). Copies nothing that can stay in the file: g must outlive the vocab. */
slm_status slm_vocab_open(slm_host *host, const slm_gguf *g, slm_str architecture, slm_vocab **out,
                          slm_error *error);
void slm_vocab_close(slm_vocab *v);

uint32_t slm_vocab_size(const slm_vocab *v); /* entries of tokenizer.ggml.tokens */
slm_vocab_kind slm_vocab_get_kind(const slm_vocab *v);
const char *slm_vocab_pre_name(const slm_vocab *v); /* "llama-bpe", "qwen2", "gpt-4o", "gpt-2", "spm" */
int32_t slm_vocab_bos(const slm_vocab *v); /* -1 where there is none */
int32_t slm_vocab_eos(const slm_vocab *v);
int32_t slm_vocab_eot(const slm_vocab *v);
int32_t slm_vocab_unk(const slm_vocab *v);
int slm_vocab_add_bos(const slm_vocab *v);
int slm_vocab_add_eos(const slm_vocab *v);
int slm_vocab_adds_space(const slm_vocab *v); /* SPM: a blank is put before the text */
int slm_vocab_is_end(const slm_vocab *v, int32_t id); /* eos, eot, eom or spelt like one */
uint64_t slm_vocab_heap_bytes(const slm_vocab *v);

/* SLM_TOKEN_... flags, spelling as in the file, score. id must be in range. */
uint32_t slm_vocab_flags(const slm_vocab *v, int32_t id);
slm_str slm_vocab_text(const slm_vocab *v, int32_t id);
float slm_vocab_score(const slm_vocab *v, int32_t id);
/* The id whose spelling is exactly this (a control token's raw text, a normal token's file form);
 * -1 when there is none. */
int32_t slm_vocab_find(const slm_vocab *v, const char *text, size_t len);

/* As slm_tokenize (slm.h). */
slm_status slm_vocab_tokenize(const slm_vocab *v, const slm_span *spans, size_t n_spans,
                              int32_t bos, int32_t *ids, size_t cap, size_t *n_ids,
                              slm_error *error);
/* The same; with join, words join across spans of different trust too, so that the ids are those of the
 * whole text but for the control tokens that untrusted text spells. */
slm_status slm_vocab_tokenize_spans(const slm_vocab *v, const slm_span *spans, size_t n_spans,
                                    int32_t bos, int join, int32_t *ids, size_t cap, size_t *n_ids,
                                    slm_error *error);
/* Bytes at the beginning of a text whose tokens, as plain text, are the same whatever follows it; 0
 * where that is not known, as with SentencePiece. */
size_t slm_vocab_settled(const slm_vocab *v, const char *text, size_t n);
/* As slm_detokenize (slm.h). */
slm_status slm_vocab_detokenize(const slm_vocab *v, const int32_t *ids, size_t n_ids,
                                uint32_t flags, char *text, size_t cap, size_t *len,
                                slm_error *error);
/* The bytes of one token, without allocating: into buf when they need decoding, else in the file.
 * buf must have slm_vocab_max_token_bytes(v) bytes. */
slm_str slm_vocab_token_bytes(const slm_vocab *v, int32_t id, uint32_t flags, char *buf);
size_t slm_vocab_max_token_bytes(const slm_vocab *v);
/* The text of token id after token before (-1: the start of the text) without the blank that
 * tokenizing put before it, SentencePiece's way (SLM_DETOKENIZE_DROP_SPACE); slm_vocab_token_bytes,
 * knowing one token only, leaves that to its caller. */
slm_str slm_vocab_drop_space(const slm_vocab *v, int32_t before, int32_t id, slm_str text);

#endif
