"""The source the connectors read: a shop's orders in an SQLite database, one table, paged by rising id."""
import os
import random
import sqlite3

PAGE_ROWS = 500


class OrdersSource:
    """Errors are sqlite3.Error, with what SQLite says is wrong."""

    def __init__(self, path):
        self._database = sqlite3.connect("file:%s?mode=ro" % path, uri=True)
        self._database.row_factory = sqlite3.Row

    def page_after(self, cursor):
        """The next orders after `cursor` (an order's id), at most PAGE_ROWS of them, each read when it is asked for."""
        return self._database.execute(
            "SELECT id, customer, product, quantity, price, ordered_at, note FROM orders WHERE id > ? ORDER BY id LIMIT ?",
            (cursor, PAGE_ROWS))


def make_source(directory):
    """Makes a database in `directory`, and gives the configuration to read it."""
    database = os.path.join(directory, "orders.db")
    generate(database, 50000)
    return {"database": database}


def generate(path, rows):
    """Makes a database of `rows` orders at `path`, the same ones each time."""
    products = ["espresso beans, 1 kg", "paper filters", "hand grinder", "kettle"]
    note = "Please leave the parcel with the neighbours if nobody answers the door. "
    dice = random.Random(1)

    def orders():
        for id_ in range(1, rows + 1):
            note_length = dice.randrange(1, len(note)) if dice.randrange(3) == 0 else 0  # two of three have none
            yield (id_, "customer-%d@shop.example" % dice.randrange(20000), dice.choice(products),
                   dice.randrange(1, 10), dice.randrange(20000) / 100, 1700000000 + 60 * id_,
                   note[:note_length] if note_length else None)

    database = sqlite3.connect(path)
    with database:
        database.execute("DROP TABLE IF EXISTS orders")
        database.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, product TEXT NOT NULL,"
                         " quantity INTEGER NOT NULL, price REAL NOT NULL, ordered_at TEXT NOT NULL, note TEXT)")
        database.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, datetime(?, 'unixepoch'), ?)", orders())
    database.close()
