"""endless_cache.py, mended: the cache has a limit, and holds what of a ticket is asked for."""
import functools
import sys

from connector_kit import Connector, Logging as log, Operations as op, mark_memory
from support_desk import connect, make_database

SUBJECT = "SELECT subject FROM tickets WHERE id = ?"
RATINGS = "SELECT id, ticket, stars FROM ratings ORDER BY id"
CACHED_TICKETS = 500
CHECKPOINT_EVERY = 200


def update(configuration, state):
    database = connect(configuration)

    @functools.lru_cache(maxsize=CACHED_TICKETS)
    def subject_of(ticket):
        return database.execute(SUBJECT, (ticket,)).fetchone()["subject"]

    sent = 0
    for rating in database.execute(RATINGS):
        op.upsert("ratings", {"id": rating["id"], "stars": rating["stars"], "subject": subject_of(rating["ticket"])})
        sent += 1
        if sent % CHECKPOINT_EVERY == 0:
            op.checkpoint({"rating": rating["id"]})
            mark_memory("batch", rows=sent)
    op.checkpoint(state)
    log.info("sent %d ratings" % sent)


if __name__ == "__main__":
    sys.exit(Connector(update, make_database).run(sys.argv))
