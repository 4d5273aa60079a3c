/* Memory that will be needed soon is asked for while arithmetic goes on.
 *
 * Hardware fetches ahead of a loop, but only while the loop runs, and not beyond a page: what comes after a pass over data
 * in cache must be asked for by hand. A core has a dozen reads under way at once, so ask for a few lines at a time, between
 * operations; a burst of hundreds would be waited for. Beyond an array's end these do nothing.
 */
#ifndef FASTOPT_FETCH_H
#define FASTOPT_FETCH_H

#include <stdatomic.h>
#include <stdint.h>
#ifdef __unix__
#include <unistd.h>
#endif

#ifdef __GNUC__
#define FASTOPT_FETCH(line, writes, level) __builtin_prefetch(line, writes, level)
#else
#define FASTOPT_FETCH(line, writes, level) ((void)(line))
#endif

/* Into L2. */
static inline void fetch(const void *from, int64_t bytes)
{
    for (int64_t k = 0; k < bytes; k += 64) FASTOPT_FETCH((const char *)from + k, 0, 2);
}

/* Into L1: what is needed next, and fits it beside all else. */
static inline void fetch_near(const void *from, int64_t bytes)
{
    for (int64_t k = 0; k < bytes; k += 64) FASTOPT_FETCH((const char *)from + k, 0, 3);
}

static inline void fetch_to_write(const void *to, int64_t bytes)
{
    for (int64_t k = 0; k < bytes; k += 64) FASTOPT_FETCH((const char *)to + k, 1, 2);
}

/* Bytes of a core's L2 cache, 1 MiB where the system can't tell; where it says more than 2 MiB, cores share it. It is asked
 * once: that can take as long as a kernel. Nothing but time depends on it. */
static inline int64_t l2_bytes(void)
{
    static _Atomic int64_t known;
    int64_t found = atomic_load_explicit(&known, memory_order_relaxed);
    if (found == 0) {
#ifdef _SC_LEVEL2_CACHE_SIZE
        found = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
        found = found > 0 ? found : (int64_t)1 << 20;
        found = found < (int64_t)2 << 20 ? found : (int64_t)2 << 20;
        atomic_store_explicit(&known, found, memory_order_relaxed); /* another thread finds the same */
    }
    return found;
}

#endif
