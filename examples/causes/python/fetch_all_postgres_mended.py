"""fetch_all_postgres.py, mended: a cursor with a name is one of the server's, which sends so many rows at a time."""
import sys

import psycopg2

from connector_kit import Connector, Logging as log, Operations as op, mark_memory
from support_desk import make_nothing

QUERY = "SELECT id, customer_id, subject, body FROM tickets WHERE id > %s ORDER BY id"
BATCH_ROWS = 200


def update(configuration, state):
    cursor = psycopg2.connect(configuration["postgres"]).cursor("tickets")
    cursor.execute(QUERY, (state.get("cursor", 0),))
    sent = 0
    while True:
        rows = cursor.fetchmany(BATCH_ROWS)
        if not rows:
            break
        for id_, customer, subject, body in rows:
            op.upsert("tickets", {"id": id_, "customer": customer, "subject": subject, "body": body})
        sent += len(rows)
        state["cursor"] = rows[-1][0]
        op.checkpoint(state)
        mark_memory("batch", rows=sent)
    log.info("sent %d tickets" % sent)


if __name__ == "__main__":
    sys.exit(Connector(update, make_nothing).run(sys.argv))
