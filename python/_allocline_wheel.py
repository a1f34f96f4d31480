"""Makes the wheel that pip installs: the build backend of pyproject.toml (PEP 517), by the standard library alone.

It writes into the directory pip gives and nowhere else, so the sources may lie where the user cannot write.
"""
import base64
import hashlib
import os
import re
import zipfile

_HERE = os.path.dirname(os.path.abspath(__file__))
_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can say: the same sources give the same wheel


def _read(*path):
    with open(os.path.join(_HERE, *path), "rb") as file:
        return file.read()


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    version = re.search(rb'^__version__ = "(.+)"$', _read("allocline", "__init__.py"), re.MULTILINE).group(1).decode()
    info = "allocline-%s.dist-info" % version
    files = {"allocline/" + name: _read("allocline", name)
             for name in sorted(os.listdir(os.path.join(_HERE, "allocline"))) if name.endswith((".py", ".typed"))}
    files[info + "/METADATA"] = ("Metadata-Version: 2.1\nName: allocline\nVersion: %s\nRequires-Python: >=3.8\n"
                                 "License: Apache-2.0\nSummary: Which source line holds the memory: tracemalloc's API "
                                 "over the allocline tracer, native memory included\n" % version).encode()
    files[info + "/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: allocline\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = ""
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        record += "%s,sha256=%s,%d\n" % (name, digest, len(content))
    files[info + "/RECORD"] = (record + info + "/RECORD,,\n").encode()

    wheel = "allocline-%s-py3-none-any.whl" % version
    with zipfile.ZipFile(os.path.join(wheel_directory, wheel), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return wheel


def build_sdist(sdist_directory, config_settings=None):
    raise NotImplementedError("allocline for Python comes with allocline: install it from share/allocline/python")
