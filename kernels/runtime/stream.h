/* Stores that go around the cache.
 *
 * An ordinary store first reads its line from memory; a result too large to stay in a cache is then written back before
 * anyone reads it. Streamed stores skip that read: three transfers instead of four for a gradient of two arrays.
 * They are good for large results only: a small one should stay where the next reader finds it.
 */
#ifndef FASTOPT_STREAM_H
#define FASTOPT_STREAM_H

#include <stdint.h>
#include <string.h>

/* A quarter of the last-level cache that eight to sixteen cores share on common servers and desktops (32 MiB): beside the
 * two arrays that it was made of, a result of this size fills it. */
#define STREAMED_BYTES ((int64_t) 8 << 20)

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

/* Bytes before the first whole cache line. */
static inline int64_t stream_head(const char *to, int64_t bytes)
{
    int64_t head = (int64_t) (-(uintptr_t) to & 63);
    return head < bytes ? head : bytes;
}

__attribute__((target("avx512f"))) static void stream_lines_512(char *to, const char *from, int64_t bytes)
{
    for (int64_t k = 0; k < bytes; k += 64)
        _mm512_stream_si512((void *) (to + k), _mm512_loadu_si512((const void *) (from + k)));
}

__attribute__((target("avx"))) static void stream_lines_256(char *to, const char *from, int64_t bytes)
{
    for (int64_t k = 0; k < bytes; k += 32)
        _mm256_stream_si256((__m256i *) (to + k), _mm256_loadu_si256((const __m256i *) (from + k)));
}

static void stream_lines_128(char *to, const char *from, int64_t bytes)
{
    for (int64_t k = 0; k < bytes; k += 16)
        _mm_stream_si128((__m128i *) (to + k), _mm_loadu_si128((const __m128i *) (from + k)));
}

/* memcpy around the cache; the ends, where a line is not whole, go through it. */
static __attribute__((noinline)) void stream_copy(void *target, const void *source, int64_t bytes)
{
    char *to = (char *) target;
    const char *from = (const char *) source;
    int64_t head = stream_head(to, bytes), lines = (bytes - head) & ~(int64_t) 63;
    memcpy(to, from, (size_t) head);
    if (__builtin_cpu_supports("avx512f")) stream_lines_512(to + head, from + head, lines);
    else if (__builtin_cpu_supports("avx")) stream_lines_256(to + head, from + head, lines);
    else stream_lines_128(to + head, from + head, lines);
    memcpy(to + head + lines, from + head + lines, (size_t) (bytes - head - lines));
}

/* The bytes start:stop of a target, from a block of scratch memory that holds them alone: one block of a grain after the
 * other. Where a block ends within a cache line, that part waits in the 64 bytes in front of the scratch memory until the
 * next block makes the line whole: a part of a line that is stored by itself is read from memory first, and all stores
 * behind it wait for that. A block that is not its grain's `last` has two lines at least. */
static inline void stream_block(void *target, void *block, int64_t start, int64_t stop, int first, int last)
{
    char *to = (char *) target + start;
    int64_t waiting = first ? 0 : (int64_t) ((uintptr_t) to & 63), bytes = stop - start + waiting;
    int64_t rest = last ? 0 : (int64_t) ((uintptr_t) (to - waiting + bytes) & 63);
    char *from = (char *) block - waiting;
    stream_copy(to - waiting, from, bytes - rest);
    memcpy((char *) block - rest, from + bytes - rest, (size_t) rest);
}

/* Streamed stores are seen by other threads after this: the launcher calls it behind the grains of a thread. */
static inline void stream_end(void) { _mm_sfence(); }

#else
static inline void stream_block(void *to, void *block, int64_t start, int64_t stop, int first, int last)
{
    (void) first, (void) last;
    memcpy((char *) to + start, block, (size_t) (stop - start));
}
static inline void stream_end(void) { }
#endif

#endif
