"""whole_file.py, mended: the export has a ticket a line, so it is read and parsed line by line. (For JSON that is not
written like this there are parsers that read in pieces, such as ijson.)"""
import json
import sys

from connector_kit import Connector, Logging as log, Operations as op, mark_memory
from support_desk import make_export

CHECKPOINT_EVERY = 200


def tickets_of(path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            record = line.strip().rstrip(",")
            if record not in ("[", "]"):
                yield json.loads(record)


def update(configuration, state):
    sent = 0
    for ticket in tickets_of(configuration["export"]):
        op.upsert("tickets", ticket)
        sent += 1
        if sent % CHECKPOINT_EVERY == 0:
            op.checkpoint({"tickets": sent})
            mark_memory("batch", rows=sent)
    op.checkpoint({"tickets": sent})
    log.info("sent %d tickets" % sent)


if __name__ == "__main__":
    sys.exit(Connector(update, make_export).run(sys.argv))
