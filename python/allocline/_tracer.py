"""The tracer in this process, by ctypes: the table of functions that include/allocline/allocline.h describes.

Threads:    any. Nothing here keeps state but the depth begin_unseen(), which each thread has of its own.
Sizes:      bytes, as requested from the allocator.
"""
from __future__ import annotations

import threading
import types
from typing import Any, Optional

try:
    import ctypes
except ImportError:  # a Python built without libffi
    ctypes = None  # type: ignore[assignment]

ROWS_NOT_GIVEN = 2**64 - 1
_BLOCK_FRAMES = 64


def _find() -> Optional[Any]:
    """The tracer's table, or None. A tracer cannot come later: it is preloaded or never there."""
    if ctypes is None:
        return None
    try:
        get = ctypes.CDLL(None).allocline_api_v1
    except (AttributeError, OSError, TypeError):
        return None

    # Calls keep the GIL unless they may take long: an allocation inside is then charged to the very line that calls.
    quick, long = ctypes.PYFUNCTYPE, ctypes.CFUNCTYPE
    uint64_p = ctypes.POINTER(ctypes.c_uint64)

    class Table(ctypes.Structure):
        _fields_ = [
            ("size", ctypes.c_size_t),
            ("is_tracing", quick(ctypes.c_int)),
            ("start", long(ctypes.c_int)),
            ("stop", long(None)),
            ("clear", long(None)),
            ("take_snapshot", long(ctypes.c_int, ctypes.c_char_p, ctypes.c_uint64)),
            ("traced_memory", quick(None, uint64_p, uint64_p)),
            ("reset_peak", quick(None)),
            ("tracer_memory", quick(ctypes.c_uint64)),
            ("ignore_this_thread", quick(None)),  # of an int: told so, ctypes would make an object for each
            ("lookup", quick(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)),
            ("track", quick(ctypes.c_int, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_size_t)),
            ("untrack", quick(ctypes.c_int, ctypes.c_uint32, ctypes.c_void_p)),
            ("log_memory_usage", long(ctypes.c_int, ctypes.c_char_p)),
            ("log_top", long(ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)),
            ("recording_path", quick(ctypes.c_char_p)),
            ("traces_python", quick(ctypes.c_int)),
            ("lookup_python", quick(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)),
            ("lookup_python_further", quick(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p)),
            ("checkpoint", long(ctypes.c_int, ctypes.c_char_p, ctypes.c_uint64)),
        ]

    get.restype = ctypes.POINTER(Table)
    found = get().contents
    # Each look at a field makes an object, which would be recorded: look once.
    known = [name for name, _ in Table._fields_ if getattr(Table, name).offset < found.size]
    return types.SimpleNamespace(**{name: getattr(found, name) for name in known})


class _Depth(threading.local):
    value = 0


def begin_unseen() -> None:
    """What this thread allocates up to end_unseen() is not recorded. May be nested."""
    if table is None:
        return
    if _depth.value == 0:
        table.ignore_this_thread(1)
    _depth.value += 1


def end_unseen() -> None:
    if table is None:
        return
    _depth.value -= 1
    if _depth.value == 0:
        table.ignore_this_thread(0)


class _Unseen:
    """`with unseen:`, the same. Entering it makes an object that is seen."""

    def __enter__(self) -> None:
        begin_unseen()

    def __exit__(self, *_: object) -> None:
        end_unseen()


table = _find()
unseen = _Unseen()
_depth = _Depth()


def is_tracing() -> bool:
    return table is not None and bool(table.is_tracing())


def traced_memory() -> "tuple[int, int]":
    if table is None:
        return 0, 0
    begin_unseen()
    try:
        current, peak = ctypes.c_uint64(), ctypes.c_uint64()
        table.traced_memory(ctypes.byref(current), ctypes.byref(peak))
        return current.value, peak.value
    finally:
        end_unseen()


def lines_of_object(address: int, limit: int) -> "Optional[tuple[list[tuple[str, int]], int]]":
    """The lines of Python that led to the allocation of the object at `address`, most recent first, at most `limit` of
    them (64 where the tracer is an older one), and how many there were. None if the object is not known."""
    if table is None or not hasattr(table, "lookup_python"):
        return None

    class Line(ctypes.Structure):
        _fields_ = [("file", ctypes.c_void_p), ("function", ctypes.c_void_p), ("file_bytes", ctypes.c_uint32),
                    ("function_bytes", ctypes.c_uint32), ("line", ctypes.c_int32), ("reserved", ctypes.c_uint32)]

    class Block(ctypes.Structure):
        _fields_ = [("bytes", ctypes.c_uint64), ("domain", ctypes.c_uint32), ("depth", ctypes.c_uint32),
                    ("lines", Line * _BLOCK_FRAMES)]

    block = Block()
    lines: "list[tuple[str, int]]" = []
    error = table.lookup_python(address, ctypes.byref(block))
    while error == 0:
        lines += [(ctypes.string_at(line.file, line.file_bytes).decode("utf-8", "surrogatepass"), max(line.line, 0))
                  for line in block.lines[:max(block.depth - len(lines), 0)]]
        if len(lines) >= min(block.depth, limit) or not hasattr(table, "lookup_python_further"):
            return lines[:limit], block.depth
        error = table.lookup_python_further(address, len(lines), ctypes.byref(block))
    return None


def recording_path() -> bytes:
    """b"" if the recording is in memory, or there is none."""
    return (table.recording_path() or b"") if table is not None else b""
