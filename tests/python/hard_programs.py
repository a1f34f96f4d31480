"""What torture.py leaves out, for it needs ctypes, other processes or odd objects: hard_programs.py NAME [SCALE].

Each prints what must not depend on being watched, and nothing else. SCALE (1) is how many times longer than in a test
it runs. keep() is where a process holds its memory: a line to look for in its recording.
"""

import ctypes
import os
import random
import signal
import sys
import threading

ROWS = 4000


def keep():
    return [("row %d" % i, bytearray(200)) for i in range(ROWS)]  # keeps


def fact(n):
    return 1 if n == 0 else n * fact(n - 1)


def in_threads(*functions):
    failures = []

    def run(function):
        try:
            function()
        except BaseException as failure:  # reported, not lost
            failures.append(repr(failure))

    threads = [threading.Thread(target=run, args=(f,)) for f in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("failures:", failures)


# ---------------------------------------------------------------- code


def odd_code(scale):
    """Line tables that are garbage, absurd numbers and names: nothing of it is looked at before a report is made."""

    def model():
        kept = [object() for _ in range(20)]
        return [bytearray(50 + i) for i in range(len(kept))]

    code = model.__code__
    table = "co_linetable" if sys.version_info >= (3, 10) else "co_lnotab"
    source = random.Random(4)
    ran = 0
    for i in range(60 * scale):
        length = 100000 if i == 3 else source.choice([0, 1, 2, 3, 9, 17, 400])
        garbage = bytes(source.randrange(256) for _ in range(length))
        first = source.choice([0, 1, 2**31 - 1, -1 if sys.version_info >= (3, 13) else 7])
        changes = [
            {table: garbage},
            {table: garbage, "co_firstlineno": first},
            {"co_name": "nul\0in it", "co_filename": "also\0here.py"},
            {"co_name": "\udc80\ud800 alone", "co_filename": "/tmp/\udcff.py"},
            {"co_name": "n" * 100000, "co_filename": "/" + "f" * 100000 + ".py"},
            {"co_name": "", "co_filename": ""},
            {"co_filename": "\U0001f40d\u00e9\x1b[31m.py"},
        ][i % 7]
        function = type(model)(code.replace(**changes), globals())
        ran += len(function())
    print(ran)


# ---------------------------------------------------------------- processes


def times_two(x):
    return 2 * x + len(keep()) * 0


def multiprocessing_of(method):
    def run(scale):
        import multiprocessing

        context = multiprocessing.get_context(method)
        for _ in range(scale):
            with context.Pool(2) as pool:
                print(pool.map(times_two, range(6)))
                pool.close()
                pool.join()

    return run


def exec_other(scale):
    """One interpreter after another in one process: OTHERS are paths, ':' between them."""
    rows = keep()
    others = [path for path in os.environ.get("OTHERS", "").split(":") if path]
    print("exec", len(rows), len(others))
    sys.stdout.flush()
    if others:
        os.environ["OTHERS"] = ":".join(others[1:])
        os.execv(others[0], [others[0]] + sys.argv)


# ---------------------------------------------------------------- interpreters


def interpreters():
    for name in ("_interpreters", "_xxsubinterpreters"):
        try:
            return __import__(name)
        except ImportError:
            pass
    return None


INSIDE = """if True:
    def f(n):
        return [bytearray(30) for _ in range(n)] + (f(n - 1) if n else [])
    import json
    kept = [f(9), json.dumps({"a": [1, 2, {"b": None}]})]
"""


def in_subinterpreter(module, text):
    which = module.create()
    try:
        return module.run_string(which, text)
    finally:
        module.destroy(which)

def subinterpreters_in_threads(scale):
    module = interpreters()
    # Up to 3.11 CPython itself crashes when interpreters are made by several threads at once.
    if module is None or sys.version_info < (3, 12):
        return print("none")

    def run():
        for _ in range(3 * scale):
            in_subinterpreter(module, INSIDE)

    in_threads(run, run, lambda: [fact(80) for _ in range(100 * scale)])


# ---------------------------------------------------------------- frames that are not where they were


def generators_over_threads(scale):
    def numbers(n):
        held = [bytearray(40) for _ in range(n)]
        for i in range(n):
            yield [str(i)] * len(held)
        yield from numbers(n - 1) if n else ()

    waiting = [numbers(i % 8) for i in range(60)]
    lock = threading.Lock()
    total = []

    def goes_on():
        for i in range(300 * scale):
            with lock:  # a generator runs in one thread at a time
                total.append(len(next(waiting[i % len(waiting)], ())))

    in_threads(goes_on, goes_on, goes_on)
    print(sum(total))
    print(len([next(w, None) for w in waiting]))


def greenlets(scale):
    try:
        from greenlet import greenlet
    except ImportError:
        return print("none")
    done = []

    def deep(n, other):
        kept = [str(n)] * 30
        if n:
            deep(n - 1, other)
        elif other:
            other.switch()
        done.append(len(kept))

    for i in range(20 * scale):
        one = greenlet(deep)
        two = greenlet(deep)
        one.switch(20, two)
        two.switch(5, one)
    print(len(done))

def recursion(scale):
    def down(n):
        row = [n, str(n)]
        return down(n + 1) + len(row)

    for _ in range(2 * scale):
        try:
            down(0)
        except RecursionError:
            print("RecursionError", len(keep()))
    print(fact(900) % 1000003)
    sys.setrecursionlimit(30000)
    depths = []

    def counted(n):
        return counted(n - 1) + [str(n)] if n else []

    def run():
        depths.append(len(counted(8000)))

    threading.stack_size(256 << 20)
    in_threads(run)
    print(depths)

# ---------------------------------------------------------------- ends


class Loud:
    def __del__(self):
        self.rows = [str(i) for i in range(100)]

def leaves(scale):
    rows = keep()
    print(len(rows))
    sys.stdout.flush()
    os._exit(3)


def killed(scale):
    rows = keep()
    print(len(rows))
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)


