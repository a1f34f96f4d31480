"""The package without a tracer: what needs none, and what it says where one is missing."""
import os
import pickle
import random
import subprocess
import sys
import tempfile
import tracemalloc
import unittest

import allocline
from allocline import _snapshot

TOTAL = (sys.version_info >= (3, 9))


def raw(domain, size, frames):
    return (domain, size, frames, len(frames)) if TOTAL else (domain, size, frames)


def random_rows(dice, count):
    files = ["a.py", "b.py", "lib/c.py", "d.pyc"]
    rows = {}
    for _ in range(count):
        frames = tuple((dice.choice(files), dice.randrange(1, 4)) for _ in range(dice.randrange(1, 5)))
        blocks = dice.randrange(1, 6)
        size = dice.choice([0, blocks, 24 * blocks, 24 * blocks + dice.randrange(blocks), dice.randrange(10**6)])
        domain = dice.randrange(3)
        rows[domain, frames] = allocline.Row(domain, size, blocks, frames, len(frames), frames[0])
    return list(rows.values())


def snapshot_of(rows):
    snapshot = allocline.Snapshot([], 5)
    snapshot._rows = rows
    return snapshot


def block_by_block(rows):
    """The same blocks as tracemalloc itself would hold them."""
    traces = []
    for row in rows:
        sizes = [row.size // row.count] * row.count
        for i in range(row.size - sum(sizes)):
            sizes[i] += 1
        traces += [raw(row.domain, size, row.frames) for size in sizes]
    return tracemalloc.Snapshot(traces, 5)


class WithoutTracer(unittest.TestCase):
    def test_has_every_public_name_of_tracemalloc(self):
        names = {name for name, value in vars(tracemalloc).items()
                 if not name.startswith("_") and getattr(value, "__module__", "").endswith("tracemalloc")}
        self.assertIn("take_snapshot", names)
        self.assertEqual(names - set(dir(allocline)), set())
        self.assertEqual(names - set(allocline.__all__), set())

    def test_labels_and_figures_do_nothing(self):
        self.assertFalse(allocline.is_tracing())
        self.assertFalse(allocline.checkpoint("after fetch", rows=3))
        self.assertFalse(allocline.log_memory_usage("after fetch"))
        self.assertFalse(allocline.log_top("after fetch"))
        self.assertFalse(allocline.track(16, 4096, 100))
        self.assertEqual(allocline.get_traced_memory(), (0, 0))
        self.assertEqual(allocline.get_tracemalloc_memory(), 0)
        self.assertEqual(allocline.recording_path(), "")
        self.assertIsNone(allocline.get_object_traceback(object()))
        allocline.stop()
        allocline.clear_traces()
        allocline.reset_peak()

    def test_what_needs_a_tracer_says_how_to_get_one(self):
        for call in allocline.start, allocline.take_snapshot:
            with self.assertRaisesRegex(allocline.NotTracedError, "allocline run -- python3"):
                call()
        self.assertTrue(issubclass(allocline.NotTracedError, RuntimeError))

    def test_a_recording_that_is_missing_is_named(self):
        with self.assertRaisesRegex(allocline.Error, "/nonexistent.allocline"):
            allocline.Snapshot.read("/nonexistent.allocline")

    def test_a_missing_program_is_an_error_that_says_where_it_was_looked_for(self):
        code = "import allocline; allocline.Snapshot.read('x.allocline')"
        run = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE,
                             env={"PYTHONPATH": os.environ["PYTHONPATH"], "PATH": "/nonexistent"})
        self.assertEqual(run.returncode, 1)
        self.assertIn(b"neither $ALLOCLINE_PROGRAM, nor in PATH, nor beside liballocline.so", run.stderr)


