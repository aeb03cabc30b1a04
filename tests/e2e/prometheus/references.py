#!/usr/bin/env python3
"""What dashboards and alerts name exists.

Compares every metric, label and label value in the expressions of charts/rproxy/dashboards and
charts/rproxy/alerts with the table in docs/metrics.md (generated from, and tested against, the
table in the program); every alert with its section in docs/operations.md; and checks what Grafana
would not tell but show as an empty or odd page: unknown variables, panels that overlap or leave the
grid, ids that are not unique.

Also the list of expressions for live.py and grafana/check.mjs: references.py --expressions.
"""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
DASHBOARDS = ROOT / "charts" / "rproxy" / "dashboards"
ALERTS = ROOT / "charts" / "rproxy" / "alerts"

# What Prometheus or the scrape configuration adds.
TARGET_LABELS = {"namespace", "job", "instance"}
METRIC = re.compile(r"\b(?:rproxy|process)_[a-z0-9_]+\b")
SELECTOR = re.compile(r"\b((?:rproxy|process)_[a-z0-9_]+)\{([^}]*)\}")
MATCHER = re.compile(r'\s*([a-z_]+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"\s*')
GROUPING = re.compile(r"\b(?:by|on|ignoring|without)\s*\(([^)]*)\)")
VARIABLE = re.compile(r"\$\{?([A-Za-z_]+)")
BUILT_IN_VARIABLES = {"__rate_interval", "__range", "__interval", "__value", "__data", "__field",
                      "__url_time_range", "__all"}


def families():
    """name → (type, {label: set of known values or None})."""
    found = {}
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    for name, labels, kind, meaning in re.findall(
            r"^\| `([a-z0-9_]+)(?:\{([^}]*)\})?` \| (\w+) \| (.*) \|$", text, re.MULTILINE):
        of = {label.strip(): None for label in labels.split(",")} if labels else {}
        for label, values in re.findall(r"`(\w+)`: ((?:`[^`]+`(?:, )?)+)\.", meaning):
            of[label] = set(re.findall(r"`([^`]+)`", values))
        found[name] = (kind, of)
    return found


def resolve(name, known):
    """The family that a metric name belongs to, with the labels of its series."""
    if name in known and known[name][0] != "histogram":
        return known[name][1]
    for suffix, extra in (("_bucket", {"le": None}), ("_sum", {}), ("_count", {})):
        family = name.removesuffix(suffix)
        if name.endswith(suffix) and known.get(family, ("", {}))[0] == "histogram":
            return known[family][1] | extra
    return None


def dashboards():
    return {path.name: json.loads(path.read_text(encoding="utf-8"))
            for path in sorted(DASHBOARDS.glob("*.json"))}


def rule_groups(text):
    """(alert, expression) of a rule file in the layout that ours have; no YAML library needed."""
    for block in re.split(r"\n\s+- alert: ", text)[1:]:
        name = block.split("\n", 1)[0].strip()
        body = re.search(r"\n(\s+)expr: \|\n((?:\1  .*\n|\n)+)", block)
        yield name, re.sub(r"^\s+", "", body.group(2), flags=re.MULTILINE) if body else ""


def alerts():
    return [(path.name, name, expression) for path in sorted(ALERTS.glob("*.yaml"))
            for name, expression in rule_groups(path.read_text(encoding="utf-8"))]


def expressions():
    """Every expression: where it is, what it is for, and its text."""
    for file, board in dashboards().items():
        for each in board["annotations"]["list"]:
            if "expr" in each:
                yield {"file": file, "title": f"annotation {each['name']}", "expr": each["expr"],
                       "kind": "annotation"}
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                yield {"file": file, "title": f"{panel['title']} / {target['refId']}",
                       "expr": target["expr"], "panel": panel["type"],
                       "kind": "instant" if target["instant"] else "range"}
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                yield {"file": file, "title": f"variable {variable['name']}",
                       "expr": variable["definition"], "kind": "variable"}
    for file, name, expression in alerts():
        yield {"file": file, "title": f"alert {name}", "expr": expression, "kind": "alert"}


