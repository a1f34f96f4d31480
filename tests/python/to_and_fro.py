"""Goes to and fro between a stack and one far inside it, and takes native memory first inside: are lines told apart?

Each of `from_here`'s many lines holds as many blocks as it has rounds, `inside` as many as it has made.
"""
import operator
import os
import signal

LINES, VARIANTS, ROUNDS = 300, 40, 3
keep = []


def inside(function, a, b):
    return function(a, b)


def deep(n, function, a, b):
    return inside(function, a, b) if n == 0 else deep(n - 1, function, a, b)


def step(i):
    variant, round = divmod(i, ROUNDS)
    if round == 0:  # setenv() takes from malloc, and nothing from Python
        return 14 + variant, os.putenv, b"TO_AND_FRO", b"v" * (3000 + i)
    return 14 + variant, operator.mul, b"deep", 300


lines = ["def from_here():", " for i in range(%d):" % (VARIANTS * ROUNDS), "  n, function, a, b = step(i)",
         "  keep.append(deep(n, function, a, b))"]
lines += ["  keep.append(b'0123456789' * (i // %d + 50))" % (VARIANTS * ROUNDS)] * LINES
exec(compile("\n".join(lines), "<lines>", "exec"))
from_here()
os.putenv(b"TO_AND_FRO", b"")  # 3.8 keeps the last value as an object
print(len(keep), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
