"""join_in_memory.py, mended: the database joins and sums, which is what it is made for, and sends what is asked for."""
import sys

from connector_kit import Connector, Logging as log, Operations as op, mark_memory
from support_desk import connect, make_database

RATINGS = ("SELECT ratings.id, stars, subject, customer FROM ratings JOIN tickets ON tickets.id = ratings.ticket"
           " ORDER BY ratings.id")
CUSTOMERS = ("SELECT customer, AVG(stars) AS stars FROM ratings JOIN tickets ON tickets.id = ratings.ticket"
             " GROUP BY customer")
CHECKPOINT_EVERY = 200


def update(configuration, state):
    database = connect(configuration)
    sent = 0
    for table, query in ("ratings", RATINGS), ("customers", CUSTOMERS):
        for row in database.execute(query):
            op.upsert(table, dict(row))
            sent += 1
            if sent % CHECKPOINT_EVERY == 0:
                mark_memory("batch", rows=sent)
    op.checkpoint(state)
    log.info("sent %d rows" % sent)


if __name__ == "__main__":
    sys.exit(Connector(update, make_database).run(sys.argv))
