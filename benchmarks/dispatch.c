/* Times a call of the pool on two threads, after pauses of several lengths: a line of figures for each. */
#include "pool.h"
#include <omp.h>
#include <stdlib.h>

#define CALLS 1000
#define PATIENCE 10000000           /* nanoseconds that a caller waits for the worker at the most */

static atomic_int here;             /* whether the worker has run its chunk */

static void empty(void *context, int64_t chunk, int thread) { (void)context, (void)chunk, (void)thread; }

/* The caller's chunk ends when the worker has begun its own. */
static void meet(void *context, int64_t chunk, int thread)
{
    (void)context, (void)chunk;
    if (thread) atomic_store(&here, 1);
    for (int64_t end = bed_now() + PATIENCE; !thread && !atomic_load(&here) && bed_now() < end;) bed_pause();
}

static void until_met(void) { atomic_store(&here, 0), pool_run(meet, NULL, 2, 2); }
static void empty_call(void) { pool_run(empty, NULL, 2, 2); }

static void empty_region(void)
{
    #pragma omp parallel num_threads(2)
    atomic_fetch_add_explicit(&here, 1, memory_order_relaxed);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void measure(void (*call)(void), int64_t pause, int calls)
{
    int64_t found[CALLS];
    for (int k = 0; k < calls; k++) {
        for (int64_t end = bed_now() + pause; bed_now() < end;) bed_pause();
        int64_t begin = bed_now();
        call();
        found[k] = bed_now() - begin;
    }
    qsort(found, (size_t)calls, sizeof *found, compare);
    printf(", %ld / %ld / %ld", (long)found[calls / 5], (long)found[calls / 2], (long)found[calls * 4 / 5]);
}

int main(void)
{
    const int64_t pauses[] = {0, 10, 100, 3000};            /* microseconds */
    void (*const calls[])(void) = {until_met, empty_call, empty_region};
    pool_prepare();
    pool_start(2);
    for (int k = 0; k < 4; k++) {
        printf("%ld µs", (long)pauses[k]);
        for (int c = 0; c < 3; c++) measure(calls[c], pauses[k] * 1000, pauses[k] > 1000 ? 100 : CALLS);
        printf("\n");
    }
    return 0;
}
