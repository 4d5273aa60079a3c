/* A host's workers: the OpenMP of another library in this process, found at run time. Nothing of it is linked.
 *
 * Its threads spin for a while after the host's own work, as ours do. Calls that come in turn with the host's would find the
 * cores taken by them, so such calls run on them.
 */
#ifndef FASTOPT_HOST_H
#define FASTOPT_HOST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <stddef.h>

struct host {
    void (*parallel)(void (*region)(void *), void *data, unsigned threads, unsigned flags);   /* GOMP_parallel */
    int (*thread_num)(void);
    int (*max_threads)(void);
};

static _Thread_local const struct host *host_of_calls;      /* that this thread makes; NULL: the pool */
static _Thread_local int host_depth;

/* Look the functions up in a library that is loaded, and in those that it depends on, and return the name of the file that
 * holds them, or NULL. LLVM's OpenMP has them too. */
static const char *host_find(struct host *host, const char *library)
{
    Dl_info where;
    void *handle = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
    if (handle == NULL) return NULL;
    *(void **)&host->parallel = dlsym(handle, "GOMP_parallel");
    *(void **)&host->thread_num = dlsym(handle, "omp_get_thread_num");
    *(void **)&host->max_threads = dlsym(handle, "omp_get_max_threads");
    if (!host->parallel || !host->thread_num || !host->max_threads) {
        dlclose(handle);
        return NULL;
    }
    return dladdr(*(void **)&host->parallel, &where) ? where.dli_fname : library;
}

static void host_enter(const struct host *host)
{
    if (host_depth++ == 0) host_of_calls = host;
}

static void host_leave(void)
{
    if (--host_depth == 0) host_of_calls = NULL;
}

#endif
