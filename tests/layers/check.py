#!/usr/bin/env python3
"""Compares what the sources include with what CMake declares, so that the walls between the
libraries stay where docs/architecture.md draws them.

    check.py SOURCE_DIR LAYERS_FILE

LAYERS_FILE is <build>/layers.txt, written by rproxy_write_layers(). Prints one line a finding and
exits with 1 if there is any.
"""

import re
import sys
from pathlib import Path

# Who may include what belongs to somebody else. A library that is not here may not be used at all:
# adding one is a decision (docs/adr/), not an include.
THIRD_PARTY = [
    (r"spdlog/|fmt/", {"log"}),
    (r"prometheus/", {"metrics"}),
    (r"yaml-cpp/", {"config"}),
    (r"boost/beast", {"http1"}),
    (r"boost/asio", {"http1", "net"}),
    (r"boost/(core|system)/", {"http1"}),
    (r"httplib\.h$", {"admin", "cmd"}),
    (r"nlohmann/", {"admin", "config", "cmd"}),
    (r"openssl/", {"tls", "control", "admin"}),
    (r"zlib\.h$", {"admin"}),
]
SYSTEM_FOLDERS = {"arpa", "asm", "linux", "net", "netinet", "sys"}

# A pure library gets time, randomness and bytes as arguments. <arpa/inet.h> and <netinet/in.h> stay
# allowed: they are the notation of addresses as well.
IMPURE_HEADERS = re.compile(
    r"(thread|mutex|shared_mutex|condition_variable|future|semaphore|latch|barrier|stop_token"
    r"|fstream|iostream|filesystem|csignal|signal\.h"
    r"|sys/.*|linux/.*|netinet/tcp\.h|netdb\.h|unistd\.h|fcntl\.h|poll\.h|pthread\.h"
    r"|boost/asio.*|spdlog/.*|prometheus/.*|openssl/.*|httplib\.h)$")
IMPURE_CODE = re.compile(
    r"\b(system_clock::now|steady_clock::now|high_resolution_clock::now|random_device|getenv"
    r"|this_thread|clock_gettime|gettimeofday|thread_local|std::rand|s?rand\(|time\(nullptr\))")
# The two doors of the lowest library: the Clock that everybody else is given, and the lock that the
# thread safety analysis follows.
IMPURE_ALLOWED = {
    ("base/clock.h", "system_clock::now"),
    ("base/clock.h", "steady_clock::now"),
    ("base/thread_annotations.h", "mutex"),
}

BANNED_WORDS = re.compile(r"(?i)upstream|downstream")
BANNED_WORDS_IN = ["pkg", "cmd", "docs", "README.md", "charts"]
# Citing what another proxy calls something is not using the word.
CITATION = re.compile(r"`[^`]*`|\"[^\"]*\"|“[^”]*”|https?://\S+")

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
# The last alternative is a character; after a digit the quote separates digits instead.
COMMENT_OR_STRING = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<d>[^(\s]*)\(.*?\)(?P=d)"|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'", re.S)


class Library:
    """One line of layers.txt."""

    def __init__(self, line):
        fields = line.split()
        self.name = fields[0]
        self.layer = int(fields[1])
        self.pure = fields[2].upper() in ("TRUE", "PURE", "ON", "1")
        self.dependencies = set(fields[3].split(",")) if len(fields) > 3 else set()


def read_layers(path):
    return {lib.name: lib for lib in
            (Library(line) for line in Path(path).read_text().splitlines() if line.strip())}


def sources_of(folder):
    return sorted(p for p in folder.rglob("*") if p.suffix in (".h", ".cpp"))


def blank_comments_and_strings(text, keep_strings=False):
    """The code alone, line numbers unchanged."""
    def blank(match):
        token = match.group(0)
        if keep_strings and not token.startswith("/"):
            return token
        return re.sub(r"[^\n]", " ", token)
    return COMMENT_OR_STRING.sub(blank, text)


def includes_of(text):
    """(line, quoted?, what) of each include."""
    text = blank_comments_and_strings(text, keep_strings=True)
    for match in INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match.group(1) == '"', match.group(2)


def is_third_party(include):
    if "/" in include:
        return include.split("/")[0] not in SYSTEM_FOLDERS
    return include == "httplib.h"


def check_third_party(where, owner, include):
    for pattern, owners in THIRD_PARTY:
        if re.match(pattern, include):
            if owner not in owners:
                yield f"{where}: <{include}> may be included by {', '.join(sorted(owners))} only"
            return
    yield f"{where}: <{include}> belongs to no library of ours (THIRD_PARTY in tests/layers/check.py)"


def check_file_form(path, text, name):
    code = blank_comments_and_strings(text, keep_strings=True)
    if path.suffix == ".h":
        first = next((line.strip() for line in code.splitlines() if line.strip()), "")
        if first != "#pragma once":
            yield f"{path}: does not begin with #pragma once"
    elif path.with_suffix(".h").exists():
        # Compiling it first proves that the header needs nothing before it.
        own = str(Path(name).with_suffix(".h"))
        first = next((what for _, _, what in includes_of(text)), None)
        if first != own:
            yield f'{path}: the first include is not its own header "{own}"'


