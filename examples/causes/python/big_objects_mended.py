"""big_objects.py, mended: an attachment is decoded piece by piece, and of no mail is more kept than is sent."""
import base64
import hashlib
import sys

from connector_kit import Connector, Logging as log, Operations as op, mark_memory
from support_desk import mails_of, make_mailbox

PIECE = 64 << 10  # four characters of base64 are three bytes: a multiple of four


def digest_attachment(path):
    """Its length in bytes, and its SHA-256."""
    digest, length = hashlib.sha256(), 0
    with open(path, "rb") as file:
        while True:
            piece = base64.b64decode(file.read(PIECE))
            if not piece:
                return length, digest.hexdigest()
            digest.update(piece)
            length += len(piece)


def update(configuration, state):
    sent = 0
    for mail in mails_of(configuration):
        length, digest = digest_attachment(mail.pop("attachment"))
        op.upsert("mails", {**mail, "bytes": length, "sha256": digest})
        sent += 1
        mark_memory("mail", rows=sent)
    op.checkpoint(state)
    log.info("sent %d mails" % sent)


if __name__ == "__main__":
    sys.exit(Connector(update, make_mailbox).run(sys.argv))
