#!/usr/bin/env python3
"""The tables of inputs and outputs in README.md, from the module's own descriptions.

usage: readme.py [--check]   writes them, or fails if they are not what the module says
"""

import pathlib
import re
import sys

MODULE = pathlib.Path(__file__).resolve().parent.parent
FILES = ["variables.tf", "variables-api.tf", "variables-alerts.tf", "variables-watch.tf"]


def blocks(kind, text):
    """Name and body of each block of a kind; `terraform fmt` puts their ends in the first column."""
    return re.findall(rf'^{kind} "(\w+)" {{\n(.*?)^}}', text, re.M | re.S)


def description(body):
    """What a block says of itself."""
    return re.search(r'^  description = "(.*)"$', body, re.M).group(1).replace("|", "\\|")


def argument(name, body):
    """The text of an argument, on one line; None if it is not there."""
    found = re.search(rf"^  {name} += (.*?)(?=^  \w|^$|\Z)", body, re.M | re.S)
    return re.sub(r"\s+", " ", found.group(1)).strip() if found else None


def kind(body):
    """The first word of a type: what is in an object stands in its description and in the file."""
    return re.split(r"[({]", argument("type", body))[0] + ("(object)" if re.match(r"(list|map)\(object", argument("type", body)) else "")


def tables():
    """The tables, as they stand in the README."""
    lines = []
    for file in FILES:
        lines += [f"From [{file}]({file}):", "", "| input | type | default | |", "| --- | --- | --- | --- |"]
        for name, body in blocks("variable", (MODULE / file).read_text()):
            default = argument("default", body)
            default = "required" if default is None else f"`{default}`"
            lines.append(f"| `{name}` | {kind(body)} | {default} | {description(body)} |")
        lines.append("")
    lines += ["| output | |", "| --- | --- |"]
    for name, body in blocks("output", (MODULE / "outputs.tf").read_text()):
        lines.append(f"| `{name}` | {description(body)} |")
    return "\n".join(lines)


def main():
    """Writes or checks."""
    page = MODULE / "README.md"
    text = page.read_text()
    head, rest = text.split("<!-- tables -->\n")[0], text.split("<!-- end of tables -->\n")[1]
    wanted = f"{head}<!-- tables -->\n{tables()}\n<!-- end of tables -->\n{rest}"
    if "--check" in sys.argv[1:]:
        if wanted != text:
            sys.exit("README.md's tables are not what the module says: run terraform/tests/readme.py")
    else:
        page.write_text(wanted)


if __name__ == "__main__":
    main()
