"""Loads a large file whole: the export's text and all the objects that it describes are in memory at once."""
import json
import sys

from connector_kit import Connector, Logging as log, Operations as op
from support_desk import make_export


def update(configuration, state):
    with open(configuration["export"], encoding="utf-8") as file:
        tickets = json.load(file)  # <- the whole file, as text and then as objects

    for ticket in tickets:
        op.upsert("tickets", ticket)
    op.checkpoint({"tickets": len(tickets)})
    log.info("sent %d tickets" % len(tickets))


if __name__ == "__main__":
    sys.exit(Connector(update, make_export).run(sys.argv))
