"""Fetches with several threads, as fast as they can: nothing tells them to wait for the rows to be sent, so what they
have fetched piles up in the results of a pool that was given all pages to fetch."""
import concurrent.futures
import sys

from connector_kit import Connector, Logging as log, Operations as op, mark_memory
from support_desk import PAGE_ROWS, connect, make_database, page_after

THREADS = 6


def fetch_page(configuration, cursor):
    database = connect(configuration)
    rows = [dict(row) for row in page_after(database, cursor)]  # <- pages wait here for their turn, all of them
    database.close()
    return rows


def update(configuration, state):
    last = connect(configuration).execute("SELECT max(id) FROM tickets").fetchone()[0]
    sent = 0
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        pages = [pool.submit(fetch_page, configuration, cursor) for cursor in range(0, last, PAGE_ROWS)]
        for page in pages:
            for row in page.result():
                op.upsert("tickets", row)
                sent += 1
            mark_memory("page", rows=sent)
    op.checkpoint(state)
    log.info("sent %d tickets" % sent)


if __name__ == "__main__":
    sys.exit(Connector(update, make_database).run(sys.argv))
