/* A pool of threads whose caller waits for no thread that has not begun.
 *
 * A caller posts a call: chunks, dealt out in shares, one to each thread. It wakes workers, runs chunks itself, and returns
 * when all chunks are done, whoever did them. A worker that comes late finds nothing to claim, and nobody waits for it.
 *
 * Each thread runs its own share first, the same chunks in every call on as much work: they may still be in its cache, or in
 * its socket's memory. Then it helps the others with what they have left.
 *
 * A post is claimed from by its shares' words alone, which hold the call's number: whoever still holds the number of an
 * older call can claim nothing of a newer one. The other fields are read after a claim, and a call whose chunk is
 * claimed is not over. Posts are never freed. So callers need no lock, a late worker harms nobody, and calls from
 * several threads at once share the workers; where all posts are taken, a caller runs alone.
 */
#ifndef FASTOPT_POOL_H
#define FASTOPT_POOL_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "bed.h"
#include "float_mode.h"
#include "host.h"

#define POOL_THREADS 4096           /* the most of one call, its caller among them */
#define POOL_SHARE 255              /* the most chunks of one share */
#define POOL_POSTS 8                /* calls that share the workers at a time */
#define POOL_STACK (2 << 20)        /* bytes of a worker's stack */
#define POOL_LINE 64                /* bytes of a cache line: what one thread writes lies on no other's */

/* Runs one chunk. `thread` is below the call's number of threads, and no two threads of a call have the same. */
typedef void (*pool_chunk)(void *context, int64_t chunk, int thread);

struct pool_share {
    _Alignas(POOL_LINE) _Atomic uint64_t word;              /* the call's number << 16 | next << 8 | chunks of the share */
};

struct pool_post {
    _Alignas(POOL_LINE) _Atomic uint64_t call;              /* its number << 16 | threads that may join: 0, none */
    atomic_int taken;
    pool_chunk run;
    void *context;
    int64_t chunks;
    int threads;
    _Alignas(POOL_LINE) _Atomic int64_t done;               /* chunks */
    struct bed caller;
    struct pool_share shares[POOL_THREADS];
};

static struct pool_post pool_posts[POOL_POSTS];
static struct bed pool_beds[POOL_THREADS];                  /* of the workers, from 1 */
static _Alignas(POOL_LINE) atomic_uint pool_posted;         /* counts calls: what awake workers look at */
static _Alignas(POOL_LINE) atomic_int pool_workers;         /* that were started */
static atomic_int pool_forked;                              /* whether this process is a forked child */

/* ---- claiming */

static inline int64_t pool_first(int64_t chunks, int threads, int share) { return share * chunks / threads; }

/* Run what is left of a share, and return how many chunks that were. */
static int64_t pool_run_share(struct pool_post *post, uint64_t number, int share, int thread)
{
    int64_t ran = 0;
    _Atomic uint64_t *place = &post->shares[share].word;
    uint64_t word = atomic_load(place);
    while (word >> 16 == number && (word >> 8 & 0xff) < (word & 0xff)) {
        if (!atomic_compare_exchange_weak(place, &word, word + (1 << 8))) continue;
        post->run(post->context, pool_first(post->chunks, post->threads, share) + (int64_t)(word >> 8 & 0xff), thread);
        ran++;
        word = atomic_load(place);
    }
    return ran;
}

/* Run chunks until none is left to claim, first those of the thread's own share; return how many. */
static int64_t pool_help(struct pool_post *post, uint64_t number, int threads, int thread)
{
    int64_t all = 0;
    float_mode own = float_mode_enter();
    for (int k = 0; k < threads; k++) {
        int64_t ran = pool_run_share(post, number, (thread + k) % threads, thread);
        if (ran) {
            int64_t chunks = post->chunks;                  /* read now: the call may be over with the next line */
            if (atomic_fetch_add(&post->done, ran) + ran == chunks) bed_wake(&post->caller);
        }
        all += ran;
    }
    float_mode_leave(own);
    return all;
}

/* ---- workers */

/* Thread k wakes threads 2 k + 1 and 2 k + 2, so that waking many takes their logarithm. */
static void pool_wake(int thread, int threads)
{
    for (int k = 2 * thread + 1; k <= 2 * thread + 2 && k < threads; k++) bed_wake(&pool_beds[k]);
}

static int pool_changed(void *seen) { return atomic_load(&pool_posted) != *(unsigned *)seen; }

static void *pool_work(void *number)
{
    int me = (int)(intptr_t)number;
    int64_t tired = 0;                                      /* when it may sleep: some time after its last call */
    for (;;) {
        unsigned seen = atomic_load(&pool_posted);
        for (int k = 0; k < POOL_POSTS; k++) {
            uint64_t call = atomic_load(&pool_posts[k].call);
            int threads = (int)(call & 0xffff);
            if (me >= threads) continue;
            pool_wake(me, threads);
            pool_help(&pool_posts[k], call >> 16, threads, me);
            tired = bed_now() + BED_SPIN;
        }
        bed_rest(&pool_beds[me], pool_changed, &seen, tired);
    }
    return NULL;
}

/* The host on whose workers this thread's calls run, or NULL: a forked child has none of them, and may not ask for them. */
static const struct host *pool_host(void) { return atomic_load(&pool_forked) ? NULL : host_of_calls; }

