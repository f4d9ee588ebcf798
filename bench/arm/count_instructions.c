/* A plugin of qemu-aarch64 that counts the instructions which a program executes, by group.
 *
 *   cc -O2 -shared -fPIC -o count_instructions.so bench/arm/count_instructions.c
 *   qemu-aarch64 -plugin ./count_instructions.so PROGRAM ...
 *
 * At the program's end it writes one line of CSV to stderr: "instructions,", then the counts of
 * SIMD and floating point, of loads and stores, and of all others.
 *
 * Distributions do not install qemu-plugin.h, so what is used of it is declared here: version 1 of
 * the interface, that of QEMU 4.2 to 8.2. Later ones refuse to load the plugin and say so. */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { QEMU_PLUGIN_INLINE_ADD_U64 = 0 };

extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                                  void (*cb)(qemu_plugin_id_t,
                                                             struct qemu_plugin_tb *));
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id,
                                           void (*cb)(qemu_plugin_id_t, void *), void *userdata);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb,
                                                        size_t idx);
extern const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *ptr,
                                                     uint64_t imm);

EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);

enum { SIMD, MEMORY, OTHER, N_GROUPS };
static uint64_t executed[N_GROUPS];

/* Bits 25 to 28 name the group (Arm Architecture Reference Manual, "A64 instruction set encoding").
 */
static int group_of(uint32_t instruction) {
    const uint32_t op0 = instruction >> 25 & 15;
    if ((op0 & 7) == 7)
        return SIMD;
    return (op0 & 5) == 4 ? MEMORY : OTHER;
}

/* A block of instructions without a branch inside, when it is translated: from then on each of its
 * executions adds how many it has of each group. */
static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    uint64_t has[N_GROUPS] = {0};
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        uint32_t instruction;
        memcpy(&instruction, qemu_plugin_insn_data(qemu_plugin_tb_get_insn(tb, i)),
               sizeof instruction);
        has[group_of(instruction)]++;
    }
    for (int g = 0; g < N_GROUPS; g++) {
        if (has[g] != 0)
            qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &executed[g],
                                                     has[g]);
    }
}

static void at_exit(qemu_plugin_id_t id, void *unused) {
    (void)id;
    (void)unused;
    fprintf(stderr, "instructions,%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\n", executed[SIMD],
            executed[MEMORY], executed[OTHER]);
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
    (void)info;
    (void)argc;
    (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, at_exit, NULL);
    return 0;
}
