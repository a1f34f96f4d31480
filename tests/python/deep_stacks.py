"""Recurses DEPTH frames down twice, holding a block at each, and native memory at the bottom of the second; dies there."""
import ctypes
import os
import signal
import sys
import threading

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]


def hold(size):
    libc.malloc(size)
    print("at the bottom", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def bottom(last):
    if last:
        sorted([7_000_001], key=hold)


def dive(n, last):
    block = bytes(600)
    return dive(n - 1, last) if n > 1 else bottom(last)


def both(depth):
    dive(depth, False)
    dive(depth, True)


depth = int(sys.argv[1])
sys.setrecursionlimit(depth + 1000)
threading.stack_size(256 << 20)
thread = threading.Thread(target=both, args=(depth,))
thread.start()
thread.join()
