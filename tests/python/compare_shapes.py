"""Compares what two profilers say of allocation_shapes.py: compare_shapes.py TRACEMALLOC.json ALLOCLINE.json

Prints each line that differs and a summary; exit code 1 if the two do not agree: every line that holds above 10 kB in
either must hold the same within 0.1 % in bytes and blocks in both, and native memory must be on its line beside that.

Since 3.14 integers come out of a free list: one that died on some line and was taken up by another is the latter's to
tracemalloc, and stays the former's to us. So lines may differ there by integers, if none is missing in their sum.
"""
import json
import sys

MOST_APART = 0.001
LEAST_BYTES = 10000
INTEGER_BYTES = 32 if sys.version_info >= (3, 14) else 0  # of one of 30 to 60 bits, rounded up; 0: not out of a free list


def apart(one, other):
    return abs(one - other) / max(one, other, 1)


def main():
    (expected, found) = [json.load(open(name)) for name in sys.argv[1:]]
    compared = 0
    failures = []
    moved = []  # counts of integers
    ours, theirs = dict(found["lines"]), dict(expected["lines"])
    for line, size in found["native"].items():
        held, blocks = ours.get(line, [0, 0])
        missed, _ = theirs.get(line, [0, 0])
        if missed >= size:
            failures.append("%s: tracemalloc saw the native memory too: nothing is tested here" % line)
        if not size <= held - missed <= size * 1.01:
            failures.append("%s: of %d B of native memory %d B are shown" % (line, size, held - missed))
        ours.pop(line, None)
        theirs.pop(line, None)
        compared += 1
    for line in sorted(set(ours) | set(theirs)):
        (size, count), (their_size, their_count) = ours.get(line, [0, 0]), theirs.get(line, [0, 0])
        if max(size, their_size) < LEAST_BYTES:
            continue
        compared += 1
        if INTEGER_BYTES and count != their_count and size - their_size == (count - their_count) * INTEGER_BYTES:
            moved.append(count - their_count)
        elif apart(size, their_size) > MOST_APART or apart(count, their_count) > MOST_APART:
            failures.append("%s: allocline %d B in %d, tracemalloc %d B in %d" % (line, size, count, their_size, their_count))
    if abs(sum(moved)) > MOST_APART * sum(map(abs, moved)):
        failures.append("of integers, on %d lines, %d more are with allocline" % (len(moved), sum(moved)))
    print("%d lines compared, %d differ%s" % (compared, len(failures), ", %d by integers" % len(moved) if moved else ""))
    for failure in failures:
        print(failure)
    sys.exit(1 if failures or compared < 20 else 0)


if __name__ == "__main__":
    main()
