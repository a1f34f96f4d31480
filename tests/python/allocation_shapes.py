"""Thirteen ways a program of Python comes to hold memory, and what a profiler says who holds it.

    allocation_shapes.py MODULE FRAMES

MODULE is tracemalloc, or one with its API. Prints one JSON object: `lines`, from "FILE:LINE" to [bytes, blocks] of the
lines that hold something; `native`, from lines to the bytes that their extensions took from malloc; `shapes`, the line
of each.

Everything is imported before tracing begins, so what is allocated after it does not depend on the profiler. And free
lists are emptied where one line would fill them for another: tracemalloc charges an object out of a free list to the line
that takes it, allocline to the line for which its memory was allocated.
"""
import asyncio
import concurrent.futures
import ctypes
import gc
import importlib
import json
import os
import sys
import threading
import zlib

profiler = importlib.import_module(sys.argv[1])
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
kept = {}
native = {}


def empty_free_lists():
    gc.collect()


def rows():
    kept["rows"] = [{"id": i + 1000, "name": "customer %d" % i, "tags": ["a%d" % i, i * 1.5]} for i in range(3000)]


def big_bytes():
    kept["big bytes"] = [bytes(500000 + i) for i in range(5)]


def byte_arrays():
    kept["bytearray"] = array = bytearray()
    for i in range(3000):
        array += b"0123456789" * 10
    kept["more"] = [bytearray(700) for i in range(100)]


def sets():
    kept["set"] = set(range(100000, 140000))


def generators():
    def produce(n):
        for i in range(n):
            yield "item number %d" % i

    kept["generator"] = list(produce(5000))
    kept["suspended"] = [produce(i) for i in range(500)]
    for each in kept["suspended"]:
        next(each, None)


def parsed_json():
    text = json.dumps([{"key": i * 1000, "text": "value %d" % i, "list": [i + 0.5] * 3} for i in range(2000)])
    empty_free_lists()
    kept["json"] = json.loads(text)


def compressed_in_a_thread():
    def work():
        objects = [zlib.compressobj(level=9) for _ in range(4)]  # each holds 256 KiB
        kept["compressed"] = [each.compress(os.urandom(300000)) + each.flush() for each in objects]
        kept["compressors"] = objects

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


class Instance:
    def __init__(self, number):
        self.number = number * 1000
        self.name = "instance %d" % number


class Slotted:
    __slots__ = ("number", "children")

    def __init__(self, number):
        self.number = number + 100000
        self.children = [None] * 5


def instances():
    kept["instances"] = [Instance(i) for i in range(2000)]
    kept["slotted"] = [Slotted(i) for i in range(2000)]


def executed_code():
    made = [compile("def make(n):\n    return [str(i) * 10 for i in range(n)]\n", "<made %d>" % i, "exec")
            for i in range(80)]
    empty_free_lists()
    for i, code in enumerate(made):
        names = {}
        exec(code, names)
        kept["exec %d" % i] = (names, names["make"](1000))


def often_called():
    """Up to 3.10 a function gets a cache at its 1025th call, before its first instruction."""
    made = [compile("def hot(n):\n    return [%s]\n" % ", ".join(["len"] * 150), "<hot>", "exec") for i in range(20)]
    empty_free_lists()
    for i, code in enumerate(made):
        names = {}
        exec(code, names)
        hot = names["hot"]
        for n in range(1100):
            hot(n)
        kept["hot %d" % i] = names


def recursive(depth):
    here = [bytes(2000 + depth)]
    if depth > 0:
        here.append(recursive(depth - 1))
    return here


def recursion():
    kept["recursion"] = recursive(200)


def tasks():
    async def fetch(number):
        parts = []
        for i in range(5):
            await asyncio.sleep(0)
            parts.append(b"part %d of %d" % (i, number) * 100)
        return parts

    async def main():
        kept["tasks"] = await asyncio.gather(*[fetch(i) for i in range(60)])

    asyncio.run(main())


def ctypes_malloc():
    for i in range(100):
        libc.malloc(4000); line = sys._getframe().f_lineno
    native["%s:%d" % (sys._getframe().f_code.co_filename, line)] = 400000


SHAPES = [rows, big_bytes, byte_arrays, sets, generators, parsed_json, compressed_in_a_thread, instances, executed_code,
          often_called, recursion, tasks, ctypes_malloc]


def main():
    # Once for what is made on first use: caches of types, of the event loop, of code.
    for shape in SHAPES:
        shape()
    kept.clear()
    native.clear()
    empty_free_lists()
    profiler.start(int(sys.argv[2]))
    for shape in SHAPES:
        empty_free_lists()
        shape()
    empty_free_lists()
    snapshot = profiler.take_snapshot()
    profiler.stop()
    lines = {}
    for each in snapshot.statistics("lineno"):
        lines[str(each.traceback[0])] = [each.size, each.count]
    print(json.dumps({"lines": lines, "native": native, "shapes": [shape.__name__ for shape in SHAPES]}))


if __name__ == "__main__":
    main()
