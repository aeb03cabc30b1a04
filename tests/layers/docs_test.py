#!/usr/bin/env python3
"""Shows that docs.py finds what it is there to find."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))
import docs  # noqa: E402


class Links(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.page = Path(self.folder.name, "a.md").resolve()
        self.page.with_name("b.md").write_text("# One `two` three!\n", encoding="utf-8")
        self.page.write_text("# Here\n", encoding="utf-8")

    def tearDown(self):
        self.folder.cleanup()

    def broken(self, text):
        return list(docs.broken_links(self.page, text))

    def test_good_ones_pass(self):
        self.assertEqual(self.broken("[b](b.md) [c](b.md#one-two-three) [d](#here) "
                                     "[e](https://example.com/x)\n```\n[f](none.md)\n```\n"), [])

    def test_missing_file(self):
        self.assertEqual(len(self.broken("[b](c.md)")), 1)
        self.assertEqual(len(self.broken('<img src="c.png">')), 1)

    def test_missing_heading(self):
        self.assertEqual(len(self.broken("[b](b.md#two)")), 1)
        self.assertEqual(len(self.broken("[b](#there)")), 1)


class Names(unittest.TestCase):
    def test_files(self):
        files = ["/pkg/net/fd.h"]
        self.assertEqual(list(docs.missing_files("p", "`net/fd.h` `fd.h`", files)), [])
        self.assertEqual(len(list(docs.missing_files("p", "`d.h`", files))), 1)

    def test_configurations(self):
        text = ("```yaml\nbackends: []\n```\n```yaml\n# values: x\n```\n```sh\nls\n```\n"
                "```yaml\nkind: ConfigMap\ndata:\n  rproxy.yaml: |\n    a: 1\n    b:\n      - 2\n```\n")
        self.assertEqual(list(docs.configurations(text)),
                         ["backends: []\n", "a: 1\nb:\n  - 2\n"])

    def test_bad_configuration(self):
        block = "```yaml\na: 1\n```\n"
        self.assertEqual(len(list(docs.bad_configurations("p", block, "/bin/false"))), 1)
        self.assertEqual(list(docs.bad_configurations("p", block, "/bin/true")), [])

    def test_rows(self):
        self.assertEqual(docs.documented_rows("| Row | x |\n|---|---|\n| `a`, `b-1.0` | `c` |\n"),
                         {"a", "b-1.0"})
        self.assertEqual(docs.tested_rows('{"one", x},\n edited("b-1.0", y),\n unchanged(\n "see",\n'
                                          '// row: four\nTEST(E, F) {'),
                         {"one", "b-1.0", "see", "four"})


if __name__ == "__main__":
    unittest.main()
