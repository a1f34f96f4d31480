"""The same connector, mended: each row is sent when it is read, and each page checkpointed before the next is fetched.
Its memory is one page at most, whatever the size of the source, and a run that dies resumes at the last checkpoint."""
import sys

from connector_kit import Connector, Logging as log, Operations as op, mark_memory
from orders_source import OrdersSource, make_source


def update(configuration, state):
    source = OrdersSource(configuration["database"])
    cursor = state.get("cursor", 0)

    mark_memory("before fetch")
    sent = 0
    while True:
        page_start = cursor
        for order in source.page_after(cursor):
            op.upsert("orders", dict(order))
            cursor = order["id"]
            sent += 1
        if cursor == page_start:
            break
        state["cursor"] = cursor
        op.checkpoint(state)
    mark_memory("after fetch", rows=sent)
    log.info("sent %d orders" % sent)


if __name__ == "__main__":
    sys.exit(Connector(update, make_source).run(sys.argv))
