"""What the interpreter itself says about the lines of code: PyCode_Addr2Line(), for every instruction.

Compiles a share of the standard library, and sources made for the corners of the table, and prints for each code object

    code FIRST_LINE TABLE_IN_HEX BYTES_OF_INSTRUCTIONS
    OFFSET LINE             from this offset on, up to the next
"""
import ctypes
import os
import sys
import sysconfig
import types

addr2line = ctypes.pythonapi.PyCode_Addr2Line
addr2line.argtypes = [ctypes.py_object, ctypes.c_int]
addr2line.restype = ctypes.c_int


def tell(code):
    table = code.co_linetable if sys.version_info >= (3, 10) else code.co_lnotab
    out = ["code %d %s %d" % (code.co_firstlineno, table.hex() or "-", len(code.co_code))]
    before = None
    for offset in range(0, len(code.co_code), 2):
        line = addr2line(code, offset)
        if line != before:
            out.append("%d %d" % (offset, line))
            before = line
    print("\n".join(out))
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            tell(constant)


def sources():
    library = sysconfig.get_path("stdlib")
    found = []
    for folder, folders, files in os.walk(library):
        folders[:] = sorted(f for f in folders if f not in ("site-packages", "dist-packages", "lib2to3", "__pycache__"))
        found += [os.path.join(folder, f) for f in sorted(files) if f.endswith(".py")]
    # Every 24th, and some that use all there is of the language.
    chosen = found[::24] + [f for f in found if os.path.basename(f) in (
        "dataclasses.py", "asyncio/tasks.py", "test_grammar.py", "test_patma.py", "test_with.py", "test_coroutines.py",
        "typing.py", "tracemalloc.py", "decimal.py", "_pydecimal.py", "test_exceptions.py")]
    for path in chosen:
        try:
            with open(path, encoding="utf-8") as file:
                yield file.read()
        except UnicodeDecodeError:
            pass
    gap = "\n" * 1000
    yield "x = 1\n" + gap + "y = 2\n" + gap * 70 + "def f():\n" + gap + "  return 1\n"
    # Arguments are further down than the call that is made with them, which is one step back by many lines.
    yield "f(" + ",\n".join("g(%d,%sh(%d))" % (i, "\n" * (i * 7 % 300), i) for i in range(300)) + ")\n"
    yield "x = [" + ", ".join("a%d + b%d" % (i, i) for i in range(3000)) + "]\ny = 2\n"
    yield "".join("x%d = %d;" % (i, i) for i in range(600)) + "\nz = 1\n"
    yield "def f(a,\n      b=[i for i in range(3)\n         if i]):\n  with a as c, \\\n       b as d:\n    try:\n" \
          "      return c\n    finally:\n      print(a,\n\n\n\n            b)\n"
    yield "async def f(a):\n  async with a:\n    async for i in a:\n      yield (await i,\n             lambda:\n" \
          "               i)\n  while True:\n    if a: break\n  else:\n    pass\n"
    yield ""


for source in sources():
    try:
        compiled = compile(source, "a.py", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        continue  # sources that are wrong on purpose
    tell(compiled)
