/* Where a thread waits for others: it spins for a while, then sleeps until it is woken. */
#ifndef FASTOPT_BED_H
#define FASTOPT_BED_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

/* Linux wakes by a futex; where its headers or Linux itself are missing, a condition variable does. */
#ifndef BED_FUTEX
#if defined(__linux__) && __has_include(<linux/futex.h>)
#define BED_FUTEX 1
#else
#define BED_FUTEX 0
#endif
#endif
#if BED_FUTEX
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#define BED_SPIN 30000              /* nanoseconds. Longer, and it keeps a core from its neighbours; shorter, and the next
                                       of several calls in a row must wake it, which takes some microseconds */

struct bed {
    _Alignas(64) _Atomic uint32_t asleep;
#if !BED_FUTEX
    pthread_mutex_t mutex;
    pthread_cond_t woken;
#endif
};

static inline int64_t bed_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static inline void bed_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void bed_make(struct bed *bed)
{
    atomic_store(&bed->asleep, 0);
#if !BED_FUTEX
    pthread_mutex_init(&bed->mutex, NULL);
    pthread_cond_init(&bed->woken, NULL);
#endif
}

/* Sleep until somebody wakes this bed; it may also return for no reason. */
static void bed_sleep(struct bed *bed)
{
#if BED_FUTEX
    syscall(SYS_futex, &bed->asleep, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0);
#else
    pthread_mutex_lock(&bed->mutex);
    while (atomic_load(&bed->asleep)) pthread_cond_wait(&bed->woken, &bed->mutex);
    pthread_mutex_unlock(&bed->mutex);
#endif
}

/* Wake whoever sleeps here. What it waits for must have come before. */
static void bed_wake(struct bed *bed)
{
    if (!atomic_load(&bed->asleep) || !atomic_exchange(&bed->asleep, 0)) return;
#if BED_FUTEX
    syscall(SYS_futex, &bed->asleep, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
#else
    pthread_mutex_lock(&bed->mutex);
    pthread_cond_signal(&bed->woken);
    pthread_mutex_unlock(&bed->mutex);
#endif
}

/* Wait until `come` says so: spin until `tired`, then sleep. Who makes it come wakes the bed afterwards: either it sees
 * this thread asleep, or this thread sees that it has come. */
static void bed_rest(struct bed *bed, int (*come)(void *), void *what, int64_t tired)
{
    while (!come(what)) {
        if (bed_now() < tired) {
            for (int k = 0; k < 32 && !come(what); k++) bed_pause();
            continue;
        }
        atomic_store(&bed->asleep, 1);
        if (!come(what)) bed_sleep(bed);
        atomic_store(&bed->asleep, 0);
    }
}

#endif
