/* Stands in for libcuda.so.1 where there is no GPU: memory is the host's, a launch calls the host function that was
 * registered for the kernel's name, with the kernel's arguments. Calls can be made to fail, and are counted. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int result;
typedef void (*host_kernel)(int64_t blocks, void **arguments);
typedef struct { char name[256]; host_kernel run; } kernel;

static kernel kernels[512];
static int known, version = 13000, devices = 1, major = 9, ordinal, capturing, device_memory = 2;
static char failing[64];
static int failure;
static long launches;

void stand_in_register(const char *name, host_kernel run)
{
    int k = 0;
    while (k < known && strcmp(kernels[k].name, name)) k++;
    if (k == known) known++;
    snprintf(kernels[k].name, sizeof kernels[k].name, "%s", name);
    kernels[k].run = run;
}
void stand_in_fail(const char *name, int code) { snprintf(failing, sizeof failing, "%s", name); failure = code; }
void stand_in_is(int driver, int count, int capability, int where, int graph, int kind)
{
    version = driver; devices = count; major = capability; ordinal = where; capturing = graph; device_memory = kind;
}
long stand_in_launches(void) { return launches; }

#define BEGIN(name) if (failure && !strcmp(failing, name)) return failure
result cuInit(unsigned flags) { BEGIN("cuInit"); return 0; }
result cuDriverGetVersion(int *value) { *value = version; return 0; }
result cuDeviceGetCount(int *count) { *count = devices; return 0; }
result cuDeviceGet(int *device, int which) { *device = which; return 0; }
result cuDeviceGetName(char *name, int size, int device) { snprintf(name, size, "stand-in"); return 0; }
result cuDeviceGetAttribute(int *value, int which, int device) { *value = which == 75 ? major : 0; return 0; }
static __thread void *current;
result cuDevicePrimaryCtxRetain(void **context, int device) { *context = (void *)(intptr_t)(device + 1); return 0; }
result cuCtxGetCurrent(void **context) { *context = current; return 0; }
result cuCtxSetCurrent(void *context) { current = context; return 0; }
result cuCtxSynchronize(void) { BEGIN("cuCtxSynchronize"); return 0; }
result cuModuleLoadData(void **module, const char *image)
{
    BEGIN("cuModuleLoadData");
    *module = (void *)1;
    return strstr(image, ".version") ? 0 : 218;
}
result cuModuleGetFunction(void **function, void *module, const char *name)
{
    for (int k = 0; k < known; k++)
        if (!strcmp(kernels[k].name, name)) { *function = &kernels[k]; return 0; }
    return 500;
}
result cuMemAlloc_v2(uint64_t *pointer, size_t size)
{
    BEGIN("cuMemAlloc_v2");
    *pointer = (uint64_t)malloc(size);
    return *pointer ? 0 : 2;
}
result cuMemFree_v2(uint64_t pointer) { free((void *)pointer); return 0; }
result cuMemHostAlloc(void **pointer, size_t size, unsigned flags)
{
    BEGIN("cuMemHostAlloc");
    *pointer = malloc(size);
    return *pointer ? 0 : 2;
}
result cuMemFreeHost(void *pointer) { free(pointer); return 0; }
result cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t size, void *stream)
{
    BEGIN("cuMemcpyHtoDAsync_v2");
    memcpy((void *)to, from, size);
    return 0;
}
result cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t size, void *stream) { memcpy(to, (void *)from, size); return 0; }
result cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t size, void *stream) { memcpy((void *)to, (void *)from, size); return 0; }
result cuMemsetD8Async(uint64_t to, unsigned char value, size_t size, void *stream) { memset((void *)to, value, size); return 0; }
result cuPointerGetAttribute(void *value, int which, uint64_t pointer) { *(int *)value = which == 2 ? device_memory : ordinal; return 0; }
result cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                      unsigned shared, void *stream, void **arguments, void **extra)
{
    BEGIN("cuLaunchKernel");
    launches++;
    if (((kernel *)function)->run) ((kernel *)function)->run(gx, arguments);
    return 0;
}
result cuStreamSynchronize(void *stream) { BEGIN("cuStreamSynchronize"); return 0; }
result cuStreamIsCapturing(void *stream, int *status) { *status = capturing; return 0; }
result cuEventCreate(void **event, unsigned flags) { *event = (void *)1; return 0; }
result cuEventRecord(void *event, void *stream) { BEGIN("cuEventRecord"); return 0; }
result cuEventSynchronize(void *event) { return 0; }
result cuEventDestroy_v2(void *event) { return 0; }
result cuGetErrorString(int code, const char **text) { *text = "said by the stand-in"; return 0; }
