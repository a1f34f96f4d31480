"""Collects all data before it sends the first row: its memory grows with the table, and nothing in it looks wrong."""
import sys

from connector_kit import Connector, Logging as log, Operations as op, mark_memory
from support_desk import connect, make_database, page_after


def update(configuration, state):
    database = connect(configuration)
    cursor = state.get("cursor", 0)

    tickets = []
    while True:
        fetched = len(tickets)
        tickets.extend(dict(row) for row in page_after(database, cursor))  # <- keeps all until the last page is in
        if len(tickets) == fetched:
            break
        cursor = tickets[-1]["id"]
        mark_memory("page", rows=len(tickets))
    log.info("fetched %d tickets" % len(tickets))

    for ticket in tickets:
        op.upsert("tickets", ticket)
    state["cursor"] = cursor
    op.checkpoint(state)


if __name__ == "__main__":
    sys.exit(Connector(update, make_database).run(sys.argv))
