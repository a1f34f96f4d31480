"""Asks the database for everything at once: fetchall() makes an object of each row of the result before it returns."""
import sys

from connector_kit import Connector, Logging as log, Operations as op
from support_desk import COLUMNS, connect, make_database

QUERY = "SELECT %s FROM tickets WHERE id > ? ORDER BY id" % COLUMNS


def update(configuration, state):
    cursor = connect(configuration).cursor()
    cursor.execute(QUERY, (state.get("cursor", 0),))
    rows = cursor.fetchall()  # <- all rows of the result at once
    log.info("fetched %d tickets" % len(rows))

    for row in rows:
        op.upsert("tickets", dict(row))
        state["cursor"] = row["id"]
    op.checkpoint(state)


if __name__ == "__main__":
    sys.exit(Connector(update, make_database).run(sys.argv))
