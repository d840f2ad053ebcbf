"""Compiling kernels for a GPU that is not there: PTX, registers and local memory on sm_90."""

import re
from types import SimpleNamespace
from typing import NamedTuple
from unittest import mock

import numba.cuda.dispatcher
import numpy as np
from numba import cuda, types

SM_90 = (9, 0)


class Compiled(NamedTuple):
    """A kernel's PTX, and what the assembler says of it."""

    ptx: str
    registers: int
    stack: int
    spills: int


def compiled_for_sm_90(function, *arguments) -> Compiled:
    """Compile a kernel for arguments such as it would be launched with."""
    signature = tuple(_type(argument) for argument in arguments)
    # Functions of the device that a kernel calls are compiled for the device that is present.
    present = SimpleNamespace(compute_capability=SM_90)
    with mock.patch.object(numba.cuda.dispatcher, "get_current_device", lambda: present):
        ptx, _ = cuda.compile_ptx(function, signature, cc=SM_90)
    log = _assembled(ptx)
    stack, stores, loads = re.search(
        r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", log
    ).groups()
    registers = re.search(r"Used (\d+) registers", log)[1]
    return Compiled(ptx, int(registers), int(stack), int(stores) + int(loads))


def _type(argument):
    if isinstance(argument, np.ndarray):
        element = types.int64 if argument.dtype == np.int64 else _float(argument.dtype)
        return types.Array(element, argument.ndim, "C")
    if isinstance(argument, bool):
        return types.boolean
    if isinstance(argument, np.floating):
        return _float(argument.dtype)
    assert isinstance(argument, int), argument
    return types.int64


def _float(dtype):
    return {"float32": types.float32, "float64": types.float64}[np.dtype(dtype).name]


def _assembled(ptx) -> str:
    from cuda.bindings import nvjitlink

    handle = nvjitlink.create(3, ["-arch=sm_90", "-verbose", "-O3"])
    try:
        text = ptx.encode()
        nvjitlink.add_data(handle, nvjitlink.InputType.PTX, text, len(text), "kernel")
        nvjitlink.complete(handle)
        log = bytearray(nvjitlink.get_info_log_size(handle))
        nvjitlink.get_info_log(handle, log)
        return log.decode()
    finally:
        nvjitlink.destroy(handle)
