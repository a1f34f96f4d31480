"""Which source line holds the memory: tracemalloc's API over the allocline tracer.

    allocline run -- python3 program.py

    import allocline as tracemalloc        # the only change a program needs

The tracer is in the process from its first instruction and records every block, also those that C extensions take from
malloc; a line of Python has them beside its objects. So start() is not needed, and a snapshot holds what was allocated
before it, too. In programs that keep their calls in production, checkpoint() and log_memory_usage() do nothing where
there is no tracer; take_snapshot() and start() raise NotTracedError.

Lines are those of tracemalloc: the innermost line of Python. statistics("user") and the program `allocline` name the
innermost line outside the standard library and installed packages.

Sizes:   bytes, as requested from the allocator.
Threads: every function may be called on any thread; not in a signal handler of C. What this package itself allocates
         does not appear.
Errors:  Error (a RuntimeError) says what is missing and what to do about it.
"""
from __future__ import annotations

import operator as _operator
import os as _os
import tracemalloc as _tracemalloc
from tracemalloc import BaseFilter, DomainFilter, Filter, Frame, Statistic, StatisticDiff, Trace, Traceback
from tracemalloc import _format_size, _normalize_filename  # type: ignore[attr-defined]  # noqa: F401 (programs use them)
from typing import Any, Optional, Tuple

from . import _tracer
from ._snapshot import MALLOC_DOMAIN, MMAP_DOMAIN, PYTHON_DOMAIN, Error, Row, Snapshot
from ._snapshot import _HAS_TOTAL_NFRAME, _UNKNOWN
from ._snapshot import MAX_FRAMES as _MAX_FRAMES
from ._snapshot import take as _take
from ._tracer import is_tracing
from ._tracer import unseen as _unseen

__version__ = "0.1.0"

__all__ = [
    # tracemalloc's
    "BaseFilter", "DomainFilter", "Filter", "Frame", "Snapshot", "Statistic", "StatisticDiff", "Trace", "Traceback",
    "clear_traces", "get_object_traceback", "get_traceback_limit", "get_traced_memory", "get_tracemalloc_memory",
    "is_tracing", "reset_peak", "start", "stop", "take_snapshot",
    # ours
    "Error", "MALLOC_DOMAIN", "MMAP_DOMAIN", "NotTracedError", "PYTHON_DOMAIN", "Row", "checkpoint", "log_memory_usage",
    "log_top", "recording_path", "track", "untrack",
]  # fmt: skip


class NotTracedError(Error):
    """There is no tracer in this process."""

    def __init__(self) -> None:
        super().__init__("this process does not run under allocline: start it with `allocline run -- python3 ...`, or "
                         "with LD_PRELOAD=.../liballocline.so")


# How many frames a snapshot keeps of each stack. All of them are recorded: this is only what is shown. None: start() was
# not called, and there is no reason to show less than all.
_limit: Optional[int] = None


def start(nframe: int = 1, /) -> None:
    """Begins tracing, showing `nframe` frames of each stack. Nothing if this was called before without a stop().

    Under `allocline run` allocations are recorded from the start of the process; what was recorded so far stays. Use
    `allocline run --start-stopped` for a program that wants nothing before its start()."""
    global _limit
    nframe = _operator.index(nframe)
    if not -(2**31) <= nframe < 2**31:
        raise OverflowError("Python int too large to convert to C int")
    if not 1 <= nframe <= _MAX_FRAMES:
        raise ValueError("the number of frames must be in range [1; %d]" % _MAX_FRAMES)
    if _tracer.table is None:
        raise NotTracedError()
    if is_tracing() and _limit is not None:
        return
    with _unseen:
        error = _tracer.table.start()
    if error != 0:
        raise Error("tracing cannot start: the tracer was loaded but is not ready (errno %d)" % error)
    _limit = nframe


def stop() -> None:
    """Ends tracing and forgets all blocks; snapshots that were taken stay. Nothing without a tracer."""
    global _limit
    if _tracer.table is not None:
        with _unseen:
            _tracer.table.stop()
    _limit = None


def clear_traces() -> None:
    """Forgets all blocks, sets the peak to 0, and goes on tracing."""
    if _tracer.table is not None:
        with _unseen:
            _tracer.table.clear()


