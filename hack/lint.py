#!/usr/bin/env python3
"""What clang says about the sources, as errors.

    hack/lint.py [--all] [--fix-format] [FILE…]

1. clang-format-19: every file is formatted.
2. clang 19: every source compiles, -Wthread-safety included, and every header compiles alone.
3. clang-tidy-19: the sources that changed or include a header that did, compared with $CI_BASE, else
   with origin/main if that is an older state of this branch, else with the newest commit that is
   older than half a day. Without any of these the program's own sources (pkg, cmd); with --all, all.

FILE limits 2 and 3 to these sources. --fix-format formats instead of complaining. Needs
hack/install-deps.sh --ci. What passed is remembered in ~/.cache by the contents of everything it was
compiled from, so only what changed costs time.
"""

import argparse
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "clang"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rproxy-lint"
CACHE_DAYS = 30
COMPILER, TIDY, FORMAT = "clang++-19", "clang-tidy-19", "clang-format-19"
# A checkout may belong to somebody else than who checks it (a container's root).
GIT = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT)]


def run(command, **options):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
                          **options)


def git_lines(*arguments):
    done = subprocess.run([*GIT, *arguments], capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if line]


def git_ok(*arguments):
    return subprocess.run([*GIT, *arguments], capture_output=True, check=False).returncode == 0


def project_files():
    """Our C++ files, those not yet added included."""
    names = git_lines("ls-files", "--cached", "--others", "--exclude-standard", "*.h", "*.cpp")
    return [ROOT / name for name in sorted(set(names)) if (ROOT / name).is_file()]


def changed_files():
    """What differs from the base, or None if there is nothing to compare with."""
    base = os.environ.get("CI_BASE")
    if base and not git_ok("cat-file", "-e", f"{base}^{{commit}}"):
        print(f"lint: CI_BASE={base} is no commit here; checking everything")
        return None
    if not base:
        base = "origin/main"
        if (not git_ok("cat-file", "-e", f"{base}^{{commit}}")
                or not git_ok("merge-base", "--is-ancestor", base, "HEAD")
                or git_lines("rev-parse", base) == git_lines("rev-parse", "HEAD")):
            base = next(iter(git_lines("rev-list", "-1", "--before=12 hours ago", "HEAD")), None)
        if base is None:
            return None
    names = git_lines("diff", "--name-only", base)
    names += git_lines("ls-files", "--others", "--exclude-standard")
    if any(Path(name).name == ".clang-tidy" for name in names):
        return None
    print(f"lint: compared with {base}: {len(names)} files changed")
    return {ROOT / name for name in names}


class Cache:
    """Remembers what passed. Keys hold contents, never times, and paths relative to the checkout, so
    that a fresh clone profits."""

    def __init__(self):
        self.hashes = {}
        for kind in ("dependencies", "passed"):
            (CACHE / kind).mkdir(parents=True, exist_ok=True)
            for entry in (CACHE / kind).iterdir():
                if time.time() - entry.stat().st_mtime > CACHE_DAYS * 86400:
                    entry.unlink()

    @staticmethod
    def digest(*parts):
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def content(self, path):
        if path not in self.hashes:
            try:
                self.hashes[path] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
            except OSError:
                self.hashes[path] = "gone"
        return self.hashes[path]

    def dependencies(self, unit):
        """As of the last time this unit was compiled, or None. A new include changes the content of
        a file on the old list, so an outdated list never leads to a stored result."""
        entry = CACHE / "dependencies" / unit.identity
        if not entry.exists():
            return None
        entry.touch()
        return [str(ROOT / path) for path in json.loads(entry.read_text())]

    def store_dependencies(self, unit, paths):
        relative = [os.path.relpath(path, ROOT) if Path(path).is_relative_to(ROOT) else path
                    for path in sorted(paths)]
        self.write(CACHE / "dependencies" / unit.identity, json.dumps(relative))

    def key(self, check, unit, dependencies):
        return self.digest(check, unit.identity, *(self.content(path) for path in dependencies))

    def passed(self, key):
        entry = CACHE / "passed" / key
        if entry.exists():
            entry.touch()
            return True
        return False

    def store_passed(self, key):
        self.write(CACHE / "passed" / key, "")

    @staticmethod
    def write(entry, text):
        temporary = entry.with_suffix(f".{os.getpid()}")
        temporary.write_text(text)
        temporary.replace(entry)


