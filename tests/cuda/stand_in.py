"""What tests tell the driver's stand-in: which host functions its launches call, and which calls fail."""

import ctypes
import typing

import host
import numpy as np

HOST = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.POINTER(ctypes.c_void_p))


class StandIn:
    kept: typing.ClassVar = []  # of all tests together: the library has their addresses for the life of the process

    def __init__(self, library):
        self.library = library
        self.library.stand_in_launches.restype = ctypes.c_long
        self.library.stand_in_register.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
        self.set()
        self.fail("", 0)

    def set(self, driver=13000, count=1, capability=9, ordinal=0, capturing=0, memory=2):
        self.library.stand_in_is(driver, count, capability, ordinal, capturing, memory)

    def fail(self, name, code):
        self.library.stand_in_fail(name.encode(), code)

    @property
    def launches(self):
        return self.library.stand_in_launches()

    def register(self, kernel, function=None):
        """Let launches of a kernel run its own text on the host."""
        run = host.function(kernel) if function is None else function
        kinds = run.argtypes[1:]

        def launch(blocks, arguments):
            run(blocks, *[kind.from_address(arguments[k]).value for k, kind in enumerate(kinds)])

        self.kept.append(HOST(launch))
        self.library.stand_in_register(f"fastopt_{kernel.name}".encode(), ctypes.cast(self.kept[-1], ctypes.c_void_p))

    def register_nothing(self, kernel):
        """Let launches of a kernel do nothing, for timing."""
        self.library.stand_in_register(f"fastopt_{kernel.name}".encode(), None)


class Array:
    """An array "on the device": the stand-in's memory is the host's."""

    def __init__(self, array, read_only=False):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        typestr = "<V2" if array.dtype.name == "bfloat16" else array.dtype.str
        strides = None if array.flags.c_contiguous else array.strides
        self.__cuda_array_interface__ = {
            "data": (array.ctypes.data, read_only), "shape": array.shape, "typestr": typestr, "strides": strides,
            "version": 3,
        }  # fmt: skip


def on_device(arrays):
    return [Array(np.array(array)) for array in arrays]
