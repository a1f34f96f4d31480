"""The same in Python, with multiprocessing: `workers.py TRUTH`; ends with SIGKILL for all."""
import multiprocessing
import os
import signal
import sys

SHARED, COLLECTED, SIZE = 1000, 100, 10000


def tell(path, line, blocks):
    with open(path, "a") as truth:
        truth.write(f"{line} {blocks * sys.getsizeof(bytes(SIZE))}\n")


def fill(places):
    for i in range(len(places)):
        places[i] = bytes(SIZE)


def collect(places):
    for i in range(len(places)):
        places[i] = bytes(SIZE)


def work(number, ready, path):
    places = [None] * (number * COLLECTED)
    collect(places)
    tell(path, "collect", len(places))
    ready.put(number)
    while True:
        signal.pause()


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    shared = [None] * SHARED
    fill(shared)
    tell(sys.argv[1], "fill", len(shared))
    ready = multiprocessing.Queue()
    workers = [multiprocessing.Process(target=work, args=(number + 1, ready, sys.argv[1])) for number in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        ready.get()
    for worker in workers:
        os.kill(worker.pid, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
