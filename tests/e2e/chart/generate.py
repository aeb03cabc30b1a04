#!/usr/bin/env python3
"""Generates values.schema.json and README.md of the chart from the comments in values.yaml.

    generate.py --config-schema FILE [--check]

Above a key, `# -- TEXT` is its description and `# @schema {…}` what JSON Schema the default alone
does not tell. A map without a description is closed: only the keys in values.yaml are allowed. The
property `config` gets FILE, the output of `rproxy schema`. --check writes nothing and fails when
the files on disk are not what would be written.
"""

import argparse
import json
import pathlib
import re
import sys

import yaml

CHART = pathlib.Path(__file__).resolve().parents[3] / "charts" / "rproxy"
KEY = re.compile(r"^( *)([A-Za-z]\w*):")

# What several values share. Shapes that Kubernetes itself owns and checks (affinity, volumes …)
# stay open on purpose: a copy of them here would refuse what a newer cluster accepts.
DEFS = {
    "strings": {"type": "object", "additionalProperties": {"type": "string"}},
    "port": {"type": "integer", "minimum": 1, "maximum": 65535},
    "countOrShare": {"oneOf": [{"type": "null"}, {"type": "integer", "minimum": 0},
                               {"type": "string", "pattern": "^[0-9]{1,3}%$"}]},
    "pullSecret": {"oneOf": [{"type": "string", "minLength": 1},
                             {"type": "object", "additionalProperties": False, "required": ["name"],
                              "properties": {"name": {"type": "string", "minLength": 1}}}]},
    "quantities": {"type": "object", "additionalProperties": {"type": ["string", "number"]}},
    "resources": {"type": "object", "additionalProperties": False,
                  "properties": {"requests": {"$ref": "#/$defs/quantities"},
                                 "limits": {"$ref": "#/$defs/quantities"},
                                 "claims": {"type": "array", "items": {"type": "object"}}}},
    "strategy": {"type": "object", "additionalProperties": False,
                 "properties": {"type": {"enum": ["RollingUpdate", "Recreate", "OnDelete"]},
                                "rollingUpdate": {
                                    "type": ["object", "null"], "additionalProperties": False,
                                    "properties": {
                                        "maxUnavailable": {"$ref": "#/$defs/countOrShare"},
                                        "maxSurge": {"$ref": "#/$defs/countOrShare"}}}}},
    "probe": {"type": "object", "additionalProperties": False,
              "properties": {"enabled": {"type": "boolean"},
                             **{key: {"type": "integer", "minimum": 1} for key in (
                                 "periodSeconds", "timeoutSeconds", "failureThreshold",
                                 "successThreshold")},
                             "initialDelaySeconds": {"type": "integer", "minimum": 0}}},
}


def comments(lines):
    """Yields (path, description, schema) of every key that has a description."""
    stack, description, schema = [], None, {}
    for line in lines:
        text = line.strip()
        if text.startswith("# -- "):
            description = text[5:]
        elif text.startswith("# @schema "):
            schema = yaml.safe_load(text[10:])
        elif match := KEY.match(line):
            stack = stack[: len(match[1]) // 2] + [match[2]]
            if description is not None:
                yield tuple(stack), description, schema
            description, schema = None, {}


def of_default(default):
    """The schema that a default tells by itself."""
    if isinstance(default, bool):
        return {"type": "boolean"}
    if isinstance(default, int):
        return {"type": "integer", "minimum": 0}
    if isinstance(default, str):
        return {"type": "string"}
    if isinstance(default, list):
        return {"type": "array"}
    if isinstance(default, dict):
        return {"type": "object"}
    return {}


def schema_of(values, documented, path=()):
    properties = {}
    for key, default in values.items():
        here = (*path, key)
        if here in documented:
            description, extra = documented[here]
            base = {} if {"enum", "$ref", "type"} & set(extra) else of_default(default)
            properties[key] = {"description": description, **base, **extra, "default": default}
        elif isinstance(default, dict):
            properties[key] = schema_of(default, documented, here)
        else:
            sys.exit(f"values.yaml: {'.'.join(here)} has no description ('# -- …')")
    # `global` is shared with the other charts of an umbrella chart.
    return {"type": "object", "additionalProperties": path == ("global",), "properties": properties}


def embedded(schema, prefix):
    """`schema` as it must be inside another one that Helm reads.

    Its references point below `prefix`. And Helm reads an unquoted key `on` as the boolean true,
    which the chart's template turns back.
    """
    if isinstance(schema, list):
        return [embedded(item, prefix) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {}
    for key, value in schema.items():
        if key == "$ref" and str(value).startswith("#"):
            result[key] = prefix + value[1:]
        else:
            result[key] = embedded(value, prefix)
    properties = result.get("properties")
    if isinstance(properties, dict) and "on" in properties:
        properties["true"] = properties["on"]
    return result


def values_schema(values, documented, config_schema):
    config = embedded(config_schema, "#/$defs/config")
    for key in ("$schema", "$id"):
        config.pop(key, None)
    # The chart itself adds `backends: []` when the file has neither.
    if "oneOf" in config:
        config["oneOf"].append({"properties": {"pools": False, "backends": False}})
    return {"$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Values of the rproxy chart",
            **schema_of(values, documented),
            "$defs": {**DEFS, "config": config}}


def table(values, documented):
    rows = ["| Key | Default | Meaning |", "|---|---|---|"]
    for path, (description, _) in documented.items():
        default = values
        for key in path:
            default = default[key]
        shown = json.dumps(default, ensure_ascii=False).replace("|", "\\|")
        rows.append(f"| `{'.'.join(path)}` | `{shown}` | {description.replace('|', chr(92) + '|')} |")
    return "\n".join(rows)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config-schema", required=True, type=pathlib.Path)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()

    text = (CHART / "values.yaml").read_text()
    values = yaml.safe_load(text)
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    documented = {path: (what, schema) for path, what, schema in comments(text.splitlines())}
    schema = values_schema(values, documented, json.loads(arguments.config_schema.read_text()))
    readme = (CHART / "README.md.in").read_text()
    for name, replacement in {"@VERSION@": chart["version"], "@APP_VERSION@": chart["appVersion"],
                              "@KUBE_VERSION@": chart["kubeVersion"],
                              "@VALUES@": table(values, documented)}.items():
        readme = readme.replace(name, replacement)

    stale = []
    for name, wanted in {"values.schema.json": json.dumps(schema, indent=1) + "\n",
                         "README.md": readme}.items():
        path = CHART / name
        if path.exists() and path.read_text() == wanted:
            continue
        stale.append(name)
        if not arguments.check:
            path.write_text(wanted)
    if arguments.check and stale:
        sys.exit(f"charts/rproxy: {', '.join(stale)} out of date; run hack/update-chart-schema.sh")
    print(f"{'checked' if arguments.check else 'written'}: {len(documented)} values")


if __name__ == "__main__":
    main()
