/* Calls from several threads at once, of random sizes, on random numbers of threads. Every chunk writes plain memory that its
 * caller reads afterwards: what ThreadSanitizer finds here is a race of the pool. */
#include "pool.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define CALLERS 4
#define ROUNDS 3000

static double plain[CALLERS][4096];
struct work { int me; int64_t chunks; double *out; };
static void chunk(void *context, int64_t c, int thread)
{
    struct work *w = context; (void)thread;
    w->out[c] += c + w->me;
    for (volatile int k = 0; k < 200; k++) ;
}

static void *caller(void *number)
{
    int me = (int)(intptr_t)number;
    unsigned seed = me;
    for (int i = 0; i < ROUNDS; i++) {
        int threads = 1 + rand_r(&seed) % 6;
        int64_t chunks = 1 + rand_r(&seed) % (threads * 16);
        struct work w = {me, chunks, plain[me]};
        memset(plain[me], 0, sizeof plain[me]);
        pool_run(chunk, &w, chunks, threads);
        for (int64_t c = 0; c < chunks; c++) if (plain[me][c] != c + me) {
            printf("chunk %d of %d was not run once\n", (int)c, (int)chunks);
            exit(1);
        }
        if (i % 64 == 0) usleep(rand_r(&seed) % 200);
    }
    return NULL;
}

int main(void)
{
    pthread_t t[CALLERS];
    pool_prepare();
    pool_start(6);
    for (int k = 0; k < CALLERS; k++) pthread_create(&t[k], NULL, caller, (void *)(intptr_t)k);
    for (int k = 0; k < CALLERS; k++) pthread_join(t[k], NULL);
    printf("right\n");
    return 0;
}
