"""Holds memory of known sizes, each on a line of its own, and ends while it does.

`#= N` stands on the line of the user's that holds N bytes (and what a list or an object takes beside them, below 4000),
`#< N` on one that is the innermost line of Python for them, too.
"""
import ctypes
import dataclasses
import json
import os
import sys
import threading

# The table of interned strings grows now, and not on a line of interest.
keep = [sys.intern("name %d" % i) for i in range(100000)]
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]

on_one_line = lambda n: bytes(n)  #< 100000


def plain(n):
    return bytes(n)  #< 110000


def over_lines(n):
    return [
        bytes(n),  #< 120000
        bytes(  #< 240000
            2 * n),
        max(bytes(3 * n),  #< 360000
            b"")]


def generator(n):
    yield bytes(n)  #< 140000
    try:
        yield bytes(n)  #< 140000
    finally:
        keep.append(bytes(n))  #< 140000


def recursion(depth, n):
    if depth > 0:
        return recursion(depth - 1, n)
    return bytearray(n)  #< 150000


class Holder:
    held = bytes(160000)  #< 160000

    def __init__(self, n):
        self.mine = bytes(n)  #< 170000

    def __enter__(self):
        self.entered = bytes(180000)  #< 180000
        return self

    def __exit__(self, *why):
        self.left = bytes(190000)  #< 190000


@dataclasses.dataclass
class Row:
    payload: bytes


def in_library():
    text = json.dumps("x" * 200000)
    keep.append(json.loads(text))  #= 200000
    del text
    keep.append(Row(bytes(210000)))  #< 210000


def native():
    keep.append(libc.malloc(220000))  #= 220000


def in_thread():
    keep.append(bytes(230000))  #< 230000


def after_many_lines():
    unused = 0




























































































































































    keep.append(bytes(240000))  #< 240000
    return unused


executed = compile("def made(n):\n  return bytes(n)\n", "made/up.py", "exec")


def main():
    keep.append(on_one_line(100000))
    keep.append(plain(110000))
    keep.append(over_lines(120000))
    keep.extend(generator(140000))
    keep.append(recursion(300, 150000))
    with Holder(170000) as holder:
        keep.append(holder)
    in_library()
    native()
    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    after_many_lines()
    keep.append([bytes(n) for n in (250000, 250001)])  #< 500001
    keep.append(list(map(lambda n: bytes(n), (260000, ))))  #< 260000
    names = {}
    exec(executed, names)
    keep.append(names["made"](270000))


main()
os._exit(0)
