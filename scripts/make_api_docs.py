#!/usr/bin/env python3
"""Writes docs/api.md from the comments of include/fabula/fabula.h; with --check says whether it is up to date."""
import itertools
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEADER = ROOT / "include" / "fabula" / "fabula.h"
PAGE = ROOT / "docs" / "api.md"
NOTE = "<!-- Made by scripts/make_api_docs.py from include/fabula/fabula.h: change the comments there. -->\n\n"


def pieces(chunk):
    """The comments and the declarations of a chunk in turn: (is_comment, lines)."""
    for is_comment, lines in itertools.groupby(chunk, lambda line: line.startswith("///")):
        yield is_comment, [re.sub("^/// ?", "", line) if is_comment else line for line in lines]


def page_of(header):
    # What has no blank line within it.
    chunks = [chunk.splitlines() for chunk in re.split(r"\n\s*\n", header.strip())]
    documented = [chunk for chunk in chunks if chunk[0].startswith(("///", "FABULA_API "))]
    blocks = []
    for chunk in documented:
        for is_comment, lines in pieces(chunk):
            if is_comment:
                blocks.append("\n".join(lines))
                continue
            code = "\n".join(lines).replace("FABULA_API ", "").replace("///<", "//")
            blocks.append(f"```c\n{code}\n```")
    return NOTE + "\n\n".join(blocks) + "\n"


def main():
    page = page_of(HEADER.read_text(encoding="utf-8"))
    if sys.argv[1:] == ["--check"]:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page:
            sys.exit("docs/api.md is not what the header says; run scripts/make_api_docs.py")
    elif sys.argv[1:]:
        sys.exit(f"usage: {sys.argv[0]} [--check]")
    else:
        PAGE.write_text(page, encoding="utf-8")


main()
