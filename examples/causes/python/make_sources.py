"""Makes what the connectors here read: make_sources.py DIRECTORY [database|export|mailbox [COUNT]]

All three, or one of them, with so many tickets or mails in it. The connectors take DIRECTORY/configuration.json then.
"""
import json
import os
import sys

import support_desk

MAKERS = {"database": support_desk.make_database, "export": support_desk.make_export,
          "mailbox": support_desk.make_mailbox}

if __name__ == "__main__":
    arguments = sys.argv[1:]
    if not 1 <= len(arguments) <= 3 or any(kind not in MAKERS for kind in arguments[1:2]):
        sys.exit("usage: %s DIRECTORY [database|export|mailbox [COUNT]]" % sys.argv[0])
    directory = arguments[0]
    configuration = {}
    for kind in arguments[1:2] or MAKERS:
        configuration.update(MAKERS[kind](directory, *map(int, arguments[2:])))
    with open(os.path.join(directory, "configuration.json"), "w", encoding="utf-8") as file:
        json.dump(configuration, file)
