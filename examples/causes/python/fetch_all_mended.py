"""fetch_all.py, mended: the same query, whose result is fetched and sent in batches."""
import sys

from connector_kit import Connector, Logging as log, Operations as op, mark_memory
from support_desk import COLUMNS, connect, make_database

QUERY = "SELECT %s FROM tickets WHERE id > ? ORDER BY id" % COLUMNS
BATCH_ROWS = 200


def update(configuration, state):
    cursor = connect(configuration).cursor()
    cursor.execute(QUERY, (state.get("cursor", 0),))
    sent = 0
    while True:
        rows = cursor.fetchmany(BATCH_ROWS)
        if not rows:
            break
        for row in rows:
            op.upsert("tickets", dict(row))
        sent += len(rows)
        state["cursor"] = rows[-1]["id"]
        op.checkpoint(state)
        mark_memory("batch", rows=sent)
    log.info("sent %d tickets" % sent)


if __name__ == "__main__":
    sys.exit(Connector(update, make_database).run(sys.argv))
