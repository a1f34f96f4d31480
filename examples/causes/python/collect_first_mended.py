"""collect_first.py, mended: each ticket is sent when it is read, and each page checkpointed before the next is fetched.
Its memory is one ticket's, and a run that dies resumes at the last page."""
import sys

from connector_kit import Connector, Logging as log, Operations as op, mark_memory
from support_desk import connect, make_database, page_after


def update(configuration, state):
    database = connect(configuration)
    cursor = state.get("cursor", 0)

    sent = 0
    while True:
        page_start = cursor
        for row in page_after(database, cursor):
            op.upsert("tickets", dict(row))
            cursor = row["id"]
            sent += 1
        if cursor == page_start:
            break
        state["cursor"] = cursor
        op.checkpoint(state)
        mark_memory("page", rows=sent)
    log.info("sent %d tickets" % sent)


if __name__ == "__main__":
    sys.exit(Connector(update, make_database).run(sys.argv))
