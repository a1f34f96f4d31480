"""Snapshots: tracemalloc's, over rows that the tracer has counted.

tracemalloc keeps one trace per block. A recording keeps one row per stack, with the bytes and the number of its live
blocks, so a snapshot of ten million blocks is a few thousand rows. Statistics come out the same; only Snapshot.traces,
which is a trace per block, gives each block of a row an equal share of the row's bytes.

The one reader of recordings is the program `allocline`: a snapshot runs it when its rows are asked for, in a process of
its own, untraced. What it reads stays as it was when the snapshot was taken, so that may be at any later time.
"""
from __future__ import annotations

import bisect
import itertools
import os
import sys
import time
import tracemalloc
from collections.abc import Iterable
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union, overload

from . import _tracer
from ._tracer import unseen

# tracemalloc's number for what Python's own allocators gave out, and ours for the rest. (A recording counts malloc as
# domain 0 and Python as 2: there was no Python in its first version.)
PYTHON_DOMAIN = 0
MALLOC_DOMAIN = 1
MMAP_DOMAIN = 2
_DOMAIN_OF_RECORDED = {0: MALLOC_DOMAIN, 1: MMAP_DOMAIN, 2: PYTHON_DOMAIN}

MAX_FRAMES = 65535
_UNKNOWN = ("<unknown>", 0)
_HAS_TOTAL_NFRAME = sys.version_info >= (3, 9)

_Frame = Tuple[str, int]
_Frames = Tuple[_Frame, ...]


class Error(RuntimeError):
    """The tracer, its recording or the `allocline` program is not there, or does not do what it should."""


class Row(NamedTuple):
    """All live blocks of one stack and domain."""

    domain: int
    size: int  # of all of them
    count: int
    frames: _Frames  # most recent first, at most the snapshot's traceback_limit
    total_nframe: int  # before that limit
    user: _Frame  # the line of the program's own code that `allocline top` would name

    def trace(self, size: int) -> Tuple[Any, ...]:
        """A raw trace, as tracemalloc's own filters and traces take it."""
        raw = (self.domain, size, self.frames)
        return raw + (self.total_nframe,) if _HAS_TOTAL_NFRAME else raw


def _find_program() -> str:
    told = os.environ.get("ALLOCLINE_PROGRAM")
    if told and os.access(told, os.X_OK):
        return told
    candidates = [os.path.join(directory, "allocline") for directory in os.get_exec_path()]
    try:  # beside the tracer
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
            libraries = {line.split(None, 5)[5].rstrip("\n") for line in maps if line.endswith("/liballocline.so\n")}
        for library in libraries:
            lib = os.path.dirname(library)
            candidates += [os.path.join(lib, up, "bin/allocline") for up in ("..", "../..")]
    except OSError:
        pass
    for candidate in candidates:
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    raise Error("a snapshot is read by the program `allocline`, which is neither $ALLOCLINE_PROGRAM, nor in PATH, nor "
                "beside liballocline.so; the recording can be read where it is installed: allocline top %s"
                % os.fsdecode(_tracer.recording_path() or b"RECORDING"))


