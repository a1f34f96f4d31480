"""Joins two tables by hand: one of them is loaded into a dictionary, to look up each row of the other."""
import sys

from connector_kit import Connector, Logging as log, Operations as op
from support_desk import COLUMNS, connect, make_database

TICKETS = "SELECT %s FROM tickets" % COLUMNS
RATINGS = "SELECT id, ticket, stars FROM ratings ORDER BY id"


def update(configuration, state):
    database = connect(configuration)
    ticket_by_id = {row["id"]: dict(row) for row in database.execute(TICKETS)}  # <- one side of the join, whole
    log.info("joining the ratings with %d tickets" % len(ticket_by_id))

    stars_by_customer = {}
    for rating in database.execute(RATINGS):
        ticket = ticket_by_id[rating["ticket"]]
        op.upsert("ratings", {"id": rating["id"], "stars": rating["stars"], "subject": ticket["subject"],
                              "customer": ticket["customer"]})
        stars_by_customer.setdefault(ticket["customer"], []).append(rating["stars"])
    for customer, stars in stars_by_customer.items():
        op.upsert("customers", {"customer": customer, "stars": sum(stars) / len(stars)})
    op.checkpoint(state)


if __name__ == "__main__":
    sys.exit(Connector(update, make_database).run(sys.argv))