def works_at_exit(scale):
    """Up to 3.8 the interpreter takes no calls from outside any more by then."""
    import atexit

    kept = []

    def work():
        libc = ctypes.CDLL(None)
        libc.malloc.restype = ctypes.c_void_p
        libc.free.argtypes = [ctypes.c_void_p]
        for i in range(200 * scale):
            text = "\n" * i + "kept.append(['row %d' % j for j in range(300)])"
            exec(compile(text, "<at exit %d>" % i, "exec"), {"kept": kept})
            libc.free(libc.malloc(300000))
        print(len(kept), len(keep()))

    atexit.register(work)


def exits_in_a_thread(scale):
    def ends():
        keep()
        sys.exit(4)

    thread = threading.Thread(target=ends)
    thread.start()
    thread.join()
    sys.exit("said at the end")


# ---------------------------------------------------------------- interruptions, and C that calls back


def signals(scale):
    seen = []

    def handler(number, frame):
        seen.append([str(number)] * 3)
        exec("z = [str(i) for i in range(20)]", {})

    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0007, 0.0007)
    count = 0
    while len(seen) < 60 * scale:
        count += len([str(i) for i in range(300)]) + len(str(fact(50))) * 0
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(count % 300, len(seen) >= 60)


def callbacks(scale):
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
    libc = ctypes.CDLL(None)

    def order(a, b):
        return len([a[0], str(b)]) * 0 + a[0] - b[0]

    for _ in range(3 * scale):
        numbers = (ctypes.c_int * 50)(*[(i * 37) % 50 for i in range(50)])
        libc.qsort(numbers, 50, ctypes.sizeof(ctypes.c_int), compare(order))
        assert list(numbers) == list(range(50))
    # Threads that Python did not make: PyGILState_Ensure at each call.
    body = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
    libc.pthread_create.argtypes = [ctypes.c_void_p, ctypes.c_void_p, body, ctypes.c_void_p]
    libc.pthread_join.argtypes = [ctypes.c_ulong, ctypes.c_void_p]
    libc.malloc.restype = ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    done = []

    @body
    def foreign(argument):
        done.append(len(str(fact(40))) > 0)
        libc.free(libc.malloc(5000))
        exec("q = [str(i) for i in range(30)]", {})
        return None

    for _ in range(10 * scale):
        threads = [ctypes.c_ulong() for _ in range(4)]
        for thread in threads:
            assert libc.pthread_create(ctypes.byref(thread), None, foreign, None) == 0
        for thread in threads:
            libc.pthread_join(thread, None)
    print(len(done), all(done), len(keep()))


# ---------------------------------------------------------------- allocators


def traces_itself(scale):
    import tracemalloc

    for i in range(20 * scale):
        tracemalloc.start(1 + i % 5)
        rows = [str(j) for j in range(200)]
        assert tracemalloc.get_traced_memory()[0] > 1000
        tracemalloc.stop()
    rows = [keep() for _ in range(4)]  # the tracer may have to notice that it was put out
    print(len(rows), tracemalloc.is_tracing())


class Allocator(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("context", "malloc", "calloc", "realloc", "free")]


def sets_allocators(scale):
    """All to those of RAW and back again, and what is there set anew."""
    api = ctypes.pythonapi
    mine = [Allocator() for _ in range(3)]
    for domain in range(3):
        api.PyMem_GetAllocator(domain, ctypes.byref(mine[domain]))
    for i in range(20 * scale):
        for domain in range(3):
            api.PyMem_SetAllocator(domain, ctypes.byref(mine[domain]))
        [str(j) for j in range(300)]
    print(len(keep()))


def starts_and_stops(scale):
    import allocline

    def turn(on):
        try:
            allocline.start() if on else allocline.stop()
        except RuntimeError:  # not under the tracer
            pass

    rows = []
    for i in range(10 * scale):
        turn(i % 2)
        rows.append([str(j) for j in range(200)])
        del rows[: i % 3]
        in_one = threading.Thread(target=fact, args=(50,))
        in_one.start()
        in_one.join()
    turn(True)
    print(len(keep()))


def nothing(scale):
    print(len(keep()))


PROGRAMS = {
    name: value
    for name, value in list(globals().items())
    if callable(value) and getattr(value, "__code__", None) and value.__code__.co_varnames[:1] == ("scale",)
}
PROGRAMS.update(("multiprocessing_" + method, multiprocessing_of(method)) for method in ("fork", "spawn", "forkserver"))

if __name__ == "__main__":
    if sys.argv[1] == "list":
        print("\n".join(PROGRAMS))
    else:
        PROGRAMS[sys.argv[1]](int(sys.argv[2]) if len(sys.argv) > 2 else 1)
