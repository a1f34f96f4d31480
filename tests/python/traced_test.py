"""The package in a process that runs under `allocline run`."""
import ctypes
import faulthandler
import gc
import os
import subprocess
import sys
import threading
import tracemalloc as stdlib
import unittest

import allocline

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]

HERE = os.path.abspath(__file__)


def line_here(delta=0):
    return sys._getframe(1).f_lineno + delta


def sums(snapshot, line):
    """(size, count) of this file's line `line`."""
    found = [each for each in snapshot.statistics("lineno")
             if each.traceback[0].lineno == line and os.path.abspath(each.traceback[0].filename) == HERE]
    return (found[0].size, found[0].count) if found else (0, 0)


class Snapshots(unittest.TestCase):
    def test_objects_and_native_blocks_are_on_their_lines(self):
        before = allocline.take_snapshot()
        kept = [bytes(1000) for _ in range(200)]; objects = line_here()
        native = [libc.malloc(5000) for _ in range(100)]; blocks = line_here()
        after = allocline.take_snapshot()
        size, count = sums(after, objects)
        self.assertGreaterEqual(size, 200 * 1000)
        self.assertLess(size, 200 * 1100)
        self.assertGreaterEqual(count, 200)
        size, count = sums(after, blocks)
        self.assertGreaterEqual(size, 500000)
        self.assertLess(size, 510000)
        self.assertGreaterEqual(count, 100)
        self.assertEqual(sums(before, objects), (0, 0))
        difference = after.compare_to(before, "lineno")[0]
        self.assertEqual(difference.traceback[0].lineno, blocks)
        self.assertIn(allocline.PYTHON_DOMAIN, {row.domain for row in after.rows})
        native_only = after.filter_traces([allocline.DomainFilter(True, allocline.MALLOC_DOMAIN)])
        self.assertEqual(sums(native_only, blocks)[0], 500000)
        for block in native:
            libc.free(block)
        del kept

    def test_rows_are_those_of_the_moment_however_late_they_are_read(self):
        kept = bytes(3000000); line = line_here()
        snapshot = allocline.take_snapshot()
        del kept
        late = allocline.take_snapshot()
        self.assertGreaterEqual(sums(snapshot, line)[0], 3000000)
        self.assertEqual(sums(late, line), (0, 0))

    def test_the_package_itself_is_not_seen(self):
        warm = allocline.take_snapshot()
        warm.statistics("lineno")
        before = allocline.take_snapshot()
        kept = []
        for _ in range(5):
            snapshot = allocline.take_snapshot()
            kept.append((snapshot, snapshot.statistics("traceback"), snapshot.compare_to(before, "lineno")))
        after = allocline.take_snapshot()
        package = os.path.dirname(allocline.__file__)
        # What statistics() returned is tens of thousands of objects.
        grown = sum(max(0, each.size_diff) for each in after.compare_to(before, "lineno")
                    if each.traceback[0].filename.startswith((package, stdlib.__file__)))
        self.assertLess(grown, 10000)

    def test_stacks_hold_callers_and_users_lines(self):
        def inner():
            return bytes(700000)

        kept = inner(); caller = line_here()
        statistic = next(each for each in allocline.take_snapshot().statistics("traceback") if each.size >= 700000)
        self.assertEqual([(os.path.abspath(frame.filename), frame.lineno) for frame in statistic.traceback][-2:],
                         [(HERE, caller), (HERE, inner.__code__.co_firstlineno + 1)])
        self.assertIn("return bytes(700000)", statistic.traceback.format()[-1])
        text = "[" + ",".join(["1.5"] * 50000) + "]"
        import json
        parsed = json.loads(text); here = line_here()
        user = {(os.path.abspath(each.traceback[0].filename), each.traceback[0].lineno): each
                for each in allocline.take_snapshot().statistics("user")}
        self.assertGreater(user[HERE, here].size, 50000 * 24)
        del kept, parsed

    def test_a_label_is_for_others_to_read(self):
        kept = bytearray(2000000); line = line_here()
        self.assertTrue(allocline.checkpoint("with an array", rows=41))
        del kept
        labelled = allocline.Snapshot.read(allocline.recording_path() or str(os.getpid()), "with an array")
        self.assertGreaterEqual(sums(labelled, line)[0], 2000000)
        self.assertEqual(labelled.profile["rows"], 41)
        with self.assertRaises(ValueError):
            allocline.checkpoint("negative", rows=-1)

    def test_labels_may_be_any_text_and_none(self):
        labels = 'say "it",\nthen\tgo', "\U0001f600 \x1b[2J", "with\0nul", "\ud800", "", None, "x" * 10240
        for rows, label in enumerate(labels):
            self.assertTrue(allocline.checkpoint(label, rows=rows), label)
        recording = allocline.recording_path() or str(os.getpid())
        for rows, label in (0, labels[0]), (1, labels[1]), (2, "with nul"), (5, ""), (6, labels[6]):
            self.assertEqual(allocline.Snapshot.read(recording, label).profile["rows"], rows, label)

    def test_native_frames_are_there_if_asked_for(self):
        block = libc.malloc(345678); line = line_here()
        allocline.checkpoint("native")
        mixed = allocline.Snapshot.read(allocline.recording_path() or str(os.getpid()), "native", native=True)
        frames = next(row.frames for row in mixed.rows if row.size == 345678)
        python = [i for i, (file, number) in enumerate(frames) if os.path.abspath(file) == HERE and number == line]
        self.assertEqual(len(python), 1)
        self.assertGreater(python[0], 0)  # ctypes and libffi, further in
        libc.free(block)

    def test_threads_may_take_snapshots_at_once(self):
        found = []

        def work(number):
            kept = [bytes(1000 + number) for _ in range(300)]
            found.append(len(allocline.take_snapshot().traces))
            del kept

        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(found), 4)
        self.assertGreater(min(found), 300)

    def test_a_forked_child_has_its_own(self):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                kept = bytes(4000000); line = line_here()
                size, count = sums(allocline.take_snapshot(), line)
                os.write(writer, b"%d" % (4000000 <= size < 4001000 and 1 <= count <= 3))
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as answer:
            self.assertEqual(answer.read(), b"1")
        os.waitpid(child, 0)

    def test_while_the_interpreter_ends_an_error_says_so(self):
        program = "\n".join(["import allocline", "class Last:", "  def __del__(self, allocline=allocline):",
                             "    try: allocline.take_snapshot().statistics('lineno')",
                             "    except allocline.Error as error: print(error)", "last = Last()"])
        child = subprocess.run([sys.executable, "-B", "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               universal_newlines=True)
        self.assertRegex(child.stdout, "^a snapshot cannot be read any more while the interpreter ends: .*\n$")
        self.assertNotRegex(child.stderr, "Exception ignored|Traceback")

    def test_children_are_not_disturbed_by_reading(self):
        child = subprocess.Popen(["sleep", "0.3"])
        allocline.take_snapshot().statistics("lineno")
        self.assertEqual(child.wait(), 0)


class Plain:
    pass


class WithWeakReferences:
    __slots__ = ("__weakref__", "name")


class Objects(unittest.TestCase):
    def test_every_kind_of_object_knows_its_line(self):
        gc.collect()  # empties the free lists: an object out of one is at the line its memory was allocated for
        made = [bytes(5000), 10**50, 1.5 * len(HERE), [1, 2, HERE], {"a": HERE}, {HERE}, (HERE, HERE + "x"), Plain(),
                WithWeakReferences(), lambda: HERE, (each for each in HERE), HERE + "y"]; line = line_here(-1)
        for each in made:
            traceback = allocline.get_object_traceback(each)
            self.assertIsNotNone(traceback, type(each))
            self.assertIn((os.path.abspath(traceback[-1].filename), traceback[-1].lineno),
                          [(HERE, line), (HERE, line + 1)], type(each))
        self.assertGreater(len(traceback), 5)

    def test_there_is_no_limit_but_that_of_start(self):
        def nested(depth):
            return nested(depth - 1) if depth else bytes(901)
        call = line_here(-1)

        def lines_of(block):
            return [(os.path.abspath(frame.filename), frame.lineno) for frame in allocline.get_object_traceback(block)]

        lines = lines_of(nested(200))
        self.assertEqual(lines[-201:], [(HERE, call)] * 201)
        self.assertNotEqual(lines[-202], (HERE, call))
        allocline.stop()
        try:
            for limit in 64, 65, 150:
                allocline.start(limit)
                self.assertEqual(lines_of(nested(200)), [(HERE, call)] * limit)
                allocline.stop()
        finally:
            allocline.start(65535)

    def test_names_of_files_that_are_no_text_are_as_in_tracemalloc(self):
        for name in "\udcff\ud800.py", "a\nb.py", "/" + "d" * 2000 + "/\u20ac\U0001f40d.py":
            made = {}
            exec(compile("made = bytes(902)", name, "exec"), made)
            self.assertEqual(allocline.get_object_traceback(made["made"])[-1].filename, name)

    def test_an_object_out_of_a_free_list_has_the_line_of_its_memory_or_none(self):
        kept = [1.5 * each for each in range(50)]
        del kept
        allocline.clear_traces()
        self.assertIsNone(allocline.get_object_traceback(2.5 * len(HERE)))

    def test_there_is_none_of_objects_that_are_older_or_not_traced(self):
        allocline.clear_traces()
        for each in None, sys, unittest.TestCase, "a constant", 5, HERE:
            self.assertIsNone(allocline.get_object_traceback(each), repr(each))

    def test_the_limit_of_start_holds(self):
        def nested():
            return bytes(900)

        allocline.stop()
        allocline.start(2)
        try:
            self.assertEqual(len(allocline.get_object_traceback(nested())), 2)
        finally:
            allocline.stop()
            allocline.start(65535)


class Figures(unittest.TestCase):
    def test_traced_memory_follows_native_blocks(self):
        allocline.reset_peak()
        before, _ = allocline.get_traced_memory()
        block = libc.malloc(10000000)
        during, peak = allocline.get_traced_memory()
        libc.free(block)
        after, still = allocline.get_traced_memory()
        self.assertLess(abs(during - before - 10000000), 20000)
        self.assertGreaterEqual(peak, during)
        self.assertLess(abs(after - before), 20000)
        self.assertGreaterEqual(still, peak)
        self.assertLess(still - peak, 1000)  # the tuples and integers of these very questions
        allocline.reset_peak()
        self.assertLess(allocline.get_traced_memory()[1], peak)

    def test_the_tracers_own_memory_is_known(self):
        self.assertGreater(allocline.get_tracemalloc_memory(), 10000)

    def test_a_pool_of_the_programs_own_has_its_domain(self):
        self.assertTrue(allocline.track(77, 0x10000, 123456))
        pools = allocline.take_snapshot().filter_traces([allocline.DomainFilter(True, 77)])
        self.assertEqual([(row.size, row.count) for row in pools.rows], [(123456, 1)])
        self.assertTrue(allocline.untrack(77, 0x10000))
        self.assertFalse(allocline.track(3, 0x10000, 1))


class Switches(unittest.TestCase):
    def tearDown(self):
        allocline.stop()
        allocline.start(100)
        allocline.stop()  # leaves no limit
        self.assertEqual(allocline.get_traceback_limit(), 65535)
        allocline.start(65535)

    def test_start_decides_how_many_frames_are_shown_once(self):
        allocline.stop()
        self.assertFalse(allocline.is_tracing())
        with self.assertRaisesRegex(RuntimeError, "must be tracing memory allocations to take a snapshot"):
            allocline.take_snapshot()
        allocline.start(2)
        allocline.start(5)
        self.assertEqual(allocline.get_traceback_limit(), 2)
        kept = [bytes(500) for _ in range(100)]
        snapshot = allocline.take_snapshot()
        self.assertEqual(snapshot.traceback_limit, 2)
        self.assertEqual(max(len(row.frames) for row in snapshot.rows), 2)
        for wrong in 0, -1, 65536:
            with self.assertRaisesRegex(ValueError, r"the number of frames must be in range \[1; 65535\]"):
                allocline.start(wrong)
        del kept

    def test_stop_forgets_all_blocks_and_keeps_snapshots(self):
        kept = bytes(1500000); line = line_here()
        snapshot = allocline.take_snapshot()
        allocline.stop()
        self.assertEqual(allocline.get_traced_memory(), (0, 0))
        allocline.start()
        self.assertEqual(sums(allocline.take_snapshot(), line), (0, 0))
        self.assertGreaterEqual(sums(snapshot, line)[0], 1500000)
        del kept

    def test_clear_traces_forgets_and_goes_on(self):
        kept = bytes(1500000); line = line_here()
        allocline.clear_traces()
        more = bytes(1600000); later = line_here()
        snapshot = allocline.take_snapshot()
        self.assertEqual(sums(snapshot, line), (0, 0))
        self.assertGreaterEqual(sums(snapshot, later)[0], 1600000)
        del kept, more


if __name__ == "__main__":
    faulthandler.dump_traceback_later(100, exit=True)  # a test that waits for ever says where
    unittest.main()
