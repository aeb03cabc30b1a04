#!/usr/bin/env python3
"""Checks that README.md and docs/ say what is: links and anchors lead somewhere, files that
docs/architecture.md and the decisions name exist, every configuration shown passes `rproxy check`,
and the rows of docs/http-conformance.md are those of tests/conformance.

    docs.py ROOT [RPROXY]       without RPROXY configurations are not checked
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

CODE_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")
FILE_NAME = re.compile(r"`([\w./-]+\.(?:cpp|h|py|sh|md|yaml|svg|cmake))`")
# YAML that is checked elsewhere (charts, Prometheus), by how it begins.
OTHER_YAML = ("# values:", "scrape_configs:")


def without_code(text):
    """Blocks of code blanked, lines kept."""
    return CODE_BLOCK.sub(lambda block: "\n" * block.group(0).count("\n"), text)


def anchor_of(heading):
    """As GitHub makes it."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors_in(text):
    return {anchor_of(heading)
            for heading in re.findall(r"^#+ +(.*?) *#*$", without_code(text), re.MULTILINE)}


def broken_links(path, text):
    for match in LINK.finditer(without_code(text)):
        link = match.group(1) or match.group(2)
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists():
            yield f"{path}: {link} leads nowhere"
        elif anchor and target.suffix == ".md" and anchor not in anchors_in(
                target.read_text(encoding="utf-8")):
            yield f"{path}: {target.name} has no heading for #{anchor}"


def missing_files(path, text, files):
    """`files`: every path of the tree, as text that begins with /."""
    for name in FILE_NAME.findall(without_code(text)):
        if not any(file.endswith("/" + name) for file in files):
            yield f"{path}: there is no file {name}"


def configurations(text):
    """The rproxy configurations in a page's YAML blocks, those inside of ConfigMaps included."""
    for language, block in CODE_BLOCK.findall(text):
        if language != "yaml" or block.startswith(OTHER_YAML):
            continue
        if not re.search(r"^kind: ConfigMap$", block, re.MULTILINE):
            yield block
            continue
        inner = re.search(r"^( +)rproxy\.yaml: \|\n((?:\1 +.*\n|\n)+)", block, re.MULTILINE)
        yield "\n".join(line[len(inner.group(1)) + 2:]
                        for line in inner.group(2).splitlines()) + "\n" if inner else block


def bad_configurations(path, text, rproxy):
    for number, block in enumerate(configurations(text), 1):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
            file.write(block)
            file.flush()
            check = subprocess.run([rproxy, "check", file.name], capture_output=True, text=True,
                                   check=False)
        if check.returncode != 0:
            yield f"{path}: configuration {number}: {check.stdout}{check.stderr}"


def documented_rows(text):
    """The names in the first column of the tables."""
    rows = set()
    for cell in re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE):
        rows |= set(re.findall(r"`([^`]+)`", cell))
    return rows


def tested_rows(text):
    named = r"(?:\{|\b(?:unchanged|edited|absolute|method|body)\()\s*\"([a-z][a-z0-9.-]+)\","
    return set(re.findall(named, text)) | set(re.findall(r"^// row: (\S+)$", text, re.MULTILINE))


def check(root, rproxy):
    pages = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    files = [f"/{path.relative_to(root)}" for folder in
             ("pkg", "cmd", "tests", "bench", "hack", "docs", "charts", "manifests")
             for path in (root / folder).rglob("*") if "node_modules" not in path.parts]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        yield from broken_links(page, text)
        if page.parent.name == "adr" or page.name == "architecture.md":
            yield from missing_files(page, text, files)
        if rproxy:
            yield from bad_configurations(page, text, rproxy)
    documented = documented_rows((root / "docs/http-conformance.md").read_text(encoding="utf-8"))
    tested = set()
    for path in sorted((root / "tests/conformance").glob("*_test.cpp")):
        tested |= tested_rows(path.read_text(encoding="utf-8"))
    for row in sorted(documented - tested):
        yield f"docs/http-conformance.md: the row {row} has no test in tests/conformance"
    for row in sorted(tested - documented):
        yield f"tests/conformance: {row} is not in docs/http-conformance.md"


def main():
    problems = list(check(Path(sys.argv[1]).resolve(), sys.argv[2] if len(sys.argv) > 2 else None))
    if problems:
        print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
