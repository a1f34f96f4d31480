#!/usr/bin/env python3
"""Counts what the tracer executes, by valgrind --tool=callgrind: a figure that no other program on the machine disturbs.

  bench/count_instructions.py BUILD pairs DEPTH one|256|4096    per malloc+free pair: pair_loop's batches 21 to 40
  bench/count_instructions.py BUILD PROGRAM [ARGUMENT]...   per event, that is per malloc or free; stdin is passed on

Prints instructions by part of the tracer and by function. A part is a set of source files: an inlined line counts for
the file it stands in, and the lines of the atomics' headers for the file that stands around them. BUILD is a build
directory; its tracer has debug information.
"""
import collections
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

PARTS = [
    ("the hooks, forwarding", r"preload\w*\.cc|next_\w+\.(h|cc)"),
    ("comparing, guessing the stack", r"stack_predictor\.h|unwind_cfi\.h"),
    ("unwinding changed frames", r"unwind_\w+\.cc|cfi_\w+\.(h|cc)|readable_stack\.h"),
    ("nodes and sites", r"path_table\.h|site_table\.(h|cc)|module_list\.(h|cc)"),
    ("the pointer map", r"pointer_map\.h|regions\.h|shadow_map\.h"),
    ("the gate, the mode, control flow", r"tracer\.(h|cc)|thread_state\.(h|cc)"),
    ("counters and the live total", r"thread_counters\.h|base/atomic\.h"),
]
IN_TRACER_CC = re.compile(r"::(NodeOfPath|ChildOf|TakeStack|SiteOfStack)\(")  # functions of another part than their file's
HELPERS = re.compile(r"atomic_base\.h|/atomic$")


def part_of(path):
    for name, pattern in PARTS:
        if re.search(r"(^|/)(" + pattern + r")$", path):
            return name
    return "the rest"


def costs(callgrind_file):
    """(object, function, part) -> instructions. The format: callgrind-format.html of valgrind's manual."""
    names = collections.defaultdict(dict)

    def name(kind, text):
        number, _, spelled = text.partition(" ")
        if spelled:
            names[kind][number] = spelled
        return names[kind][number]

    instructions = []  # (address, object, function, file, count)
    here = {"ob": "", "fn": "", "fl": ""}
    address, inclusive = 0, False
    for line in open(callgrind_file, errors="replace"):
        line = line.rstrip("\n")
        if line[:1] in "0123456789+-*" and line:
            fields = line.split()
            if fields[0][0] in "+-":
                address += int(fields[0], 0)
            elif fields[0] != "*":
                address = int(fields[0], 16)
            if not inclusive and len(fields) > 2:
                instructions.append((address, here["ob"], here["fn"], here["fl"], int(fields[2])))
            inclusive = False
        elif "=" in line:
            key, _, value = line.partition("=")
            kind = {"fi": "fl", "fe": "fl", "cob": "ob", "cfn": "fn", "cfi": "fl", "cfl": "fl"}.get(key, key)
            if key == "calls":
                inclusive = True  # the next line is the callee's
            elif kind in here:
                spelled = name(kind, value)
                if not key.startswith("c"):
                    here[kind] = spelled
    result = collections.Counter()
    around = {}
    for address, obj, function, file, count in sorted(instructions):
        if HELPERS.search(file):
            file = around.get((obj, function), file)
        else:
            around[(obj, function)] = file
        part = "nodes and sites" if IN_TRACER_CC.search(function) and file.endswith("tracer.cc") else part_of(file)
        result[(obj, function, part)] += count
    return result


def run(build, command, directory, stdin=None):
    out = os.path.join(directory, "callgrind")
    environment = dict(os.environ, LD_PRELOAD=f"{build}/lib/liballocline.so", ALLOCLINE_OUTPUT=directory)
    try:
        ended = subprocess.run(["valgrind", "--tool=callgrind", "--dump-instr=yes", f"--callgrind-out-file={out}"] + command,
                               env=environment, stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    except FileNotFoundError:
        sys.exit("count_instructions: valgrind is not installed")
    if ended.returncode != 0:
        sys.exit(f"count_instructions: {' '.join(command)} ended with {ended.returncode}: {ended.stderr[-1000:]}")
    return costs(out)


def events_in(build, directory):
    most = 0
    for recording in glob.glob(f"{directory}/*.allocline"):  # valgrind itself leaves one, too
        info = subprocess.run([f"{build}/bin/allocline", "info", "--json", recording], check=True, capture_output=True)
        events = json.loads(info.stdout)["events"]
        most = max(most, events["allocated_blocks"] + events["freed_blocks"])
    return most


def print_table(result, divisor, unit):
    ours = {key: count for key, count in result.items() if "liballocline" in key[0]}
    total, tracer = sum(result.values()), sum(ours.values())
    print(f"{tracer / divisor:8.1f}  of the tracer per {unit}; {(total - tracer) / divisor:.1f} of the program and its "
          f"libraries, allocator included")
    for title, which in (("by part", 2), ("by function", 1)):
        print(f"\n{title}:")
        sums = collections.Counter()
        for key, count in ours.items():
            sums[key[which]] += count
        for name, count in sums.most_common():
            if count / divisor >= 0.5:
                print(f"{count / divisor:8.1f}  {re.sub(r'allocline::', '', name)[:100]}")


def main(arguments):
    if len(arguments) < 2:
        sys.exit(__doc__)
    build, command = os.path.abspath(arguments[0]), arguments[1:]
    with tempfile.TemporaryDirectory(prefix="allocline-count.") as directory:
        if command[0] == "pairs":
            results = [run(build, [f"{build}/bin/pair_loop", command[1], "1", command[2], batches], directory)
                       for batches in ("20", "40")]
            results[1].subtract(results[0])
            print_table(results[1], 20 * 1000, "malloc+free pair")
        else:
            result = run(build, command, directory, stdin=sys.stdin)
            print_table(result, events_in(build, directory), "malloc or free")


if __name__ == "__main__":
    main(sys.argv[1:])
