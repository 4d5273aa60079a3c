/* What a handler sees of XLA's foreign function interface: the layout of version 0 of its C interface, written down here
 * so that nothing of jaxlib is needed to build. A field is only read where the frame says that it is there.
 * Source: the interface that jaxlib publishes in `jax.ffi.include_dir()`, xla/ffi/api/c_api.h. */
#ifndef FASTOPT_XLA_FFI_H
#define FASTOPT_XLA_FFI_H

#include <stddef.h>
#include <stdint.h>

enum { XLA_EXTENSION_METADATA = 1, XLA_STAGE_EXECUTE = 3, XLA_INVALID_ARGUMENT = 3, XLA_RESOURCE_EXHAUSTED = 8,
       XLA_FAILED_PRECONDITION = 9 };
enum { XLA_ATTRIBUTE_ARRAY = 1, XLA_MAJOR = 0, XLA_MINOR = 1 };

struct xla_extension {
    size_t struct_size;
    int type;
    struct xla_extension *next;
};

struct xla_version {
    size_t struct_size;
    struct xla_extension *extension_start;
    int major;
    int minor;
};

struct xla_metadata {
    size_t struct_size;
    struct xla_version version;
    uint32_t traits;
};

struct xla_metadata_extension {
    struct xla_extension base;
    struct xla_metadata *metadata;
};

struct xla_error_arguments {
    size_t struct_size;
    struct xla_extension *extension_start;
    const char *message;
    int code;
};

typedef void *(*xla_create_error)(struct xla_error_arguments *);

struct xla_api {
    size_t struct_size;
    struct xla_extension *extension_start;
    struct xla_version version;
    const void *internal;
    xla_create_error create_error;
};

struct xla_buffer {
    size_t struct_size;
    struct xla_extension *extension_start;
    int dtype;
    void *data;
    int64_t rank;
    int64_t *dims;
};

struct xla_buffers {                    /* the arguments of a call, or its results */
    size_t struct_size;
    struct xla_extension *extension_start;
    int64_t size;
    int *types;
    struct xla_buffer **buffers;
};

struct xla_array {                      /* the value of an attribute that is an array */
    int dtype;
    size_t size;
    void *data;
};

struct xla_attributes {                 /* sorted by name */
    size_t struct_size;
    struct xla_extension *extension_start;
    int64_t size;
    int *types;
    void **names;
    struct xla_array **arrays;
};

struct xla_frame {
    size_t struct_size;
    struct xla_extension *extension_start;
    const struct xla_api *api;
    void *context;
    int stage;
    struct xla_buffers arguments;
    struct xla_buffers results;
    struct xla_attributes attributes;
};

/* Answer a call that asks what this handler was built for, and return whether it was one. */
static inline int xla_asks_for_metadata(struct xla_frame *frame)
{
    struct xla_extension *extension = frame->extension_start;
    if (extension == NULL || extension->type != XLA_EXTENSION_METADATA) return 0;
    struct xla_metadata *metadata = ((struct xla_metadata_extension *)extension)->metadata;
    metadata->version.major = XLA_MAJOR;
    metadata->version.minor = XLA_MINOR;
    return 1;
}

static inline void *xla_error(struct xla_frame *frame, int code, const char *message)
{
    struct xla_error_arguments arguments = {sizeof arguments, NULL, message, code};
    return frame->api->create_error(&arguments);
}

static inline int64_t xla_elements(const struct xla_buffer *buffer)
{
    int64_t count = 1;
    for (int64_t k = 0; k < buffer->rank; k++) count *= buffer->dims[k];
    return count;
}

#endif
