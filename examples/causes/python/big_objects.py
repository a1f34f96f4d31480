"""Reads all mails with their attachments before it sends them: few objects, and each of them is megabytes."""
import base64
import hashlib
import sys

from connector_kit import Connector, Logging as log, Operations as op
from support_desk import mails_of, make_mailbox


def read_attachment(path):
    with open(path, "rb") as file:
        return base64.b64decode(file.read())  # <- whole attachments, kept with their mails


def update(configuration, state):
    mails = []
    for mail in mails_of(configuration):
        mail["content"] = read_attachment(mail.pop("attachment"))
        mails.append(mail)
    log.info("read %d mails" % len(mails))

    for mail in mails:
        content = mail.pop("content")
        op.upsert("mails", {**mail, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()})
    op.checkpoint(state)


if __name__ == "__main__":
    sys.exit(Connector(update, make_mailbox).run(sys.argv))