def get_traceback_limit() -> int:
    """How many frames of a stack snapshots show: start()'s, or without it all there are (65535)."""
    return _MAX_FRAMES if _limit is None else _limit


def get_traced_memory() -> Tuple[int, int]:
    """(current, peak): live bytes now, and the highest they were since the start, clear_traces() or reset_peak(); of
    native memory as well. (0, 0) when nothing is traced. With several threads the peak may be low by up to 64 KiB a
    thread."""
    return _tracer.traced_memory()


def reset_peak() -> None:
    """Sets the peak to what is live now."""
    if _tracer.table is not None:
        _tracer.table.reset_peak()


def get_tracemalloc_memory() -> int:
    """Bytes the tracer itself uses in this process, the map of live blocks and the recording's file apart."""
    if _tracer.table is None:
        return 0
    return int(_tracer.table.tracer_memory())


def _get_traces() -> Any:
    return _take(get_traceback_limit()) if is_tracing() else []


def take_snapshot() -> Snapshot:
    """A snapshot of the live blocks. This copies counters, not blocks: some milliseconds. Rows are read when they
    are needed, which runs the program `allocline`."""
    if not is_tracing():
        if _tracer.table is None:
            raise NotTracedError()
        raise RuntimeError("the tracemalloc module must be tracing memory allocations to take a snapshot")
    return Snapshot(_get_traces(), get_traceback_limit())


def get_object_traceback(obj: object) -> Optional[Traceback]:
    """Where `obj` was allocated: no more lines of Python than get_traceback_limit(). None if that was not recorded, as
    of objects older than the tracing."""
    if not is_tracing():
        return None
    with _unseen:
        found = _tracer.lines_of_object(id(obj), get_traceback_limit())
        if found is None:
            return None
        lines, total = found
        frames = tuple(lines) or (_UNKNOWN,)
        return Traceback(frames, total) if _HAS_TOTAL_NFRAME else Traceback(frames)


def checkpoint(label: Optional[str] = None, rows: Optional[int] = None) -> bool:
    """Keeps what is live now under `label` (cut after 1024 bytes), for `allocline top RECORDING@LABEL` and
    `allocline diff`; with `rows`, how many units of work the program has done by now. Cheap enough for a loop: when
    checkpoints have taken much room in the recording, only some are kept. False if nothing is traced, or there is no
    room at all."""
    if not is_tracing():
        return False
    if rows is not None and not 0 <= rows < _tracer.ROWS_NOT_GIVEN:
        raise ValueError("rows must be a count, not %r" % (rows,))
    with _unseen:
        keep = getattr(_tracer.table, "checkpoint", _tracer.table.take_snapshot)  # a tracer may be older
        return keep(_text(label), _tracer.ROWS_NOT_GIVEN if rows is None else rows) == 0


def log_memory_usage(label: str) -> bool:
    """Writes one line to stderr: `label`, the resident set, the container's memory and limit, live and peak bytes.
    False, and nothing is written, when there is no tracer."""
    if _tracer.table is None:
        return False
    with _unseen:
        return _tracer.table.log_memory_usage(_text(label)) == 0


def log_top(label: str, lines: int = 10) -> bool:
    """A checkpoint(label), and its top lines on stderr, by the program `allocline`. False if that is not possible."""
    if not is_tracing():
        return False
    with _unseen:
        return _tracer.table.log_top(_text(label), lines) == 0


def track(domain: int, address: int, size: int) -> bool:
    """Records a block of a pool of the program's own. `domain` is the program's number for the pool, from 16 on, 15 of
    them at most; blocks of one domain start at least 8 bytes apart. Tracking an address again replaces its record.
    False when nothing is traced, or the domain or the address cannot be."""
    return _tracer.table is not None and _tracer.table.track(domain, address, size) == 0


def untrack(domain: int, address: int) -> bool:
    """The block is given back to its pool. Not an error if it is unknown."""
    return _tracer.table is not None and _tracer.table.untrack(domain, address) == 0


def recording_path() -> str:
    """The recording's file; "" if there is none."""
    return _os.fsdecode(_tracer.recording_path())


def _text(label: Optional[str]) -> bytes:
    return (label or "").encode("utf-8", "surrogatepass").replace(b"\0", b" ")
