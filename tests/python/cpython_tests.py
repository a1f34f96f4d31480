"""CPython's own tests of tracemalloc, with `import allocline as tracemalloc` in place of `import tracemalloc`.

Runs under `allocline run --start-stopped`: the tests begin and end tracing themselves. Each test that is left out is
printed with the reason; one that is named here and does not exist in this version of Python is not an error.
"""
import fnmatch
import sys
import unittest

import allocline

CANNOT_APPLY = {
    "TestCommandLine.*": "they start interpreters that trace by CPython's own -X tracemalloc and PYTHONTRACEMALLOC",
    "TestCAPI.*": "PyTraceMalloc_Track() speaks to CPython's _tracemalloc; a pool is told to allocline by track()",
    "TestTracemallocEnabled.test_new_reference":
        "an object out of a free list is not allocated anew: allocline shows who allocated its memory",
}


def import_with_substitute():
    real = sys.modules["tracemalloc"]
    sys.modules["tracemalloc"] = allocline
    try:
        from test import test_tracemalloc
    finally:
        sys.modules["tracemalloc"] = real
    assert test_tracemalloc.tracemalloc is allocline
    return test_tracemalloc


def without_what_cannot_apply(suite):
    kept = []
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            kept.append(without_what_cannot_apply(item))
            continue
        name = ".".join(item.id().split(".")[-2:])
        reason = next((why for pattern, why in CANNOT_APPLY.items() if fnmatch.fnmatch(name, pattern)), None)
        if reason is None:
            kept.append(item)
        else:
            print("cannot apply: %s: %s" % (name, reason))
    return unittest.TestSuite(kept)


def run_deep(suite, frames):
    """Below as many frames as CPython's own runner has: test_snapshot counts on more than ten."""
    if frames > 0:
        return run_deep(suite, frames - 1)
    return unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)


def main():
    module = import_with_substitute()
    suite = without_what_cannot_apply(unittest.defaultTestLoader.loadTestsFromModule(module))
    sys.stdout.flush()
    result = run_deep(suite, 20)
    # A module that was emptied by a change in CPython must not pass for a success.
    sys.exit(0 if result.wasSuccessful() and result.testsRun >= 25 else 1)


if __name__ == "__main__":
    main()