class Statistics(unittest.TestCase):
    """Rows that carry counts give what tracemalloc gives for the blocks one by one."""

    def setUp(self):
        seed = random.randrange(10**6)
        print("seed", seed, file=sys.stderr)
        dice = random.Random(seed)
        self.old, self.new = random_rows(dice, 40), random_rows(dice, 40)

    def check_all(self, ours, theirs):
        for key in "lineno", "filename", "traceback":
            for cumulative in (False, True) if key != "traceback" else (False,):
                self.assertEqual([(str(each), repr(each)) for each in ours.statistics(key, cumulative)],
                                 [(str(each), repr(each)) for each in theirs.statistics(key, cumulative)])

    def test_statistics(self):
        self.check_all(snapshot_of(self.new), block_by_block(self.new))

    def test_differences_also_from_tracemallocs_own_snapshots(self):
        for key in "lineno", "filename", "traceback":
            expected = [repr(each) for each in block_by_block(self.new).compare_to(block_by_block(self.old), key)]
            for old in snapshot_of(self.old), block_by_block(self.old):
                self.assertEqual([repr(each) for each in snapshot_of(self.new).compare_to(old, key)], expected)

    def test_filters(self):
        sets = [[], [allocline.Filter(True, "a.py"), allocline.Filter(True, "*c.py", 2)],
                [allocline.Filter(False, "a.py", all_frames=True)], [allocline.Filter(False, "b.py", domain=1)],
                [allocline.DomainFilter(True, 2)], (allocline.DomainFilter(False, 0), allocline.Filter(True, "d.py"))]
        for filters in sets:
            ours, theirs = snapshot_of(self.new), block_by_block(self.new)
            self.check_all(ours.filter_traces(filters), theirs.filter_traces(filters))
            self.check_all(ours, theirs)  # is left as it was
        with self.assertRaisesRegex(TypeError, "filters must be a list of filters, not Filter"):
            snapshot_of(self.new).filter_traces(allocline.Filter(True, "a.py"))

    def test_bad_keys_are_refused_in_tracemallocs_words(self):
        for call in (lambda s: s.statistics("line"), lambda s: s.statistics("traceback", True)):
            with self.assertRaises(ValueError) as expected:
                call(block_by_block(self.new))
            with self.assertRaises(ValueError) as found:
                call(snapshot_of(self.new))
            self.assertEqual(str(found.exception), str(expected.exception))

    def test_there_is_a_trace_per_block(self):
        ours, theirs = snapshot_of(self.new).traces, block_by_block(self.new).traces
        self.assertEqual(len(ours), len(theirs))
        self.assertEqual(list(ours), list(theirs))
        self.assertEqual([ours[i] for i in range(len(ours))], list(theirs))
        self.assertEqual(ours[-2], theirs[-2])
        self.assertEqual(ours[3:9:2], theirs[3:9:2])
        self.assertIn(theirs[5], ours)
        self.assertEqual(ours, theirs)
        self.assertEqual(repr(ours), repr(theirs))
        self.assertEqual(sum(trace.size for trace in ours), sum(row.size for row in self.new))
        with self.assertRaises(IndexError):
            ours[len(ours)]

    def test_a_file_keeps_it_with_the_attributes_a_program_gave_it(self):
        snapshot = snapshot_of(self.new)
        snapshot.note = "nightly run"
        with tempfile.TemporaryDirectory() as directory:
            snapshot.dump(os.path.join(directory, "s"))
            again = allocline.Snapshot.load(os.path.join(directory, "s"))
        self.assertEqual(again.note, "nightly run")
        self.assertEqual(again.traces, snapshot.traces)
        self.assertEqual(pickle.loads(pickle.dumps(snapshot)).rows, snapshot.rows)

    def test_rows_without_blocks_do_not_count_as_blocks(self):
        row = self.new[0]._replace(size=-5, count=0)  # as reported where a recording was full
        self.assertEqual(len(snapshot_of([row]).traces), 0)


class Documents(unittest.TestCase):
    """What `allocline top --stacks` prints, as rows."""

    DOCUMENT = {
        "frames": [{"name": "main [python3.11]", "file": None, "line": None, "python": False},
                   {"name": "connector.py", "file": "connector.py", "line": 7, "python": True},
                   {"name": "json/decoder.py", "file": "json/decoder.py", "line": 3, "python": True},
                   {"name": "parse.c", "file": "parse.c", "line": 40, "python": False}],
        "stacks": [[0, None, 0], [0, 0, 1], [1, 1, 2], [2, 2, 2], [3, 3, 2], [0, 3, 0]],
        "blocks": [[1, 0, 10, 1], [2, 2, 100, 2], [4, 0, 300, 3], [5, 1, 4096, 1], [3, 16, 8, 1], [0, 0, 5, 1]],
    }

    def test_python_frames_stand_for_native_blocks_under_them(self):
        rows = _snapshot._rows_of(self.DOCUMENT, 10, native=False)
        self.assertEqual([row.frames for row in rows], [
            (("main [python3.11]", 0),),
            (("connector.py", 7),),
            (("json/decoder.py", 3), ("connector.py", 7)),
            (("parse.c", 40),),
            (("json/decoder.py", 3), ("connector.py", 7)),
            (("<unknown>", 0),),
        ])
        self.assertEqual([row.domain for row in rows],
                         [allocline.MALLOC_DOMAIN, allocline.PYTHON_DOMAIN, allocline.MALLOC_DOMAIN,
                          allocline.MMAP_DOMAIN, 16, allocline.MALLOC_DOMAIN])
        self.assertEqual([row.user for row in rows], [("main [python3.11]", 0), ("connector.py", 7), ("connector.py", 7),
                                                      ("parse.c", 40), ("connector.py", 7), ("<unknown>", 0)])

    def test_native_frames_stand_between_them_if_asked_for(self):
        row = _snapshot._rows_of(self.DOCUMENT, 10, native=True)[2]
        self.assertEqual(row.frames, (("parse.c", 40), ("json/decoder.py", 3), ("connector.py", 7),
                                      ("main [python3.11]", 0)))

    def test_the_limit_keeps_the_most_recent_frames_and_how_many_there_were(self):
        row = _snapshot._rows_of(self.DOCUMENT, 1, native=False)[2]
        self.assertEqual((row.frames, row.total_nframe), ((("json/decoder.py", 3),), 2))


if __name__ == "__main__":
    unittest.main()
