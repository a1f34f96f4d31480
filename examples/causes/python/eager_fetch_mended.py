"""eager_fetch.py, mended: the threads put pages into a queue that has room for a few, and wait while it is full."""
import queue
import sys
import threading

from connector_kit import Connector, Logging as log, Operations as op, mark_memory
from support_desk import PAGE_ROWS, connect, make_database, page_after

THREADS = 6
WAITING_PAGES = 4


class Fetchers:
    """Threads that fetch pages, no further ahead than WAITING_PAGES and the one that each of them works on."""

    def __init__(self, configuration, cursors):
        self._configuration = configuration
        self._cursors = iter(cursors)
        self._next = threading.Lock()
        self._pages = queue.Queue(maxsize=WAITING_PAGES)
        for _ in range(THREADS):
            threading.Thread(target=self._fetch, daemon=True).start()

    def pages(self):
        """In the order of their arrival. An error of a thread is raised here."""
        running = THREADS
        while running > 0:
            page = self._pages.get()
            if isinstance(page, Exception):
                raise page
            if page is None:
                running -= 1
            else:
                yield page

    def _fetch(self):
        try:
            database = connect(self._configuration)
            while True:
                with self._next:
                    cursor = next(self._cursors, None)
                if cursor is None:
                    break
                self._pages.put([dict(row) for row in page_after(database, cursor)])
            database.close()
            self._pages.put(None)
        except Exception as error:  # for the thread that waits for the page
            self._pages.put(error)


def update(configuration, state):
    last = connect(configuration).execute("SELECT max(id) FROM tickets").fetchone()[0]
    sent = 0
    for page in Fetchers(configuration, range(0, last, PAGE_ROWS)).pages():
        for row in page:
            op.upsert("tickets", row)
            sent += 1
        mark_memory("page", rows=sent)
    op.checkpoint(state)
    log.info("sent %d tickets" % sent)


if __name__ == "__main__":
    sys.exit(Connector(update, make_database).run(sys.argv))
