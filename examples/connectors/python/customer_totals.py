"""A connector that lets pandas do the sums, and keeps every order in memory to do so. Half of a DataFrame's memory is
native: arrays that numpy takes from malloc. allocline shows both halves on the line that asked for the DataFrame."""
import sqlite3
import sys

import pandas

from connector_kit import Connector, Logging as log, Operations as op, mark_memory
from orders_source import make_source


def update(configuration, state):
    database = sqlite3.connect("file:%s?mode=ro" % configuration["database"], uri=True)

    mark_memory("before read")
    orders = pandas.read_sql("SELECT id, quantity, price, customer FROM orders", database)  # <- holds every order
    mark_memory("after read", rows=len(orders))
    log.info("read %d orders" % len(orders))

    orders["total"] = orders["quantity"] * orders["price"]
    for customer, total in orders.groupby("customer")["total"].sum().items():
        op.upsert("customer_totals", {"customer": customer, "total": round(total, 2)})
    op.checkpoint({"orders": len(orders)})


if __name__ == "__main__":
    sys.exit(Connector(update, make_source).run(sys.argv))
