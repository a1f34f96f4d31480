"""A connector kit in miniature, with the shape of a Connector SDK: what the author of a data connector works with.

A connector is one function, update(configuration, state): it reads its source from where `state` says the last run
stopped, sends rows by op.upsert(), and says by op.checkpoint() how far it came. It may also yield its operations, as
connectors for older kits do. Everything meant for the destination leaves as one JSON object per line on stdout; the
state outlives the process in a file.

Threads: everything here is called from update(), on the thread that runs it.
"""
import inspect
import json
import os
import sys
import tempfile

try:
    from allocline import checkpoint as mark_memory
except ImportError:  # not run by `allocline run`, and not installed: the connector works all the same

    def mark_memory(label, rows=None):
        """Nothing: there is no allocline."""


class Operations:
    """What a connector sends. Each call has taken effect when it returns."""

    _state_path = None  # None: this run keeps no state

    @staticmethod
    def upsert(table, data):
        """Sends one row: the destination inserts it, or replaces the row with the same key."""
        _print_line({"type": "upsert", "table": table, "data": data})

    @staticmethod
    def checkpoint(state):
        """Everything sent so far may be made durable; the next run begins with this state."""
        _print_line({"type": "checkpoint", "state": state})
        sys.stdout.flush()
        if Operations._state_path is None:
            return
        # Written beside and renamed: a run that dies here leaves the old state or the new one, never half of one.
        fresh_path = Operations._state_path + ".new"
        with open(fresh_path, "w", encoding="utf-8") as file:
            json.dump(state, file)
        os.replace(fresh_path, Operations._state_path)


class Logging:
    """Messages for whoever runs the connector."""

    @staticmethod
    def info(message):
        _print_line({"type": "log", "level": "info", "message": message})

    @staticmethod
    def warning(message):
        _print_line({"type": "log", "level": "warning", "message": message})

    @staticmethod
    def severe(message):
        _print_line({"type": "log", "level": "severe", "message": message})


class Connector:
    """A connector and its main program: PROGRAM [CONFIGURATION.json [STATE.json]].

    Without a configuration it reads a source of its own, made for the run: make_source(directory) makes it there and
    gives the configuration. A missing state file is a first run.
    """

    def __init__(self, update, make_source):
        self._update = update
        self._make_source = make_source

    def run(self, arguments):
        """Gives the exit code: 0, or 1 after a line at level "severe" that says why, or 2 for wrong usage."""
        if len(arguments) > 3:
            print("usage: %s [CONFIGURATION.json [STATE.json]]" % arguments[0], file=sys.stderr)
            return 2
        try:
            if len(arguments) > 1:
                with open(arguments[1], encoding="utf-8") as file:
                    configuration = json.load(file)
                self._sync(configuration, arguments[2] if len(arguments) > 2 else None)
            else:
                with tempfile.TemporaryDirectory(prefix="source-") as directory:
                    self._sync(self._make_source(directory), None)
            sys.stdout.flush()
            return 0
        except Exception as error:
            Logging.severe("%s: %s" % (type(error).__name__, error))
            return 1

    def _sync(self, configuration, state_path):
        Operations._state_path = state_path
        state = {}
        if state_path is not None and os.path.exists(state_path):
            with open(state_path, encoding="utf-8") as file:
                state = json.load(file)
        Logging.info("sync started")
        result = self._update(configuration, state)
        if inspect.isgenerator(result):
            for _ in result:  # what it yields has been done by then
                pass
        Logging.info("sync finished")


def _print_line(line):
    sys.stdout.write(json.dumps(line) + "\n")