class Unit:
    """Something to compile: a source with the command that CMake gave it, or a header alone."""

    def __init__(self, path, command, text=None):
        self.path = path
        self.command = command
        self.text = text
        self.name = os.path.relpath(path, ROOT)
        normal = " ".join(command).replace(str(BUILD), "@build@").replace(str(ROOT), "@root@")
        self.identity = Cache.digest(self.name, normal, text or "")


def compile_flags(entry):
    """The command without what it runs through, compiles and writes."""
    words = shlex.split(entry["command"])
    while not Path(words[0]).name.startswith("clang"):
        words.pop(0)
    flags = []
    skip = False
    for word in words[1:]:
        if skip:
            skip = False
        elif word in ("-o", "-c"):
            skip = True
        else:
            flags.append(word)
    return flags


def configure():
    options = ["-DCMAKE_BUILD_TYPE=Debug", f"-DCMAKE_CXX_COMPILER={COMPILER}",
               "-DCMAKE_C_COMPILER=clang-19"]
    if Path("/usr/include/benchmark").exists() and (ROOT / "bench/CMakeLists.txt").exists():
        options.append("-DRPROXY_BUILD_BENCH=ON")
    if (ROOT / "tests/fuzz/CMakeLists.txt").exists():
        options.append("-DRPROXY_BUILD_FUZZ=ON")
    done = run(["cmake", "-S", ROOT, "-B", BUILD, "-G", "Ninja", *options])
    if done.returncode:
        sys.exit(f"{done.stdout}\nlint: cmake could not configure {BUILD}")
    # Sources that the build writes must be there before anything can include them.
    targets = run(["ninja", "-C", BUILD, "-t", "targets", "all"]).stdout
    generated = re.findall(r"^(cmake_object_order_depends_target_\S+):", targets, re.M)
    done = run(["ninja", "-C", BUILD, *generated])
    if done.returncode:
        sys.exit(f"{done.stdout}\nlint: the generated sources could not be built")


def find_units(files):
    entries = {}
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        entries.setdefault(Path(entry["file"]), entry)
    sources = [Unit(path, compile_flags(entries[path])) for path in files if path in entries]
    headers = []
    flags_of_folder = {unit.path.parent: unit.command for unit in reversed(sources)}
    for path in files:
        # A header with a source of its own is proven by that (tests/layers).
        if path.suffix == ".h" and path.with_suffix(".cpp") not in entries:
            flags = flags_of_folder.get(path.parent)
            if flags is None:
                flags = next((unit.command for unit in sources
                              if unit.path.relative_to(ROOT).parts[0] == "pkg"), [])
            headers.append(Unit(path, flags, f'#include "{path}"\n'))
    return sources, headers


def read_depfile(path):
    text = path.read_text().replace("\\\n", " ").split(":", 1)[1]
    words = re.split(r"(?<!\\)\s+", text.strip())
    # Clang repeats the source, which for a header alone is standard input.
    return {os.path.normpath(BUILD / word.replace("\\ ", " ")) for word in words if word != "-"}


