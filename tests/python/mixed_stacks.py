"""Takes native memory from within Python code called from C called from Python: what stands where in the stack?"""
import ctypes
import os
import re
import signal
import sys
import threading

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]


def leaf(size):
    return libc.malloc(size)


class Holder:
    def __init__(self, size):
        self.block = leaf(size)


def numbers(size):
    yield Holder(size)


def by_key(size):
    for holder in numbers(size):
        keep.append(holder)
    return size


def replacement(match):
    sorted([7_000_001], key=by_key)
    return match.group(0)


def nested():
    re.sub("b", replacement, "abc")


def in_thread():
    leaf(7_000_003)


def deep(n):
    return leaf(7_000_005) if n == 0 else deep(n - 1)


keep = []
nested()
thread = threading.Thread(target=in_thread)
thread.start()
thread.join()
deep(50)
exec(compile("\n\nleaf(7_000_007)\n", "<exec'd>", "exec"))
print(len(keep), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
