"""The connector that is killed in a small container: it fetches the whole table before it sends the first row. Its
memory grows with the source, and nothing in it looks wrong."""
import sys

from connector_kit import Connector, Logging as log, Operations as op, mark_memory
from orders_source import OrdersSource, make_source


def update(configuration, state):
    source = OrdersSource(configuration["database"])
    cursor = state.get("cursor", 0)

    mark_memory("before fetch")
    orders = []
    while True:
        fetched = len(orders)
        orders.extend(dict(order) for order in source.page_after(cursor))  # <- keeps every row until the last page is in
        if len(orders) == fetched:
            break
        cursor = orders[-1]["id"]
    mark_memory("after fetch", rows=len(orders))
    log.info("fetched %d orders" % len(orders))

    for order in orders:
        op.upsert("orders", order)
    state["cursor"] = cursor
    op.checkpoint(state)


if __name__ == "__main__":
    sys.exit(Connector(update, make_source).run(sys.argv))
