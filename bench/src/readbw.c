/* The read bandwidth of this machine, as `slm bench` measures it: one CSV line for each number of
 * threads.
 *
 *   slm_readbw [THREADS [MEGABYTES]]      (1 up to all cores; 2000) */
#include "../../tools/readbw.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    int all = omp_get_num_procs(), first = 1, last = all;
    double megabytes = argc > 2 ? atof(argv[2]) : 2000;
    if (argc > 1)
        first = last = atoi(argv[1]);
    if (first < 1 || !(megabytes >= 1) || argc > 3) {
        fprintf(stderr, "usage: slm_readbw [THREADS [MEGABYTES]]\n");
        return 2;
    }
    printf("threads,megabytes,read_gbps\n");
    for (int threads = first; threads <= last; threads = threads < last && 2 * threads > last
                                                             ? last
                                                             : 2 * threads) {
        double rate = slm_read_bandwidth((size_t)(megabytes * 1e6), (uint32_t)threads);
        if (rate <= 0) {
            fprintf(stderr, "slm_readbw: no memory for %.0f megabytes\n", megabytes);
            return 1;
        }
        printf("%d,%.0f,%.2f\n", threads, megabytes, rate);
        fflush(stdout);
    }
    return 0;
}
