"""Makes the database that the example connectors read: make_source.py DATABASE [ROWS]"""
import sys

import orders_source

if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit("usage: %s DATABASE [ROWS]" % sys.argv[0])
    orders_source.generate(sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else 200000)
