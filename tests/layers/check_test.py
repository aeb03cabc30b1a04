#!/usr/bin/env python3
"""Shows that check.py accepts a good tree and finds each kind of fault in a bad one."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))
import check  # noqa: E402

GOOD = {
    "layers.txt": "base 0 TRUE \nlog 1 FALSE base\nhttp 2 TRUE base\nnet 2 FALSE log,base\n",
    "pkg/base/CMakeLists.txt": "rproxy_library(base LAYER 0 PURE HEADERS clock.h hash.h)\n",
    "pkg/base/clock.h": "#pragma once\n#include <chrono>\n"
                        "inline auto now() { return std::chrono::steady_clock::now(); }\n",
    "pkg/base/hash.h": "/// Hashes.\n#pragma once\n",
    "pkg/log/CMakeLists.txt": "rproxy_library(log LAYER 1 HEADERS log.h SOURCES log.cpp\n"
                              "    PUBLIC base PRIVATE spdlog::spdlog)\n",
    "pkg/log/log.h": '#pragma once\n#include "base/clock.h"\n',
    "pkg/log/log.cpp": '#include "log/log.h"\n#include <spdlog/spdlog.h>\n',
    "pkg/http/CMakeLists.txt": "rproxy_library(http LAYER 2 PURE HEADERS head.h PUBLIC base)\n",
    "pkg/http/head.h": '#pragma once\n#include "base/hash.h"\n#include <string>\n'
                       "// getenv is named here only\n",
    "pkg/net/CMakeLists.txt": "rproxy_library(net LAYER 2 HEADERS socket.h SOURCES socket.cpp\n"
                              "    PUBLIC log  # for its levels\n    PRIVATE base)\n",
    "pkg/net/socket.h": '#pragma once\n#include "log/log.h"\n',
    "pkg/net/socket.cpp": '#include "net/socket.h"\n#include <sys/socket.h>\n#include "base/hash.h"\n'
                          '#include <boost/asio.hpp>\n',
    "cmd/rproxy/main.cpp": "#include <httplib.h>\n#include <nlohmann/json.hpp>\n",
    "docs/notes.md": "nginx calls a pool `upstream`, see https://nginx.org/ngx_http_upstream.html\n",
}


class Layers(unittest.TestCase):
    def findings(self, **changes):
        """What is found in GOOD with these files changed; __ in a name stands for a slash."""
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            files = dict(GOOD)
            for name, text in changes.items():
                path = name.replace("__", "/").replace("_h", ".h").replace("_cpp", ".cpp")
                path = path.replace("_txt", ".txt").replace("_md", ".md")
                files[path] = text
            for name, text in files.items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return [finding.replace(f"{root}/", "")
                    for finding in check.check(root, root / "layers.txt")]

    def assert_found(self, expected, **changes):
        findings = self.findings(**changes)
        self.assertEqual(1, len(findings), findings)
        self.assertIn(expected, findings[0])

    def test_accepts_a_good_tree(self):
        self.assertEqual([], self.findings())

    def test_finds_an_undeclared_dependency(self):
        findings = self.findings(pkg__http__head_h='#pragma once\n#include "base/hash.h"\n'
                                                   '#include "log/log.h"\n')
        self.assertEqual(['pkg/http/head.h:3: "log/log.h", but http does not declare log'], findings)

    def test_finds_an_unused_dependency(self):
        self.assert_found("pkg/http: declares base, but includes nothing of it",
                          pkg__http__head_h="#pragma once\n")

    def test_does_not_count_an_include_in_a_comment(self):
        self.assert_found("pkg/http: declares base, but includes nothing of it",
                          pkg__http__head_h='#pragma once\n/*\n#include "base/hash.h"\n*/\n')

    def test_finds_an_include_of_a_higher_layer(self):
        findings = self.findings(
            pkg__log__log_h='#pragma once\n#include "base/clock.h"\n#include "net/socket.h"\n',
            layers_txt=GOOD["layers.txt"].replace("log 1 FALSE base", "log 1 FALSE base,net"),
            pkg__log__CMakeLists_txt="rproxy_library(log LAYER 1 HEADERS log.h SOURCES log.cpp\n"
                                     "    PUBLIC base net)\n")
        self.assertEqual(['pkg/log/log.h:3: "net/socket.h" is of layer 2, log of layer 1'], findings)

    def test_finds_an_include_that_names_no_library(self):
        self.assert_found('"hash.h" is not of the form', pkg__base__clock_h='#pragma once\n#include "hash.h"\n')

    def test_finds_third_party_outside_of_its_owner(self):
        self.assert_found("<spdlog/spdlog.h> may be included by log only",
                          pkg__net__socket_h='#pragma once\n#include "log/log.h"\n'
                                             "#include <spdlog/spdlog.h>\n")
        self.assert_found("<prometheus/counter.h> may be included by metrics only",
                          cmd__rproxy__main_cpp="#include <prometheus/counter.h>\n")

    def test_finds_third_party_without_an_owner(self):
        self.assert_found("<boost/regex.hpp> belongs to no library",
                          pkg__net__socket_h='#pragma once\n#include "log/log.h"\n'
                                             "#include <boost/regex.hpp>\n")

    def test_finds_impure_includes_and_code(self):
        start = '#pragma once\n#include "base/hash.h"\n'
        for include in ("thread", "mutex", "fstream", "iostream", "sys/socket.h"):
            self.assert_found(f"pkg/http/head.h:3: <{include}> in a pure library",
                              pkg__http__head_h=f"{start}#include <{include}>\n")
        for code in ("std::chrono::system_clock::now()", "std::chrono::steady_clock::now()",
                     "std::random_device{}()", 'std::getenv("HOME")'):
            self.assert_found("in a pure library",
                              pkg__http__head_h=f"{start}inline auto f() {{ return {code}; }}\n")

    def test_finds_the_wrong_visibility(self):
        self.assert_found("only sources include base, so it is PRIVATE",
                          pkg__net__CMakeLists_txt="rproxy_library(net LAYER 2 HEADERS socket.h\n"
                                                   "    SOURCES socket.cpp PUBLIC base log)\n")
        self.assert_found("headers include log, so it is PUBLIC",
                          pkg__net__CMakeLists_txt="rproxy_library(net LAYER 2 HEADERS socket.h\n"
                                                   "    SOURCES socket.cpp PRIVATE base log)\n")

    def test_finds_a_file_that_is_not_built(self):
        self.assert_found("pkg/net/lost.cpp: not listed under SOURCES", pkg__net__lost_cpp="\n")

    def test_finds_a_folder_that_is_not_built(self):
        self.assert_found("pkg/lost: has sources", pkg__lost__lost_cpp="\n")

    def test_finds_a_header_without_pragma_once(self):
        self.assert_found("does not begin with #pragma once",
                          pkg__base__hash_h="#include <string>\n#pragma once\n")

    def test_finds_a_source_that_does_not_begin_with_its_header(self):
        self.assert_found("the first include is not its own header",
                          pkg__net__socket_cpp='#include <vector>\n#include "net/socket.h"\n'
                                               '#include "base/hash.h"\n')

    def test_finds_banned_words(self):
        self.assert_found("docs/notes.md:1: 'Upstream'", docs__notes_md="Upstream servers\n")
        self.assert_found("pkg/base/hash.h:2: 'downstream'",
                          pkg__base__hash_h='#pragma once\n/// "downstream" hashes\n')

    def test_finds_an_empty_declaration(self):
        self.assertIn("layers.txt: declares no library", self.findings(layers_txt="\n"))


if __name__ == "__main__":
    unittest.main()
