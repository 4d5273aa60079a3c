"""Initializers in NumPy, from the papers: slow, obvious, the judge of every kernel.

Written from the definitions alone, without a look at rules.py: every function takes what the public one takes, and
returns float64. `dtype` says how many random bits a value is made of, nothing more.
"""

import math

import numpy as np

LOW = np.uint64(0xFFFFFFFF)
TAIL = 0.5 * math.erfc(2 / math.sqrt(2))  # of the normal distribution behind 2 standard deviations
KERAS_STD = 0.87962566103423978  # standard deviation of a normal distribution cut at 2
ROOT_2 = math.sqrt(2)
erf, erfc = np.frompyfunc(math.erf, 1, 1), np.frompyfunc(math.erfc, 1, 1)


def philox(counter, key):
    """Philox4x32-10 (Salmon et al. 2011, section 3.3) of four words of counter and two of key, as uint64 arrays."""
    x, k = [np.asarray(word, np.uint64) for word in counter], [np.uint64(word) for word in key]
    for _ in range(10):
        first, second = np.uint64(0xD2511F53) * x[0], np.uint64(0xCD9E8D57) * x[2]
        x = [second >> np.uint64(32) ^ x[1] ^ k[0], second & LOW, first >> np.uint64(32) ^ x[3] ^ k[1], first & LOW]
        k = [k[0] + np.uint64(0x9E3779B9) & LOW, k[1] + np.uint64(0xBB67AE85) & LOW]
    return x


