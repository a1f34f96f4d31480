"""fetch_all.py over PostgreSQL: the driver has the whole result in native memory when execute() returns, and fetchall()
makes objects of it besides."""
import sys

import psycopg2

from connector_kit import Connector, Logging as log, Operations as op
from support_desk import make_nothing

QUERY = "SELECT id, customer_id, subject, body FROM tickets WHERE id > %s ORDER BY id"


def update(configuration, state):
    cursor = psycopg2.connect(configuration["postgres"]).cursor()
    cursor.execute(QUERY, (state.get("cursor", 0),))  # <- the whole result comes to the client
    rows = cursor.fetchall()
    log.info("fetched %d tickets" % len(rows))

    for id_, customer, subject, body in rows:
        op.upsert("tickets", {"id": id_, "customer": customer, "subject": subject, "body": body})
        state["cursor"] = id_
    op.checkpoint(state)


if __name__ == "__main__":
    sys.exit(Connector(update, make_nothing).run(sys.argv))
