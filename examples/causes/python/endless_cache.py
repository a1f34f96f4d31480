"""Looks each rated ticket up once and remembers it for the rest of the sync, should it be rated again."""
import sys

from connector_kit import Connector, Logging as log, Operations as op, mark_memory
from support_desk import COLUMNS, connect, make_database

TICKET = "SELECT %s FROM tickets WHERE id = ?" % COLUMNS
RATINGS = "SELECT id, ticket, stars FROM ratings ORDER BY id"
CHECKPOINT_EVERY = 200


class TicketCache:
    def __init__(self, database):
        self._database = database
        self._tickets = {}

    def get(self, id_):
        if id_ not in self._tickets:
            self._tickets[id_] = dict(self._database.execute(TICKET, (id_,)).fetchone())  # <- and never forgets it
        return self._tickets[id_]


def update(configuration, state):
    database = connect(configuration)
    cache = TicketCache(database)
    sent = 0
    for rating in database.execute(RATINGS):
        ticket = cache.get(rating["ticket"])
        op.upsert("ratings", {"id": rating["id"], "stars": rating["stars"], "subject": ticket["subject"]})
        sent += 1
        if sent % CHECKPOINT_EVERY == 0:
            op.checkpoint({"rating": rating["id"]})
            mark_memory("batch", rows=sent)
    op.checkpoint(state)
    log.info("sent %d ratings" % sent)


if __name__ == "__main__":
    sys.exit(Connector(update, make_database).run(sys.argv))