def check_purity(path, text, name):
    for line, _, include in includes_of(text):
        if IMPURE_HEADERS.match(include) and (name, include) not in IMPURE_ALLOWED:
            yield f"{path}:{line}: <{include}> in a pure library"
    code = blank_comments_and_strings(text)
    for match in IMPURE_CODE.finditer(code):
        if (name, match.group(1)) not in IMPURE_ALLOWED:
            line = code.count("\n", 0, match.start()) + 1
            yield f"{path}:{line}: {match.group(1)} in a pure library"


def declared_in_cmake(text):
    """The words of each section of rproxy_library(…)."""
    match = re.search(r"rproxy_library\s*\(([^)]*)\)", re.sub(r"#[^\n]*", "", text))
    sections = {}
    section = ""
    for word in match.group(1).split() if match else []:
        if word in ("LAYER", "PURE", "HEADERS", "SOURCES", "PUBLIC", "PRIVATE"):
            section = word
        else:
            sections.setdefault(section, set()).add(word)
    return sections


def check_cmake(source, library, in_headers, in_sources):
    """Files that are not built, and PUBLIC where PRIVATE is meant or the reverse."""
    folder = source / "pkg" / library.name
    cmake = folder / "CMakeLists.txt"
    sections = declared_in_cmake(cmake.read_text())
    for path in sources_of(folder):
        section = "HEADERS" if path.suffix == ".h" else "SOURCES"
        if str(path.relative_to(folder)) not in sections.get(section, set()):
            yield f"{path}: not listed under {section} in {cmake}"
    for dependency in sorted(library.dependencies):
        if dependency in in_headers and dependency not in sections.get("PUBLIC", set()):
            yield f"{cmake}: headers include {dependency}, so it is PUBLIC"
        if (dependency in in_sources - in_headers
                and dependency not in sections.get("PRIVATE", set())):
            yield f"{cmake}: only sources include {dependency}, so it is PRIVATE"


def check_library(source, libraries, library):
    folder = source / "pkg" / library.name
    in_headers, in_sources = set(), set()
    for path in sources_of(folder):
        text = path.read_text()
        name = str(path.relative_to(source / "pkg"))
        yield from check_file_form(path, text, name)
        if library.pure:
            yield from check_purity(path, text, name)
        for line, quoted, include in includes_of(text):
            where = f"{path}:{line}"
            if not quoted:
                if is_third_party(include):
                    yield from check_third_party(where, library.name, include)
                continue
            other = include.split("/")[0]
            if other not in libraries:
                yield f'{where}: "{include}" is not of the form "library/file.h"'
            elif other != library.name:
                (in_headers if path.suffix == ".h" else in_sources).add(other)
                if other not in library.dependencies:
                    yield f'{where}: "{include}", but {library.name} does not declare {other}'
                if libraries[other].layer > library.layer:
                    yield (f'{where}: "{include}" is of layer {libraries[other].layer}, '
                           f"{library.name} of layer {library.layer}")
    for unused in sorted(library.dependencies - in_headers - in_sources):
        yield f"{folder}: declares {unused}, but includes nothing of it"
    yield from check_cmake(source, library, in_headers, in_sources)


def check_undeclared_folders(source, libraries):
    """A folder with sources that CMake does not know is code that nobody builds or tests."""
    for folder in sorted(p for p in (source / "pkg").iterdir() if p.is_dir()):
        if folder.name not in libraries and sources_of(folder):
            yield f"{folder}: has sources, but CMake declares no such library"


def check_cmd(source):
    for path in sources_of(source / "cmd"):
        for line, quoted, include in includes_of(path.read_text()):
            if not quoted and is_third_party(include):
                yield from check_third_party(f"{path}:{line}", "cmd", include)


def check_words(source):
    for top in BANNED_WORDS_IN:
        root = source / top
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if not path.is_file():
                continue
            try:
                lines = path.read_text().splitlines()
            except UnicodeDecodeError:
                continue  # a picture
            for number, line in enumerate(lines, 1):
                if path.suffix == ".md":
                    line = CITATION.sub("", line)
                if match := BANNED_WORDS.search(line):
                    yield (f"{path}:{number}: '{match.group(0)}' means opposite things in different "
                           f"proxies: say client, backend or pool")


def check(source, layers_file):
    source = Path(source)
    libraries = read_layers(layers_file)
    findings = [] if libraries else [f"{layers_file}: declares no library"]
    for library in libraries.values():
        findings += check_library(source, libraries, library)
    findings += check_undeclared_folders(source, libraries)
    findings += check_cmd(source)
    findings += check_words(source)
    return findings


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    found = check(sys.argv[1], sys.argv[2])
    print("\n".join(found) if found else "the includes are as declared")
    sys.exit(1 if found else 0)
