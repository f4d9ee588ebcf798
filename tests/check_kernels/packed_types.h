/* The types that pack, X(TYPE, type, ACT, act, block), for the tests that build a level's
 * products of them once more. */
#ifndef SLM_TEST_PACKED_TYPES_H
#define SLM_TEST_PACKED_TYPES_H

#define SLM_PACKED_TYPES(X)                                                                        \
    X(Q2_K, q2_k, Q8_K, q8_k, 256)                                                                 \
    X(Q3_K, q3_k, Q8_K, q8_k, 256)                                                                 \
    X(Q4_K, q4_k, Q8_K, q8_k, 256)                                                                 \
    X(Q5_K, q5_k, Q8_K, q8_k, 256)                                                                 \
    X(Q6_K, q6_k, Q8_K, q8_k, 256)                                                                 \
    X(Q4_0, q4_0, Q8_0, q8_0, 32)                                                                  \
    X(Q8_0, q8_0, Q8_0, q8_0, 32)

/* One entry of a table named kernels: a function named matmul_<type>. */
#define SLM_PACKED_ENTRY(TYPE, type, ACT, act, block)                                              \
    kernels->matmul[SLM_DTYPE_##TYPE][SLM_ACT_##ACT##_TILE] = matmul_##type;

#endif
