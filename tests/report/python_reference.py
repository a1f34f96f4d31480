"""What CPython's own tracemalloc answers for made-up traces: the reference of tracemalloc_differential_test.cc.

Reads commands from stdin, one per line, fields separated by tabs, and prints the answers:

  snapshot                                     begins a new snapshot; traces that follow belong to it
  trace DOMAIN SIZE FILE LINE [FILE LINE ...]  frames most recent first
  statistics INDEX KEY CUMULATIVE              str() and repr() of every statistic of snapshot INDEX
  compare NEW OLD KEY CUMULATIVE
  filter INDEX (INCLUSIVE PATTERN LINE ALL_FRAMES DOMAIN)*   a new snapshot; "-" stands for None; PATTERN "-" is a
                                               DomainFilter
  fnmatch PATTERN TEXT
  size BYTES                                   an int or a float
  format INDEX LIMIT MOST_RECENT_FIRST         Traceback.format() of every trace
"""
import fnmatch
import sys
import tracemalloc

sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")

snapshots = []


def number(text):
    return None if text == "-" else int(text)


def show(statistics):
    for statistic in statistics:
        print(str(statistic))
        print(repr(statistic))


def make_filters(fields):
    filters = []
    for inclusive, pattern, line, all_frames, domain in zip(*[iter(fields)] * 5):
        if pattern == "-":
            filters.append(tracemalloc.DomainFilter(inclusive == "1", number(domain)))
        else:
            filters.append(tracemalloc.Filter(inclusive == "1", pattern, number(line), all_frames == "1",
                                              number(domain)))
    return filters


for row in sys.stdin:
    command, *fields = row.rstrip("\n").split("\t")
    if command == "snapshot":
        snapshots.append(tracemalloc.Snapshot([], 64))
        traces = []
    elif command == "trace":
        frames = tuple((fields[i], int(fields[i + 1])) for i in range(2, len(fields), 2))
        traces.append((int(fields[0]), int(fields[1]), frames, len(frames)))
        snapshots[-1] = tracemalloc.Snapshot(traces, 64)
    elif command == "statistics":
        show(snapshots[int(fields[0])].statistics(fields[1], fields[2] == "1"))
    elif command == "compare":
        show(snapshots[int(fields[0])].compare_to(snapshots[int(fields[1])], fields[2], fields[3] == "1"))
    elif command == "filter":
        snapshots.append(snapshots[int(fields[0])].filter_traces(make_filters(fields[1:])))
    elif command == "fnmatch":
        print(fnmatch.fnmatchcase(fields[1], fields[0]))
    elif command == "size":
        size = float(fields[0]) if "." in fields[0] else int(fields[0])
        print(tracemalloc._format_size(size, False))
        print(tracemalloc._format_size(size, True))
    elif command == "format":
        for trace in snapshots[int(fields[0])].traces:
            print("\n".join(trace.traceback.format(number(fields[1]), fields[2] == "1")))
    else:
        sys.exit("unknown command: " + command)
