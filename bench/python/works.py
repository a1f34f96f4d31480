"""What Python programs do all day, as a benchmark: works.py WORK [TRACEMALLOC_FRAMES]

Prints the CPU seconds the work took, start-up apart, and a figure that tells that it was done.
"""
import json
import sys
import time


def rows():
    """Rows of dicts, kept, as a connector that collects everything does."""
    kept = []
    for i in range(200000):
        kept.append({"id": i, "name": "row %d" % i, "value": i * 1.5, "tags": [i, i + 1]})
    return len(kept)


def json_():
    document = [{"id": i, "name": "row %d" % i, "values": [i * 0.5, i * 0.25], "ok": True} for i in range(4000)]
    return sum(len(json.loads(json.dumps(document))) for _ in range(15))


def words():
    text = " ".join("word%d stop%d" % (i % 5000, i % 37) for i in range(40000))
    total = 0
    for _ in range(12):
        counts = {}
        for word in text.split():
            counts[word] = counts.get(word, 0) + 1
        total += len(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    return total


def leaf(i, depth):
    if depth:
        return leaf(i, depth - 1)
    out = []
    for k in range(6):
        out.append(str(i + k))
        out.append((i, k))
        out.append([k])
    return out


def recursion():
    """Allocations under forty frames."""
    return sum(len(leaf(i, 40)) for i in range(30000))


def pandas():
    import io
    import random

    import pandas as pd

    random.seed(1)
    lines = ["%d,%f,name%d" % (random.randrange(1000), random.random(), i % 5000) for i in range(300000)]
    text = "k,v,w\n" + "\n".join(lines)
    begin = time.process_time()
    for _ in range(3):
        frame = pd.read_csv(io.StringIO(text))
        groups = len(frame.groupby("k").agg({"v": ["mean", "sum"]})) + len(frame.groupby("w")["v"].sum())
    return groups, time.process_time() - begin


WORKS = {"rows": rows, "json": json_, "words": words, "recursion": recursion, "pandas": pandas}

if __name__ == "__main__":
    if len(sys.argv) > 2:
        import tracemalloc

        tracemalloc.start(int(sys.argv[2]))
    start = time.process_time()
    result = WORKS[sys.argv[1]]()
    seconds = time.process_time() - start
    if isinstance(result, tuple):
        result, seconds = result
    print("%.4f %d" % (seconds, result))