def wrong_selectors(expr, known):
    for name, matchers in SELECTOR.findall(expr):
        labels = resolve(name, known) or {}
        if MATCHER.sub("", matchers).replace(",", "").strip():
            yield f"{name}{{{matchers}}}: not understood"
        for label, _, value in MATCHER.findall(matchers):
            if label not in labels and label not in TARGET_LABELS:
                yield f"{name} has no label {label}"
            values = labels.get(label)
            wanted = set(value.split("|")) if value and "$" not in value else set()
            if values is not None and wanted - values:
                yield f"{name}{{{label}}} is never {', '.join(sorted(wanted - values))}"


def wrong_in_expression(expr, known):
    names = set(METRIC.findall(expr))
    all_labels = set(TARGET_LABELS) | {"le"}
    for name in sorted(names):
        labels = resolve(name, known)
        if labels is None:
            yield f"{name} is not in docs/metrics.md"
        all_labels |= set(labels or {})
    if not names:
        yield "names no metric of ours"
    for group in GROUPING.findall(expr):
        for label in filter(None, (part.strip() for part in group.split(","))):
            if label not in all_labels:
                yield f"none of its metrics has the label {label}"
    yield from wrong_selectors(expr, known)


def wrong_layout(board):
    ids = [panel["id"] for panel in board["panels"]]
    if len(set(ids)) != len(ids):
        yield "panel ids are not unique"
    taken = {}
    for panel in board["panels"]:
        place = panel["gridPos"]
        if place["x"] + place["w"] > 24:
            yield f"{panel['title']}: wider than the page"
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                other = taken.setdefault((x, y), panel["title"])
                if other != panel["title"]:
                    yield f"{panel['title']} lies on {other}"
                    return
        if panel["type"] != "row" and not panel.get("description"):
            yield f"{panel['title']}: no description"
        if panel["type"] not in ("row", "heatmap", "state-timeline", "table") and \
                "unit" not in panel["fieldConfig"]["defaults"]:
            yield f"{panel['title']}: no unit"
        if panel["type"] == "timeseries":
            for target in panel["targets"]:
                if not target.get("legendFormat"):
                    only_one = len(panel["targets"]) == 1 and " by (" not in target["expr"]
                    if not only_one:
                        yield f"{panel['title']}: no legend"


def wrong_variables(board):
    known = {variable["name"] for variable in board["templating"]["list"]} | BUILT_IN_VARIABLES
    for name in sorted(set(VARIABLE.findall(json.dumps(board))) - known):
        # Other dashboards' variables in links to them are given as var-NAME=, not as $NAME.
        yield f"variable ${name} is not defined"


def problems():
    known = families()
    if len(known) < 60:
        yield "docs/metrics.md: the table was not understood"
        return
    seen = set()
    for each in expressions():
        seen.add(each["file"])
        yield from (f"{each['file']}: {each['title']}: {what}"
                    for what in wrong_in_expression(each["expr"], known))
    if len(seen) != 4:
        yield f"expected three dashboards and one rule file, found {sorted(seen)}"
    uids = set()
    for file, board in dashboards().items():
        yield from (f"{file}: {what}" for what in (*wrong_layout(board), *wrong_variables(board)))
        uids.add(board["uid"])
    for file, board in dashboards().items():
        for uid in re.findall(r"/d/([\w-]+)", json.dumps(board)):
            if uid not in uids:
                yield f"{file}: link to dashboard {uid}, which does not exist"
    runbook = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    rules = (ALERTS / "rproxy.yaml").read_text(encoding="utf-8")
    for _, name, expression in alerts():
        if not expression:
            yield f"{name}: its expression was not found"
        if f"### {name}\n" not in runbook:
            yield f"{name}: no section in docs/operations.md"
        if f"docs/operations.md#{name.lower()}\n" not in rules:
            yield f"{name}: runbook_url does not lead to its section"


def main():
    if sys.argv[1:] == ["--expressions"]:
        json.dump(list(expressions()), sys.stdout, indent=1)
        return 0
    found = list(problems())
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