def random_words(count, seed, start=0):
    """`count` random words from number `start`, a multiple of 64: word w of counter j is number 16 w + j of a group."""
    groups = -(-count // 64)
    counters = np.arange(groups * 16, dtype=np.uint64) + np.uint64(start // 4)
    words = philox((counters & LOW, counters >> np.uint64(32), 0, 0), (seed & 0xFFFFFFFF, seed >> 32))
    return np.stack(np.broadcast_arrays(*words)).reshape(4, groups, 16).swapaxes(0, 1).ravel()[:count]


def random_pairs(count, seed):
    """Two random words for each of `count` float64 values: words i and i + 32 of every 64."""
    words = random_words(-(-count // 32) * 64, seed).reshape(-1, 2, 32)
    return words[:, 0].ravel()[:count], words[:, 1].ravel()[:count]


def quantile(p, q):
    """The z >= 0 with tail probability p, q = 1/2 - p, by Newton's method: on erf near 0, on ln erfc far out."""
    z = np.sqrt(-2 * np.log(2 * p) + 0.0)
    for _ in range(7):
        density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        upper = erfc(z / math.sqrt(2)).astype(np.float64) / 2
        near = (q - erf(z / math.sqrt(2)).astype(np.float64) / 2) / density
        far = (np.log(upper) - np.log(p)) * upper / density
        z = z + np.where(p > 0.1, near, far)
    return z


def fans(shape, layout):
    """Inputs that an output value sees and outputs that an input value reaches; of a vector, its length twice."""
    if len(shape) < 2:
        return math.prod(shape), math.prod(shape)
    inputs, outputs = (shape[-2], shape[-1]) if layout == "in_out" else (shape[1], shape[0])
    return math.prod(shape) // outputs, math.prod(shape) // inputs


def _scaled(distribution, shape, seed, variance, dtype, truncated=False):
    """Values of mean 0 and this variance."""
    if distribution == "uniform":
        return uniform(shape, seed, -math.sqrt(3 * variance), math.sqrt(3 * variance), dtype)
    return normal(shape, seed, 0.0, math.sqrt(variance) / (KERAS_STD if truncated else 1), dtype, truncated)


def glorot_uniform(shape, seed, gain=1.0, layout="in_out", dtype="float32"):
    """Glorot and Bengio 2010, equation 16."""
    return _scaled("uniform", shape, seed, gain**2 * 2 / sum(fans(shape, layout)), dtype)


def glorot_normal(shape, seed, gain=1.0, truncated=False, layout="in_out", dtype="float32"):
    """Glorot and Bengio 2010, equation 12."""
    return _scaled("normal", shape, seed, gain**2 * 2 / sum(fans(shape, layout)), dtype, truncated)


def he_uniform(shape, seed, gain=ROOT_2, mode="fan_in", layout="in_out", dtype="float32"):
    """He et al. 2015, equation 10 (fan_in) or 14 (fan_out)."""
    return _scaled("uniform", shape, seed, gain**2 / fans(shape, layout)[mode == "fan_out"], dtype)


def he_normal(shape, seed, gain=ROOT_2, mode="fan_in", truncated=False, layout="in_out", dtype="float32"):
    """He et al. 2015, equation 10 (fan_in) or 14 (fan_out)."""
    return _scaled("normal", shape, seed, gain**2 / fans(shape, layout)[mode == "fan_out"], dtype, truncated)


def lecun_uniform(shape, seed, layout="in_out", dtype="float32"):
    """LeCun et al. 1998, equation 16: variance 1 / fan_in."""
    return _scaled("uniform", shape, seed, 1 / fans(shape, layout)[0], dtype)


def lecun_normal(shape, seed, truncated=False, layout="in_out", dtype="float32"):
    """LeCun et al. 1998, equation 16: variance 1 / fan_in."""
    return _scaled("normal", shape, seed, 1 / fans(shape, layout)[0], dtype, truncated)


def fan_in_uniform(shape, seed, layout="in_out", dtype="float32"):
    """U(±1 / sqrt(fan_in))."""
    return _scaled("uniform", shape, seed, 1 / (3 * fans(shape, layout)[0]), dtype)


def uniform(shape, seed, low=-0.05, high=0.05, dtype="float32"):
    """low + u (high - low), u a multiple of 2^-24 or 2^-53 in [0, 1); below high even where that rounds to it."""
    size = math.prod(shape)
    if dtype == "float32":
        u = (random_words(size, seed) >> np.uint64(8)) / 2.0**24
    else:
        first, second = random_pairs(size, seed)
        u = ((first >> np.uint64(5)) * np.uint64(2**26) + (second >> np.uint64(6))) / 2.0**53
    limit = np.nextafter(np.dtype(dtype).type(high), np.dtype(dtype).type(-np.inf))
    return np.minimum(low + u * (high - low), float(limit)).reshape(shape)


def normal(shape, seed, mean=0.0, std=0.05, dtype="float32", truncated=False):
    """A sign from the first bit, a tail probability from the 31 or 62 bits m behind it: (m + 1/2) / 2^bits of 1/2."""
    size, bits = math.prod(shape), 31 if dtype == "float32" else 62
    if dtype == "float32":
        first = random_words(size, seed)
        m = first & np.uint64(0x7FFFFFFF)
    else:
        first, second = random_pairs(size, seed)
        m = (first & np.uint64(0x7FFFFFFF)) * np.uint64(2**31) + (second >> np.uint64(1))
    tail = TAIL if truncated else 0.0
    width = (0.5 - tail) / 2.0**bits
    p = tail + (m + 0.5) * width
    q = (np.uint64(2**bits - 1) - m + 0.5) * width
    sign = 1.0 - 2.0 * (first >> np.uint64(31))
    return (mean + std * sign * quantile(p, q)).reshape(shape)


def truncated_normal(shape, seed, mean=0.0, std=0.05, dtype="float32"):
    """The normal distribution within 2 std of the mean; std is that of the whole one."""
    return normal(shape, seed, mean, std, dtype, truncated=True)


def orthogonal(shape, seed, gain=1.0, layout="in_out", dtype="float32"):
    """Saxe et al. 2014: Gram and Schmidt's process, twice for its rounding, on the columns of a normal matrix."""
    rows = math.prod(shape[:-1]) if layout == "in_out" else shape[0]
    columns = math.prod(shape) // rows
    q = normal((max(rows, columns), min(rows, columns)), seed, 0.0, 1.0, "float64")
    for k in range(q.shape[1]):
        for _ in range(2):
            q[:, k] -= q[:, :k] @ (q[:, :k].T @ q[:, k])
        q[:, k] /= np.sqrt(np.sum(q[:, k] ** 2))
    return gain * (q if rows >= columns else q.T).reshape(shape)


def zeros(shape, dtype="float32"):
    """All 0."""
    return np.zeros(shape)


def ones(shape, dtype="float32"):
    """All 1."""
    return np.ones(shape)
