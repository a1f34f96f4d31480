"""Does what an interpreter finds hard while a tracer reads its frames: torture.py PART. Prints the same each time.

PART: exec, fork, late_child, subinterpreters, asyncio, garbage, daemons, exit, kill, recursion, generators, hooks, all the rest.
"""
import gc
import os
import sys
import tempfile
import threading
import time

SECONDS = 0.25


def in_threads(count, work):
    errors = []

    def guarded(number):
        try:
            work(number)
        except BaseException as error:  # noqa: whatever it is, the test is to show it
            errors.append(repr(error))

    running = len(os.listdir("/proc/self/task"))
    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # What is joined may still be ending. There it frees memory, and tracemalloc, if the interpreter ends meanwhile, looks
    # the block up in a table that is gone: a crash in one of a hundred runs, untraced too.
    while len(os.listdir("/proc/self/task")) > running:
        time.sleep(0.001)
    print("errors:", errors)


def compile_and_run(number):
    """Code objects that are born, run and die by the hundred, at addresses that are used again."""
    until = time.monotonic() + SECONDS
    i = 0
    while time.monotonic() < until or i < 50:
        space = {}
        text = "def f%d():\n" % i + "\n" * (i % 7) + "    return [str(n) * %d for n in range(9)]\n" % (i % 5 + 1)
        exec(compile(text, "<text %d %d>" % (number, i), "exec"), space)
        assert len(space["f%d" % i]()) == 9
        i += 1


def part_exec():
    in_threads(4, compile_and_run)


def fork_and_count():
    child = os.fork()
    if child == 0:
        blocks = [{"n": i} for i in range(500)]
        exec(compile("rows = [str(i) for i in range(100)]", "<in the child>", "exec"), {})
        os._exit(7 if len(blocks) == 500 else 1)
    _, status = os.waitpid(child, 0)
    return os.WEXITSTATUS(status)


def part_fork():
    # With threads that allocate meanwhile, and hold whatever locks they hold.
    stop = threading.Event()

    def busy(number):
        while not stop.is_set():
            [bytearray(n) for n in range(300)]
            exec(compile("x = [1, 2, %d]" % number, "<busy>", "exec"), {})

    threads = [threading.Thread(target=busy, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    results = {fork_and_count() for _ in range(20)}
    stop.set()
    for thread in threads:
        thread.join()
    print("children:", results)


def part_late_child():
    # lib_atfork_waits.so has children wait, before any other library's handler, for what is written to ATFORK_WAITS_FOR.
    # Meanwhile this process runs more code than what it has run before takes room for.
    directory = tempfile.mkdtemp()
    gate = os.path.join(directory, "gate")
    os.mkfifo(gate)
    os.environ["ATFORK_WAITS_FOR"] = gate
    codes = 0
    for _ in range(4):
        child = os.fork()
        if child == 0:
            keep = [eval("[str(n) for n in range(100)]") for _ in range(50)]
            os._exit(len(keep))
        for _ in range(300):
            codes += 1
            exec(compile("rows = [[n] for n in range(5)]", "<%s %d>" % ("x" * 500, codes), "exec"), {})
        with open(gate, "w") as out:
            out.write("x")
        _, status = os.waitpid(child, 0)
        print(os.WEXITSTATUS(status))
    os.unlink(gate)
    os.rmdir(directory)


def part_subinterpreters():
    try:
        import _xxsubinterpreters as interpreters
    except ImportError:
        try:
            import _interpreters as interpreters
        except ImportError:
            print("none")
            return
    for _ in range(5):
        one = interpreters.create()
        interpreters.run_string(one, "def f(n):\n    return [str(i) for i in range(n)]\nkeep = f(1000)\n")
        interpreters.destroy(one)
    print("done")


def part_asyncio():
    import asyncio

    async def leaf(n):
        await asyncio.sleep(0)
        return [n] * 10

    async def branch(n):
        return sum([len(x) for x in await asyncio.gather(*[leaf(i) for i in range(n)])])

    async def all_of_them():
        return await asyncio.gather(*[branch(20) for _ in range(20)])

    print(sum(asyncio.run(all_of_them())))


def part_garbage():
    class Node:
        def __del__(self):
            self.text = "x" * 100

    for _ in range(50):
        nodes = [Node() for _ in range(20)]
        for a, b in zip(nodes, nodes[1:] + nodes[:1]):
            a.next = b
        del nodes, a, b
        gc.collect()
    print(len([f for f in sys._current_frames()]))


def part_daemons():
    """Daemon threads that run on, or are in native code without the GIL, while the interpreter ends."""
    import zlib

    def forever(number):
        data = bytes(range(256)) * 2000
        while True:
            zlib.compress(data, 9) if number % 2 else [str(i) for i in range(100)]

    for i in range(4):
        threading.Thread(target=forever, args=(i,), daemon=True).start()

    class Last:
        def __del__(self):
            [str(i) for i in range(1000)]

    sys.modules["last"] = Last()
    time.sleep(0.2)
    print("main ends", flush=True)


def part_exit():
    keep = [bytearray(100) for _ in range(1000)]
    print(len(keep), flush=True)
    os._exit(3)


def part_recursion():
    def down(n, keep):
        keep.append([n])
        return 0 if n == 0 else 1 + down(n - 1, keep)

    sys.setrecursionlimit(8000)
    threading.stack_size(256 << 20)
    for depth in (10, 100, 900, 5000):
        in_threads(1, lambda _: print(down(depth, [])))
    try:
        sys.setrecursionlimit(500)
        down(1000, [])
    except RecursionError:
        print("too deep")


def part_generators():
    def numbers(n):
        for i in range(n):
            yield [i]

    def chained(depth):
        source = numbers(300)
        for _ in range(depth):
            source = (x + [1] for x in source)
        return source

    print(sum(len(x) for x in chained(30)))
    started = [numbers(10) for _ in range(100)]
    print(sum(len(next(g)) for _ in range(5) for g in started))
    try:
        g = numbers(3)
        next(g)
        g.throw(ValueError("thrown " * 3))
    except ValueError as error:
        print(error)


def part_hooks():
    """What debuggers and coverage do."""
    counts = [0, 0]

    def tracer(frame, event, arg):
        counts[0] += 1
        return tracer

    def profiler(frame, event, arg):
        counts[1] += 1

    def work():
        return len([str(i) for i in range(100)])

    sys.settrace(tracer)
    work()
    sys.settrace(None)
    sys.setprofile(profiler)
    work()
    sys.setprofile(None)
    print(counts[0] > 0, counts[1] > 0, work())
    import tracemalloc

    tracemalloc.start(5)
    keep = [bytes(1000) for _ in range(100)]
    print(tracemalloc.get_traced_memory()[0] > 100000)
    tracemalloc.stop()
    print(len(keep))


def part_tracemalloc():
    """Tracing goes on while the interpreter ends, on top of whatever was found in place."""
    import time
    import tracemalloc

    rows = [str(i) * 5 for i in range(20000)]
    time.sleep(0.05)  # what runs between two instructions now and then has run
    for _ in range(3):
        tracemalloc.start(3)
        rows += [str(i) * 6 for i in range(2000)]
        tracemalloc.stop()
    tracemalloc.start(3)
    rows += [str(i) * 7 for i in range(2000)]
    print(len(rows), tracemalloc.is_tracing())


def part_kill():
    import signal

    keep = []
    threading.Timer(SECONDS / 2, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
    while True:
        keep.append({"n": len(keep)})
        if len(keep) > 200000:
            keep = []


if __name__ == "__main__":
    globals()["part_" + sys.argv[1]]()