def _read_document(spec: str) -> Dict[str, Any]:
    """What `allocline top SPEC --stacks` prints, docs/json.md: "every stack, once"."""
    program = _find_program()
    environment = {"LC_ALL": "C.UTF-8", "PATH": os.environ.get("PATH", "/usr/bin:/bin")}
    try:
        import json
        import subprocess

        run = subprocess.run([program, "top", "--stacks", "--", spec], env=environment, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    except (ImportError, RuntimeError) as error:
        if not sys.is_finalizing():
            raise
        # In a __del__() that the interpreter calls at its end, it imports nothing more, and since 3.12 makes no process.
        raise Error("a snapshot cannot be read any more while the interpreter ends: ask for its statistics before, or "
                    "read the recording: allocline top '%s'" % spec) from error
    if run.returncode != 0 and not run.stdout:
        raise Error("%s: %s" % (program, run.stderr.decode("utf-8", "replace").strip() or
                                "ended with %d" % run.returncode))
    document = json.loads(run.stdout)
    if document.get("schema") != "allocline.stacks/1":
        raise Error("%s is of another version: its stacks are %s" % (program, document.get("schema")))
    return document


def _rows_of(document: Dict[str, Any], limit: int, native: bool) -> List[Row]:
    frames = document["frames"]
    names: List[_Frame] = [(frame["file"] or frame["name"], frame["line"] or 0) for frame in frames]
    is_python = [frame.get("python", False) for frame in frames]
    stacks: List[List[int]] = document["stacks"]

    # Stacks of one Python line differ in native frames only, so most of the tuples made here are equal: keep one.
    kept: Dict[_Frames, _Frames] = {}
    rows = []
    for stack, domain, size, count in document["blocks"]:
        python: List[_Frame] = []
        all_frames: List[_Frame] = []
        node = stack
        while node != 0:
            node, frame, _ = stacks[node]
            all_frames.append(names[frame])
            if is_python[frame]:
                python.append(names[frame])
        chosen = all_frames if native or not python else python
        limited = tuple(chosen[:limit]) or (_UNKNOWN,)
        user_stack = stacks[stack][2]
        rows.append(Row(_DOMAIN_OF_RECORDED.get(domain, domain), size, count, kept.setdefault(limited, limited),
                        len(chosen), names[stacks[user_stack][1]] if user_stack else limited[0]))
    return rows


class _BlockTraces(tracemalloc._Traces):  # type: ignore[name-defined]
    """The traces of a recorded snapshot, one per live block, made when they are looked at."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = [row for row in rows if row.count > 0]
        self._ends = list(itertools.accumulate(row.count for row in self._rows))

    @property
    def _traces(self) -> List[Tuple[Any, ...]]:
        return list(self._raw_traces())

    def _raw_traces(self) -> Iterator[Tuple[Any, ...]]:
        for row in self._rows:
            share, more = divmod(row.size, row.count)  # `more` blocks are a byte larger
            if more:
                yield from itertools.repeat(row.trace(share + 1), more)
            yield from itertools.repeat(row.trace(share), row.count - more)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[tracemalloc.Trace]:
        return map(tracemalloc.Trace, self._raw_traces())

    @overload
    def __getitem__(self, index: int) -> tracemalloc.Trace: ...

    @overload
    def __getitem__(self, index: slice) -> Tuple[tracemalloc.Trace, ...]: ...

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError("trace index out of range")
        at = bisect.bisect_right(self._ends, index)
        row = self._rows[at]
        share, more = divmod(row.size, row.count)
        return tracemalloc.Trace(row.trace(share + (index - (self._ends[at] - row.count) < more)))

    def __contains__(self, trace: Any) -> bool:
        return any(raw == trace._trace for raw in self._raw_traces())

    def __eq__(self, other: object) -> Any:
        if isinstance(other, _BlockTraces):
            return self._rows == other._rows
        if isinstance(other, tracemalloc._Traces):  # type: ignore[attr-defined]
            return self._traces == list(other._traces)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]


class Source:
    """The rows of a recorded snapshot, read once, when they are first needed. Iterates as raw traces."""

    def __init__(self, spec: str, limit: int, native: bool = False) -> None:
        self._spec: Optional[str] = spec  # what `allocline top` is to read; None when it has
        self._limit = limit
        self._native = native
        self._rows: List[Row] = []
        self._profile: Dict[str, Any] = {}

    def read(self) -> Tuple[List[Row], Dict[str, Any]]:
        """The rows, and what is said of the process. Threads: two may read at once; that costs time only."""
        with unseen:
            spec = self._spec
            if spec is not None:
                document = _read_document(spec)
                self._rows, self._profile = _rows_of(document, self._limit, self._native), document["profile"]
                self._spec = None
            return self._rows, self._profile

    def __len__(self) -> int:
        return len(_BlockTraces(self.read()[0]))

    def __iter__(self) -> Iterator[Tuple[Any, ...]]:
        return _BlockTraces(self.read()[0])._raw_traces()


class Snapshot(tracemalloc.Snapshot):
    """tracemalloc.Snapshot, of what the tracer has recorded; made by take_snapshot() or read().

    traceback_limit: the number of frames kept of each stack.
    profile:         what the report of `allocline top --json` says of the process: memory, mode, notes (docs/json.md).
                     {} for a snapshot made of raw traces.
    rows:            the snapshot's Row objects; None for one made of raw traces.

    Rows are read when they are first needed; Error if that cannot be. Threads: as any object of Python's own, one at a
    time.
    """

    def __init__(self, traces: Union[Sequence[Tuple[Any, ...]], Source], traceback_limit: int) -> None:
        self._source: Optional[Source] = None
        self._rows: Optional[List[Row]] = None
        self._profile: Dict[str, Any] = {}
        if isinstance(traces, Source):
            self._source = traces
            self.traceback_limit = traceback_limit
        else:
            super().__init__(traces, traceback_limit)

    @staticmethod
    def read(recording: str, label: Optional[str] = None, traceback_limit: int = MAX_FRAMES,
             native: bool = False) -> "Snapshot":
        """A snapshot out of a recording (its path, or the number of a running traced process): of `label`, of the peak
        for the label "peak", or of the end. With `native`, stacks hold the frames of C and C++ between those of Python.
        This needs no tracer in the process."""
        source = Source(recording if label is None else "%s@%s" % (recording, label), traceback_limit, native)
        source.read()
        return Snapshot(source, traceback_limit)

    def _read(self) -> None:
        if self._source is not None:
            self._rows, self._profile = self._source.read()
            self._source = None

    @property
    def rows(self) -> Optional[List[Row]]:
        self._read()
        return self._rows

    @property
    def profile(self) -> Dict[str, Any]:
        self._read()
        return self._profile

    @property
    def traces(self) -> Any:
        rows = self.rows
        if rows is None:
            return self._given_traces
        with unseen:
            return _BlockTraces(rows)

    @traces.setter
    def traces(self, given: Any) -> None:  # by tracemalloc.Snapshot.__init__()
        self._given_traces = given

    def __getstate__(self) -> Dict[str, Any]:
        self._read()
        return self.__dict__

    def dump(self, filename: Any) -> None:
        """Writes the snapshot into a file, for load(). tracemalloc alone can load it where this package is installed."""
        with unseen:
            super().dump(filename)

    @staticmethod
    def load(filename: Any) -> Any:
        """The snapshot that dump() wrote into a file: this module's, or tracemalloc's."""
        with unseen:
            return tracemalloc.Snapshot.load(filename)

    def filter_traces(self, filters: Iterable) -> "Snapshot":
        """A new snapshot of what the filters keep: any of the inclusive ones, if there are some, and all exclusive ones."""
        rows = self.rows
        with unseen:
            if rows is None:
                filtered = super().filter_traces(filters)
                return Snapshot(filtered.traces._traces, self.traceback_limit)  # type: ignore[attr-defined]
            if not isinstance(filters, Iterable):
                raise TypeError("filters must be a list of filters, not %s" % type(filters).__name__)
            filters = list(filters)
            include = [each for each in filters if each.inclusive]
            exclude = [each for each in filters if not each.inclusive]
            result = Snapshot([], self.traceback_limit)
            result._profile = self._profile
            result._rows = [row for row in rows
                            if self._filter_trace(include, exclude, row.trace(row.size))]  # type: ignore[attr-defined]
            return result

    def _group_by(self, key_type: str, cumulative: bool) -> Dict[tracemalloc.Traceback, tracemalloc.Statistic]:
        rows = self.rows
        if rows is None:
            return super()._group_by(key_type, cumulative)  # type: ignore[misc]
        if key_type not in ("traceback", "filename", "lineno", "user"):
            raise ValueError("unknown key_type: %r" % (key_type,))
        if cumulative and key_type not in ("lineno", "filename"):
            raise ValueError("cumulative mode cannot by used with key type %r" % key_type)

        sums: Dict[_Frames, List[int]] = {}
        for row in rows:
            if cumulative:
                keys: Iterable[_Frames] = [((name, 0 if key_type == "filename" else line),)
                                           for name, line in row.frames]
            elif key_type == "traceback":
                keys = (row.frames,)
            elif key_type == "lineno":
                keys = (row.frames[:1],)
            elif key_type == "filename":
                keys = (((row.frames[0][0], 0),),)
            else:
                keys = ((row.user,),)
            for key in keys:
                total = sums.setdefault(key, [0, 0])
                total[0] += row.size
                total[1] += row.count
        groups = {}
        for frames, (size, count) in sums.items():
            traceback = tracemalloc.Traceback(frames)
            groups[traceback] = tracemalloc.Statistic(traceback, size, count)
        return groups

    def statistics(self, key_type: str, cumulative: bool = False) -> List[tracemalloc.Statistic]:
        """The snapshot's statistics, largest first, grouped by "lineno", "filename" or "traceback" as in tracemalloc, or
        by "user": the line of the program's own code that `allocline top` would name."""
        with unseen:
            return super().statistics(key_type, cumulative)

    def compare_to(self, old_snapshot: tracemalloc.Snapshot, key_type: str,
                   cumulative: bool = False) -> List[tracemalloc.StatisticDiff]:
        """What differs from an older snapshot, the largest difference first, grouped as by statistics()."""
        with unseen:
            return super().compare_to(old_snapshot, key_type, cumulative)


def take(limit: int) -> Source:
    """Keeps what is live now in the recording; Error if there is no room."""
    with unseen:
        assert _tracer.table is not None
        label = "take_snapshot %d" % time.monotonic_ns()  # a name of its own, also beside other interpreters' snapshots
        error = _tracer.table.take_snapshot(label.encode(), _tracer.ROWS_NOT_GIVEN)
        if error != 0:
            raise Error("no snapshot could be taken: %s" % os.strerror(error))
        recording = os.fsdecode(_tracer.recording_path()) or str(os.getpid())
        return Source("%s@%s" % (recording, label), limit)
