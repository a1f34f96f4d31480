"""Recursions that go up and down, over pages and over chunks of the interpreter's stack: whose blocks does a profiler say
they are?

    deep_walks.py MODULE SEED

MODULE is tracemalloc, or one with its API. Prints, sorted, how many blocks of `hold` stand under each stack of lines
of this file.
"""
import collections
import importlib
import os
import random
import sys

profiler = importlib.import_module(sys.argv[1])
random.seed(int(sys.argv[2]))
sys.setrecursionlimit(5000)
kept = []


def hold():
    kept.append(bytearray(4096))


def narrow(depth, plan):
    if depth == 0:
        for _ in range(3):
            hold()
        return
    narrow(depth - 1, plan) if plan[depth % len(plan)] else wide(depth - 1, plan)
    if depth % 37 == 0:
        hold()


def wide(depth, plan):
    one, two, three = depth, plan, kept  # a frame of another size
    if depth == 0:
        hold()
        return
    if two[one % len(two)]:
        narrow(one - 1, two)
    else:
        wide(one - 1, two)
    if one % 53 == 0:
        hold()


def generate(depth, plan):
    yield hold()
    if depth:
        yield from generate(depth - 1, plan)
    narrow(depth % 60, plan)
    yield hold()


def walk():
    for round in range(60):
        of_narrow = random.choice([0, 0.02, 0.5, 0.98, 1])
        plan = [random.random() < of_narrow for _ in range(random.choice([1, 3, 97]))]
        # A chunk has room for some hundred such frames.
        narrow(random.choice([5, 40, 90, 100, 105, 110, 200, 220, 400, 700]), plan)
        if round % 7 == 0:
            collections.deque(generate(50, plan), maxlen=0)


profiler.start(2000)
walk()
stacks = collections.Counter()
for each in profiler.take_snapshot().statistics("traceback"):
    lines = [frame.lineno for frame in each.traceback if os.path.basename(frame.filename) == "deep_walks.py"]
    if lines and lines[-1] == hold.__code__.co_firstlineno + 1:
        stacks[" ".join(map(str, lines))] += each.count
assert len(stacks) > 100 and sum(stacks.values()) >= len(kept)
for stack, count in sorted(stacks.items()):
    print(count, stack)