/* Start workers until a call can have this many threads, and return how many it can have. One caller at a time. */
static int pool_start(int threads)
{
    int workers = atomic_load(&pool_workers);
    pthread_attr_t attributes;
    sigset_t all, own;
    if (threads <= workers + 1 || pool_host()) return threads;
    if (pthread_attr_init(&attributes)) return workers + 1;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, POOL_STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &own);               /* signals are the program's own threads' business */
    for (; workers + 1 < threads; workers++) {
        pthread_t thread;
        bed_make(&pool_beds[workers + 1]);
        if (pthread_create(&thread, &attributes, pool_work, (void *)(intptr_t)(workers + 1))) break;
#if defined(__linux__)
        char name[16];
        snprintf(name, sizeof name, "fastopt-%d", workers + 1);
        pthread_setname_np(thread, name);
#endif
        atomic_store(&pool_workers, workers + 1);
    }
    pthread_sigmask(SIG_SETMASK, &own, NULL);
    pthread_attr_destroy(&attributes);
    return workers + 1;
}

/* ---- calls */

static struct pool_post *pool_take(void)
{
    for (int k = 0; k < POOL_POSTS; k++)
        if (!atomic_load(&pool_posts[k].taken) && !atomic_exchange(&pool_posts[k].taken, 1)) return &pool_posts[k];
    return NULL;
}

static int pool_all_done(void *post)
{
    return atomic_load(&((struct pool_post *)post)->done) == ((struct pool_post *)post)->chunks;
}

/* Deal the chunks out in shares, and return the call's number: from now on they can be claimed. */
static uint64_t pool_deal(struct pool_post *post, pool_chunk run, void *context, int64_t chunks, int threads)
{
    uint64_t number = (atomic_load(&post->call) >> 16) + 1;
    post->run = run, post->context = context, post->chunks = chunks, post->threads = threads;
    atomic_store(&post->done, 0);
    for (int k = 0; k < threads; k++) {
        int64_t size = pool_first(chunks, threads, k + 1) - pool_first(chunks, threads, k);
        atomic_store_explicit(&post->shares[k].word, number << 16 | (uint64_t)size, memory_order_release);
    }
    return number;
}

struct pool_part {                                          /* the caller's, in a call on a host's workers */
    struct pool_post *post;
    const struct host *host;
    uint64_t number, threads;
    int64_t ran, end;
};

static void pool_region(void *data)
{
    struct pool_part *part = data;
    int thread = part->host->thread_num();
    int64_t ran = pool_help(part->post, part->number, (int)part->threads, thread);
    if (thread == 0) part->ran = ran, part->end = bed_now();
}

/* Run all chunks on at most this many threads, and return the nanoseconds that a chunk took the caller (0: it ran none, or
 * there is only one, which is not timed). A thread's share can have POOL_SHARE chunks at the most. */
static double pool_run(pool_chunk run, void *context, int64_t chunks, int threads)
{
    struct pool_post *post = threads > 1 ? pool_take() : NULL;
    int64_t begin = chunks > 1 ? bed_now() : 0;
    if (post == NULL) {
        float_mode own = float_mode_enter();
        for (int64_t k = 0; k < chunks; k++) run(context, k, 0);
        float_mode_leave(own);
        return chunks > 1 ? (double)(bed_now() - begin) / (double)chunks : 0;
    }
    struct pool_part part = {post, pool_host(), pool_deal(post, run, context, chunks, threads), (uint64_t)threads, 0, 0};
    if (part.host) {
        part.host->parallel(pool_region, &part, (unsigned)threads, 0);
    } else {
        atomic_store(&post->call, part.number << 16 | part.threads);
        atomic_fetch_add(&pool_posted, 1);
        pool_wake(0, threads);
        part.ran = pool_help(post, part.number, threads, 0);
        part.end = bed_now();
    }
    atomic_store(&post->call, part.number << 16);
    bed_rest(&post->caller, pool_all_done, post, part.end + BED_SPIN);
    atomic_store(&post->taken, 0);
    return part.ran ? (double)(part.end - begin) / (double)part.ran : 0;
}

/* ---- what calls in several threads tell one another about work of one kind: whatever was said last stands */

static inline double pool_told(const double *place)
{
    double value;
    __atomic_load(place, &value, __ATOMIC_RELAXED);
    return value;
}

static inline void pool_tell(double *place, double value) { __atomic_store(place, &value, __ATOMIC_RELAXED); }

/* ---- forks: a child has none of its parent's threads. It starts its own with its first call. */

static void pool_after_fork(void)
{
    for (int k = 0; k <= atomic_load(&pool_workers); k++) bed_make(&pool_beds[k]);
    for (int k = 0; k < POOL_POSTS; k++) {
        bed_make(&pool_posts[k].caller);
        atomic_store(&pool_posts[k].call, atomic_load(&pool_posts[k].call) & ~(uint64_t)0xffff);
        atomic_store(&pool_posts[k].taken, 0);
    }
    atomic_store(&pool_workers, 0);
    atomic_store(&pool_forked, 1);
}

static int pool_prepare(void)
{
    for (int k = 0; k < POOL_POSTS; k++) bed_make(&pool_posts[k].caller);
    return pthread_atfork(NULL, NULL, pool_after_fork);
}

#endif
