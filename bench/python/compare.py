#!/usr/bin/env python3
"""What does tracing cost a Python program, beside tracemalloc? compare.py LIBALLOCLINE.so [PYTHON [ROUNDS]]

Each round runs each work of works.py untraced, under the tracer and under tracemalloc with 25 frames, one after the
other. Prints medians of the ratios of CPU time within a round, so that what else the machine does falls on all alike,
and which of the ratios are what is asked of the tracer.
"""
import os
import statistics
import subprocess
import sys
import tempfile

ASKED = {"rows": 1.25, "json": 1.35, "words": 1.5, "recursion": 1.4, "pandas": 1.2}  # at most
HERE = os.path.dirname(os.path.abspath(__file__))


def run(python, work, library=None, frames=None):
    """(CPU seconds, result), or None where the work cannot be done here."""
    command = [python, os.path.join(HERE, "works.py"), work] + ([str(frames)] if frames else [])
    with tempfile.TemporaryDirectory() as directory:
        environment = dict(os.environ)
        if library:
            environment.update(LD_PRELOAD=library, ALLOCLINE_OUTPUT=directory)
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        return None
    seconds, result = done.stdout.split()
    return float(seconds), result


def main():
    library = os.path.abspath(sys.argv[1])
    python = sys.argv[2] if len(sys.argv) > 2 else sys.executable
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    version = subprocess.check_output([python, "--version"]).decode().strip()
    print("%s, medians of %d rounds" % (version, rounds))
    print("%-10s %9s %10s %16s   %s" % ("", "untraced", "allocline", "tracemalloc(25)", "asked"))
    for work, asked in ASKED.items():
        if run(python, work) is None:
            print("%-10s skipped: it cannot be run with this Python" % work)
            continue
        plain, ours, theirs = [], [], []
        for _ in range(rounds):
            base = run(python, work)
            traced = run(python, work, library=library)
            other = run(python, work, frames=25)
            if not base[1] == traced[1] == other[1]:
                sys.exit("%s: the results differ" % work)
            plain.append(base[0])
            ours.append(traced[0] / base[0])
            theirs.append(other[0] / base[0])
        ratio = statistics.median(ours)
        print("%-10s %7.3f s %9.2fx %15.2fx   at most %.2fx: %s" % (work, min(plain), ratio, statistics.median(theirs),
                                                                    asked, "met" if ratio <= asked else "NOT MET"),
              flush=True)


if __name__ == "__main__":
    main()
