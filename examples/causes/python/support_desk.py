"""The source these connectors read: a support desk that has been in use for years.

Its tickets and their ratings are in an SQLite database, a nightly export of the tickets is one JSON file, and the
attachments of its mails are files in base64. Each is more than the memory of a small container. make_...() makes one in
a directory, the same each time, and gives the configuration a connector needs to read it.
"""
import base64
import json
import os
import random
import sqlite3

TICKETS = 16000
EXPORTED_TICKETS = 9000
MAILS = 64

_PROSE = " ".join(random.Random(1).choices(["the", "invoice", "again", "page", "does", "not", "load", "since"], k=5000))

PAGE_ROWS = 200
COLUMNS = "id, customer, subject, opened_at, body"


def connect(configuration):
    """The database, read only. Rows are known by their columns' names. Errors are sqlite3.Error."""
    database = sqlite3.connect("file:%s?mode=ro" % configuration["database"], uri=True)
    database.row_factory = sqlite3.Row
    return database


def page_after(database, cursor):
    """The next tickets after `cursor` (a ticket's id), at most PAGE_ROWS of them, each read when it is asked for."""
    return database.execute("SELECT %s FROM tickets WHERE id > ? ORDER BY id LIMIT ?" % COLUMNS, (cursor, PAGE_ROWS))


def make_database(directory, tickets=TICKETS):
    path = os.path.join(directory, "desk.db")
    database = sqlite3.connect(path)
    database.executescript("""
        PRAGMA journal_mode = OFF;
        PRAGMA synchronous = OFF;
        CREATE TABLE tickets (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, subject TEXT NOT NULL,
                              opened_at TEXT NOT NULL, body TEXT NOT NULL);
        CREATE TABLE ratings (id INTEGER PRIMARY KEY, ticket INTEGER NOT NULL, stars INTEGER NOT NULL);
    """)
    numbers = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?) "
    database.execute(numbers + """
        INSERT INTO tickets
        SELECT n, 'customer-' || (n * 7919 % 20000) || '@shop.example', substr(?, n % 300 + 1, 40),
               date('2024-01-01', (n / 50) || ' days'), substr(?, n * 31 % 3000 + 1, 12000 + n * 17 % 12000)
        FROM numbers""", (tickets, _PROSE, _PROSE))
    # Each third ticket was rated twice.
    database.execute(numbers + "INSERT INTO ratings SELECT n, (n * 3 + 3) / 4, n * 13 % 5 + 1 FROM numbers",
                     (tickets * 4 // 3,))
    database.close()
    return {"database": path}


def make_export(directory, tickets=EXPORTED_TICKETS):
    """A JSON array with a ticket a line, as the desk writes it."""
    path = os.path.join(directory, "tickets.json")
    with open(path, "w", encoding="utf-8") as file:
        file.write("[\n")
        for id_ in range(1, tickets + 1):
            start = id_ * 31 % 3000
            ticket = {"id": id_, "customer": "customer-%d@shop.example" % (id_ * 7919 % 20000),
                      "subject": _PROSE[start:start + 40], "body": _PROSE[start:start + 12000 + id_ * 17 % 12000]}
            file.write(json.dumps(ticket) + (",\n" if id_ < tickets else "\n"))
        file.write("]\n")
    return {"export": path}


def make_mailbox(directory, mails=MAILS):
    """A line of JSON a mail, which says where its attachment lies. Many are sent again and again."""
    path = os.path.join(directory, "mails.jsonl")
    attachments = []
    for number in range(min(mails, 8)):
        content = random.Random(number).getrandbits(8 << 16).to_bytes(1 << 16, "little") * (40 + 8 * number)
        attachments.append("scan-%d.pdf.b64" % number)
        with open(os.path.join(directory, attachments[-1]), "wb") as file:
            file.write(base64.b64encode(content))
    with open(path, "w", encoding="utf-8") as file:
        for id_ in range(1, mails + 1):
            mail = {"id": id_, "subject": "Contract %d" % id_, "attachment": attachments[id_ % len(attachments)]}
            file.write(json.dumps(mail) + "\n")
    return {"mailbox": path}


def make_nothing(directory):
    """For a source that has to be there: tickets in PostgreSQL are made by ../make_helpdesk.sql."""
    raise ValueError('the configuration has to say where the server is: {"postgres": "host=... dbname=..."}')


def mails_of(configuration):
    """Each mail of the mailbox, with the path of its attachment."""
    directory = os.path.dirname(configuration["mailbox"])
    with open(configuration["mailbox"], encoding="utf-8") as file:
        for line in file:
            mail = json.loads(line)
            mail["attachment"] = os.path.join(directory, mail["attachment"])
            yield mail