class Linter:
    def __init__(self):
        self.cache = Cache()
        self.versions = run([TIDY, "--version"]).stdout + "".join(
            self.cache.content(str(path)) for path in (ROOT / ".clang-tidy", ROOT / "tests/.clang-tidy"))

    def compile(self, unit):
        """None if it passed, else what the compiler says."""
        dependencies = self.cache.dependencies(unit)
        if dependencies and self.cache.passed(self.cache.key(f"compile {self.versions}", unit,
                                                             dependencies)):
            return None
        depfile = BUILD / f"{unit.identity}.d"
        # Clang blames std::stable_sort of libstdc++ 12 for what that calls inside; GCC still looks
        # for deprecated names in ours.
        command = [COMPILER, *unit.command, "-fsyntax-only", "-Werror",
                   "-Wno-deprecated-declarations", "-MD", "-MF", str(depfile), "-MT", "unit", *(["-x", "c++", "-"] if unit.text else [str(unit.path)])]
        done = subprocess.run(command, cwd=BUILD, input=unit.text or "", capture_output=True,
                              text=True, errors="replace", check=False)
        if done.returncode:
            depfile.unlink(missing_ok=True)
            return done.stderr
        dependencies = sorted(read_depfile(depfile))
        depfile.unlink()
        self.cache.store_dependencies(unit, dependencies)
        # Looked up as it will be read, sorted as stored.
        self.cache.store_passed(self.cache.key(f"compile {self.versions}", unit,
                                               self.cache.dependencies(unit)))
        return None

    def tidy(self, unit):
        dependencies = self.cache.dependencies(unit)
        key = self.cache.key(f"tidy {self.versions}", unit, dependencies)
        if self.cache.passed(key):
            return None
        done = run([TIDY, "--quiet", "-p", str(BUILD), str(unit.path)])
        if done.returncode:
            return "\n".join(line for line in done.stdout.splitlines()
                             if not re.match(r"\d+ warnings? (generated|treated as)|Suppressed ", line))
        self.cache.store_passed(key)
        return None


def check_format(files, fix):
    if fix:
        done = run([FORMAT, "-i", *map(str, files)])
    else:
        done = run([FORMAT, "--dry-run", "-Werror", *map(str, files)])
    if done.returncode:
        print(done.stdout)
        print("lint: FAILED: clang-format-19 (hack/lint.py --fix-format puts it right)")
    return done.returncode == 0


def check_all(what, function, units, jobs):
    """The units that failed, after printing why."""
    start = time.monotonic()
    failed = []
    with ThreadPoolExecutor(jobs) as pool:
        for unit, message in zip(units, pool.map(function, units)):
            if message is not None:
                failed.append(unit)
                print(message.replace(f"{ROOT}/", ""), flush=True)
    print(f"lint: {what}: {len(units)} checked, {len(failed)} failed, "
          f"{time.monotonic() - start:.0f} s", flush=True)
    for unit in failed:
        print(f"lint: FAILED: {what} {unit.name}")
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--fix-format", action="store_true")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("files", nargs="*", metavar="FILE")
    arguments = parser.parse_args()
    for tool in (COMPILER, TIDY, FORMAT, "ninja", "cmake"):
        if not shutil.which(tool):
            sys.exit(f"lint: {tool} not found (hack/install-deps.sh --ci)")

    only = {Path(name).resolve() for name in arguments.files}
    files = project_files()
    ok = check_format([path for path in files if not only or path in only], arguments.fix_format)

    configure()
    sources, headers = find_units(files)
    if only:
        sources = [unit for unit in sources if unit.path in only]
        headers = [unit for unit in headers if unit.path in only]
    linter = Linter()
    broken = check_all("clang++", linter.compile, sources + headers, arguments.jobs)
    # Of those, clang-tidy would only say the same again.
    sources = [unit for unit in sources if unit not in broken]
    changed = None if arguments.all or only else changed_files()
    if changed is None and not arguments.all and not only:
        sources = [unit for unit in sources if unit.name.startswith(("pkg/", "cmd/"))]
    if changed is not None:
        sources = [unit for unit in sources
                   if any(Path(path) in changed for path in linter.cache.dependencies(unit))]
    untidy = check_all("clang-tidy", linter.tidy, sources, arguments.jobs)
    return 0 if ok and not broken and not untidy else 1


if __name__ == "__main__":
    sys.exit(main())
