#!/usr/bin/env python3
"""Writes the Grafana dashboards of the chart, charts/rproxy/dashboards/*.json.

    hack/dashboards.py [--check]

--check writes nothing and fails if a checked-in file differs from what would be written. The JSON
is plain: it can be imported by hand, and needs only a Prometheus data source. It says schemaVersion
38 (Grafana 10.0), which Grafana 10 to 12 load as it is or upgrade when loading.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "charts" / "rproxy" / "dashboards"

SCHEMA_VERSION = 38
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

# Label matchers of the variables. A namespace may be missing outside Kubernetes: "All" is ".*",
# which matches an absent label too.
RELEASE = 'namespace=~"$namespace", job=~"$release"'
POOL = RELEASE + ', pool=~"$pool"'
BACKEND = POOL + ', backend=~"$backend"'
RATE = "[$__rate_interval]"

GREEN, YELLOW, ORANGE, RED = "green", "#EAB839", "orange", "red"
CODE_COLORS = {"1xx": "purple", "2xx": "green", "3xx": "blue", "4xx": "#EAB839", "5xx": "red",
               "error": "dark-red"}
# By how bad a state is, so that max() over replicas shows the worst that any of them sees.
STATES = [("up", "green"), ("slow_start", "light-green"), ("unknown", "blue"),
          ("draining", "purple"), ("disabled", "#808080"), ("ejected", "orange"), ("down", "red")]


# ---------------------------------------------------------------- PromQL

def rate(metric, matchers, by="", window=RATE):
    return f"sum{f' by ({by}) ' if by else ''}(rate({metric}{{{matchers}}}{window}))"


def share(part, whole):
    return f"{part}\n/\n{whole}"


def quantile(q, metric, matchers, by=""):
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({q}, {rate(metric + '_bucket', matchers, labels)})"


def requests(matchers, by="", code=None):
    """Requests of clients. Not rproxy_pool_requests_total: its codes appear only once seen, and a
    rate() misses the first of them."""
    only = "" if code is None else f', code_class=~"{code}"'
    return rate("rproxy_pool_request_duration_seconds_count", matchers + only, by)


def worst_state(by):
    """1 up … 7 down, the worst over replicas."""
    parts = [f'(rproxy_backend_state{{{BACKEND}, state="{state}"}} == 1) * {number}'
             for number, (state, _) in enumerate(STATES, start=1)]
    return f"max by ({by}) (\n  " + "\n  or ".join(parts) + "\n)"


# ---------------------------------------------------------------- parts of panels

def query(expr, legend="", *, instant=False, table=False, heatmap=False):
    target = {"datasource": DATASOURCE, "editorMode": "code", "expr": expr,
              "instant": instant or table, "range": not (instant or table)}
    if legend:
        target["legendFormat"] = legend
    target["format"] = "table" if table else "heatmap" if heatmap else "time_series"
    return target


def thresholds(*steps, base=GREEN):
    return {"mode": "absolute",
            "steps": [{"color": base, "value": None},
                      *({"color": color, "value": value} for value, color in steps)]}


def override(name, *properties, regexp=False):
    return {"matcher": {"id": "byRegexp" if regexp else "byName", "options": name},
            "properties": [{"id": key, "value": value} for key, value in properties]}


def fixed_color(color):
    return "color", {"mode": "fixed", "fixedColor": color}


def state_mappings():
    return [{"type": "value", "options": {
        str(number): {"text": state.replace("_", " "), "color": color, "index": number}
        for number, (state, color) in enumerate(STATES, start=1)}}]


def no_traffic():
    return [{"type": "special", "options": {
        "match": "nan", "result": {"text": "no traffic", "color": "text", "index": 0}}}]


def panel(kind, title, description, targets, *, width, height, options, defaults=None,
          overrides=None, transformations=None, links=None):
    for letter, target in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", targets):
        target["refId"] = letter
    built = {"type": kind, "title": title, "description": description, "datasource": DATASOURCE,
             "gridPos": {"x": 0, "y": 0, "w": width, "h": height}, "targets": targets,
             "fieldConfig": {"defaults": defaults or {}, "overrides": overrides or []},
             "options": options}
    if transformations:
        built["transformations"] = transformations
    if links:
        built["links"] = links
    return built


def stat(title, description, expr, unit, steps=None, *, width=3, decimals=None, mappings=None,
         no_value=None, graph="area", links=None):
    defaults = {"unit": unit, "color": {"mode": "thresholds"},
                "thresholds": steps or thresholds(base="blue"), "mappings": mappings or []}
    if decimals is not None:
        defaults["decimals"] = decimals
    if no_value is not None:
        defaults["noValue"] = no_value
    options = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
               "colorMode": "value", "graphMode": graph, "justifyMode": "auto",
               "orientation": "auto", "textMode": "value", "wideLayout": True}
    return panel("stat", title, description, [query(expr)], width=width, height=4, options=options,
                 defaults=defaults, links=links)


def graph(title, description, targets, unit, *, width=8, height=8, stack=False, bars=False,
          steps=None, overrides=None, lowest=0, calcs=("mean", "max", "lastNotNull"), highest=None,
          mappings=None, stepped=False):
    custom = {"drawStyle": "bars" if bars else "line", "lineWidth": 1,
              "fillOpacity": 60 if bars else 25 if stack else 8, "showPoints": "never",
              "spanNulls": False, "lineInterpolation": "stepAfter" if stepped else "linear",
              "stacking": {"group": "A", "mode": "normal" if stack else "none"},
              "thresholdsStyle": {"mode": "line" if steps else "off"}}
    defaults = {"unit": unit, "custom": custom, "color": {"mode": "palette-classic"},
                "thresholds": steps or thresholds(), "mappings": mappings or []}
    if lowest is not None:
        defaults["min"] = lowest
    if highest is not None:
        defaults["max"] = highest
    options = {"legend": {"displayMode": "table", "placement": "bottom", "showLegend": True,
                          "calcs": list(calcs), "sortBy": "Max" if "max" in calcs else "Last *",
                          "sortDesc": True},
               "tooltip": {"mode": "multi", "sort": "desc"}}
    return panel("timeseries", title, description, targets, width=width, height=height,
                 options=options, defaults=defaults, overrides=overrides)


def state_timeline(title, description, targets, mappings, *, width=24, height=8):
    options = {"mergeValues": True, "showValue": "auto", "alignValue": "left", "rowHeight": 0.8,
               "perPage": 40, "legend": {"displayMode": "list", "placement": "bottom",
                                        "showLegend": True, "calcs": []},
               "tooltip": {"mode": "single", "sort": "none"}}
    defaults = {"custom": {"lineWidth": 0, "fillOpacity": 80},
                "color": {"mode": "thresholds"}, "thresholds": thresholds(base="text"),
                "mappings": mappings}
    return panel("state-timeline", title, description, targets, width=width, height=height,
                 options=options, defaults=defaults)


def table(title, description, columns, *, width=24, height=9, keys=(), sort=None, links=None):
    """`columns`: (title, expr, properties) each; joined over the labels that they have. `keys`:
    (label, title, properties) of the labels to show, in order; other labels and times are hidden."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    rename = {label: shown for label, shown, _ in keys}
    order = {label: number for number, (label, _, _) in enumerate(keys)}
    overrides = [override(shown, *properties) for _, shown, properties in keys if properties]
    targets = []
    for letter, (shown, expr, properties) in zip(letters, columns):
        targets.append(query(expr, table=True))
        rename[f"Value #{letter}"] = shown
        order[f"Value #{letter}"] = len(order)
        if shown:
            overrides.append(override(shown, *properties))
    exclude = {"Time": True}
    exclude |= {name: True for name, shown in rename.items() if not shown}
    transformations = [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": exclude, "indexByName": order,
                                       "renameByName": {n: s for n, s in rename.items() if s}}}]
    options = {"showHeader": True, "cellHeight": "sm",
               "sortBy": [{"displayName": sort[0], "desc": sort[1]}] if sort else []}
    defaults = {"custom": {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False,
                           "filterable": True},
                "color": {"mode": "thresholds"}, "thresholds": thresholds(base="text"),
                "mappings": []}
    return panel("table", title, description, targets, width=width, height=height, options=options,
                 defaults=defaults, overrides=overrides, transformations=transformations,
                 links=links)


def heatmap(title, description, expr, *, width=8, height=8):
    options = {
        "calculate": False, "cellGap": 1, "cellValues": {"unit": "reqps"},
        "color": {"mode": "scheme", "scheme": "Oranges", "scale": "exponential", "exponent": 0.5,
                  "steps": 64, "reverse": False, "fill": "dark-orange"},
        "exemplars": {"color": "rgba(255,0,255,0.7)"}, "filterValues": {"le": 1e-9},
        "legend": {"show": True}, "rowsFrame": {"layout": "auto"}, "showValue": "never",
        "tooltip": {"mode": "single", "yHistogram": True, "showColorScale": False},
        "yAxis": {"axisPlacement": "left", "unit": "s", "reverse": False}}
    defaults = {"custom": {"hideFrom": {"legend": False, "tooltip": False, "viz": False},
                           "scaleDistribution": {"type": "linear"}}}
    return panel("heatmap", title, description, [query(expr, "{{le}}", heatmap=True)], width=width,
                 height=height, options=options, defaults=defaults)


# ---------------------------------------------------------------- dashboards

def variable(name, label, labels_of, matchers, label_name):
    definition = f"label_values({labels_of}{{{matchers}}}, {label_name})" if matchers else \
        f"label_values({labels_of}, {label_name})"
    return {"type": "query", "name": name, "label": label, "datasource": DATASOURCE,
            "definition": definition, "query": {"query": definition, "refId": "StandardVariableQuery"},
            "refresh": 2, "sort": 1, "multi": True, "includeAll": True, "allValue": ".*",
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]}, "options": [],
            "regex": "", "hide": 0, "skipUrlSync": False}


def variables(with_pool, with_backend):
    chosen = [
        {"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus",
         "refresh": 1, "regex": "", "multi": False, "includeAll": False,
         "current": {"selected": False, "text": "default", "value": "default"},
         "options": [], "hide": 0, "skipUrlSync": False},
        variable("namespace", "Namespace", "rproxy_build_info", "", "namespace"),
        variable("release", "Release", "rproxy_build_info", 'namespace=~"$namespace"', "job")]
    if with_pool:
        chosen.append(variable("pool", "Pool", "rproxy_pool_backends", RELEASE, "pool"))
    if with_backend:
        chosen.append(variable("backend", "Backend", "rproxy_backend_up", POOL, "backend"))
    return {"list": chosen}


def event(name, color, expr, title, text, enable=True):
    return {"name": name, "datasource": DATASOURCE, "enable": enable, "hide": False,
            "iconColor": color, "expr": expr, "step": "15s", "titleFormat": title,
            "textFormat": text, "useValueForTime": True}


def annotations():
    """Marks at the moment of the event: the value is the time, in milliseconds."""
    return {"list": [
        {"builtIn": 1, "datasource": {"type": "grafana", "uid": "-- Grafana --"}, "enable": True,
         "hide": True, "iconColor": "rgba(0, 211, 255, 1)", "name": "Annotations & Alerts",
         "type": "dashboard"},
        event("Reloads", "blue",
              f"rproxy_config_last_reload_success_timestamp_seconds{{{RELEASE}}} * 1000",
              "Configuration applied", "{{instance}}"),
        event("Rejected reloads", "orange",
              f"(rproxy_config_last_reload_timestamp_seconds{{{RELEASE}}} and on (namespace, job, "
              f"instance) rproxy_config_last_reload_successful{{{RELEASE}}} == 0) * 1000",
              "Configuration rejected", "{{instance}}"),
        event("Crashes", "red",
              "max by (pool, backend) "
              f"(rproxy_backend_last_crash_timestamp_seconds{{{RELEASE}}}) * 1000",
              "Backend crashed", "{{pool}} / {{backend}}")]}


def dashboard(uid, title, description, rows, *, with_pool=True, with_backend=False):
    panels = []
    y = 0
    for heading, members in rows:
        panels.append({"type": "row", "title": heading, "collapsed": False, "panels": [],
                       "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}})
        y += 1
        x = line = 0
        for member in members:
            place = member["gridPos"]
            if x + place["w"] > 24:
                x, y, line = 0, y + line, 0
            place["x"], place["y"] = x, y
            x, line = x + place["w"], max(line, place["h"])
            panels.append(member)
        y += line
    for number, each in enumerate(panels, start=1):
        each["id"] = number
    return {
        "uid": uid, "title": title, "description": description, "tags": ["rproxy"],
        "schemaVersion": SCHEMA_VERSION, "version": 1, "editable": True, "graphTooltip": 1,
        "timezone": "browser", "refresh": "30s", "time": {"from": "now-1h", "to": "now"},
        "fiscalYearStartMonth": 0, "liveNow": False, "weekStart": "",
        "annotations": annotations(), "templating": variables(with_pool, with_backend),
        "links": [{"type": "dashboards", "title": "rproxy", "tags": ["rproxy"], "asDropdown": False,
                   "icon": "dashboard", "includeVars": True, "keepTime": True, "targetBlank": False,
                   "tooltip": "", "url": ""}],
        "panels": panels}


def to_backends(title="Backends of this pool", field="${__field.labels.pool}"):
    return {"title": title, "targetBlank": False,
            "url": f"/d/rproxy-backends/?var-pool={field}"
                   "&${datasource:queryparam}&${namespace:queryparam}&${release:queryparam}"
                   "&${__url_time_range}"}


def code_overrides():
    return [override(code, fixed_color(color)) for code, color in CODE_COLORS.items()]


def state_overrides():
    return [override(state, fixed_color(color)) for state, color in STATES]


def seconds_ago(expr):
    """For unit dateTimeFromNow, which counts in milliseconds."""
    return f"{expr} * 1000"


def overview():
    error_steps = thresholds((0.01, YELLOW), (0.05, RED))
    now = [
        stat("Requests", "Requests of clients per second, over all replicas.",
             requests(POOL), "reqps"),
        stat("Errors", "Share of requests that ended with 5xx or with no answer. "
             "RproxyHighErrorRatio fires at 5 %.",
             share(requests(POOL, code="5xx|error"), requests(POOL)), "percentunit", error_steps,
             decimals=2, mappings=no_traffic()),
        stat("p99 latency", "99 of 100 requests took at most this long, retries and queueing "
             "included.", quantile(0.99, "rproxy_pool_request_duration_seconds", POOL), "s",
             thresholds((0.5, YELLOW), (2, RED)), mappings=no_traffic()),
        stat("Backends up", "Share of configured backends that are eligible for traffic, as the "
             "replica sees it that sees the fewest.",
             f"min(avg by (instance) (rproxy_backend_up{{{POOL}}}))", "percentunit",
             thresholds((0.5, YELLOW), (1, GREEN), base=RED), decimals=0, no_value="none"),
        stat("Pools all down", "Pools without a single backend that is up.",
             f"count(max by (namespace, job, pool) (rproxy_pool_all_down_since_timestamp_seconds"
             f"{{{POOL}}})) or vector(0)", "short", thresholds((1, RED)), decimals=0),
        stat("Retries", "Attempts after the first, as a share of requests. Much of it hides a sick "
             "backend.", share(rate("rproxy_pool_retries_total", POOL), requests(POOL)),
             "percentunit", thresholds((0.05, YELLOW), (0.2, RED)), decimals=2,
             mappings=no_traffic()),
        stat("Replicas ready", "Share of replicas whose /readyz says ready.",
             f"avg(rproxy_ready{{{RELEASE}}})", "percentunit",
             thresholds((0.5, YELLOW), (1, GREEN), base=RED), decimals=0),
        stat("Configurations", "Different configurations in force within one release. More than "
             "one for longer than a rollout means that replicas disagree.",
             f"max(count by (namespace, job) (count by (namespace, job, hash) "
             f"(rproxy_config_info{{{RELEASE}}})))", "short", thresholds((2, RED)), decimals=0),
    ]
    traffic = [
        graph("Requests by pool", "Requests of clients per second.",
              [query(requests(POOL, "pool"), "{{pool}}")], "reqps"),
        graph("Requests by status", "What clients got. error: they left before a status.",
              [query(requests(POOL, "code_class"), "{{code_class}}")], "reqps", stack=True,
              overrides=code_overrides()),
        graph("Error ratio by pool", "5xx and unanswered requests. The line is where "
              "RproxyHighErrorRatio fires.",
              [query(share(requests(POOL, "pool", "5xx|error"), requests(POOL, "pool")),
                     "{{pool}}")], "percentunit", steps=thresholds((0.05, RED))),
    ]
    latency = [
        graph("Latency", "From the request's head read to the response's end.",
              [query(quantile(q, "rproxy_pool_request_duration_seconds", POOL), f"p{name}")
               for q, name in ((0.5, "50"), (0.95, "95"), (0.99, "99"))], "s"),
        graph("p99 by pool", "99 of 100 requests took at most this long.",
              [query(quantile(0.99, "rproxy_pool_request_duration_seconds", POOL, "pool"),
                     "{{pool}}")], "s"),
        heatmap("Latency distribution", "Requests per second by how long they took. Two bands are "
                "two kinds of requests, or a slow backend among fast ones.",
                rate("rproxy_pool_request_duration_seconds_bucket", POOL, "le")),
    ]
    backends = [
        table("Pools", "A row for each pool; the name leads to its backends.", [
            ("Requests/s", requests(POOL, "pool"), [("unit", "reqps")]),
            ("Errors", share(requests(POOL, "pool", "5xx|error"), requests(POOL, "pool")),
             [("unit", "percentunit"), ("decimals", 2), ("thresholds", error_steps),
              ("mappings", no_traffic()),
              ("custom.cellOptions", {"type": "color-text"})]),
            ("p99", quantile(0.99, "rproxy_pool_request_duration_seconds", POOL, "pool"),
             [("unit", "s"), ("mappings", no_traffic())]),
            ("Up", f"min by (pool) (sum by (pool, instance) (rproxy_backend_up{{{POOL}}}))",
             [("unit", "short"), ("thresholds", thresholds((1, GREEN), base=RED)),
              ("custom.cellOptions", {"type": "color-text"})]),
            ("Backends", f"max by (pool) (count by (pool, instance) (rproxy_backend_up{{{POOL}}}))",
             [("unit", "short")]),
            ("In flight", f"sum by (pool) (rproxy_backend_requests_active{{{POOL}}})",
             [("unit", "short")]),
            ("Connections", f"sum by (pool) (rproxy_backend_connections_active{{{POOL}}})",
             [("unit", "short")]),
        ], width=16, height=8, sort=("Requests/s", True),
            keys=[("pool", "Pool", [("links", [to_backends(field="${__value.raw}")])])]),
        graph("Backends by state", "Over all pools, as the replica sees it that sees most of the "
              "state.",
              [query(f"max by (state) (sum by (state, instance) (rproxy_pool_backends{{{POOL}}})) "
                     "> 0", "{{state}}")], "short", stack=True, stepped=True,
              overrides=state_overrides(), calcs=("lastNotNull",)),
        graph("Retries by cause", "Attempts after the first.",
              [query(rate("rproxy_pool_retries_total", POOL, "reason") + " > 0", "{{reason}}")],
              "reqps", stack=True),
        graph("Retries denied", "Failed attempts that were not repeated. budget: the pool has spent "
              "its share of retries, so that a broken pool is not hit twice as hard.",
              [query(rate("rproxy_pool_retries_denied_total", POOL, "reason") + " > 0",
                     "{{reason}}")], "reqps", stack=True),
        graph("Answers of the proxy itself", "By X-Rproxy-Reason. Not limited to the chosen pools.",
              [query(rate("rproxy_local_responses_total", RELEASE, "reason") + " > 0",
                     "{{reason}}")], "reqps", stack=True),
        graph("Waiting for a backend", "Requests queued because every backend is at "
              "max_connections, and those refused or timed out per second.",
              [query(f"sum by (pool) (rproxy_pool_queue_length{{{POOL}}})", "{{pool}} waiting"),
               query(rate("rproxy_pool_queue_rejections_total", POOL, "pool, reason"),
                     "{{pool}} {{reason}}/s")], "short"),
        graph("Failing open", "Requests per second tried on backends that are down, because none "
              "is up.",
              [query(rate("rproxy_pool_fail_open_requests_total", POOL, "pool"), "{{pool}}")],
              "reqps"),
        graph("Tunnels", "WebSocket and other upgraded connections now open.",
              [query(f"sum by (pool) (rproxy_upgraded_connections_active{{{POOL}}})",
                     "{{pool}}")], "short"),
    ]
    process = [
        graph("Client connections", "Open connections of clients, by replica.",
              [query(f"sum by (instance) (rproxy_listener_connections_active{{{RELEASE}}})",
                     "{{instance}}")], "short"),
        graph("New client connections", "Accepted per second, and closed unheard (limit, memory, "
              "bad PROXY header).",
              [query(rate("rproxy_listener_connections_total", RELEASE, "listener"),
                     "{{listener}}"),
               query(rate("rproxy_listener_connections_rejected_total", RELEASE,
                          "listener, reason") + " > 0", "{{listener}} rejected: {{reason}}")],
              "cps"),
        graph("Refused requests", "Refused before a pool was chosen, per second.",
              [query(rate("rproxy_requests_rejected_total", RELEASE, "reason") + " > 0",
                     "{{reason}}")], "reqps", stack=True),
        graph("CPU", "Cores in use, by replica.",
              [query(f"rate(process_cpu_seconds_total{{{RELEASE}}}{RATE}) and on (namespace, job, "
                     f"instance) rproxy_build_info{{{RELEASE}}}", "{{instance}}")], "short"),
        graph("Memory", "Resident memory by replica, and the budget from the container's limit.",
              [query(f'rproxy_memory_used_bytes{{{RELEASE}, kind="resident"}}', "{{instance}}"),
               query(f"rproxy_memory_budget_bytes{{{RELEASE}}}", "{{instance}} budget")], "bytes",
              overrides=[override(".* budget", ("custom.lineStyle",
                                                {"fill": "dash", "dash": [10, 10]}),
                                  ("custom.fillOpacity", 0), fixed_color(RED), regexp=True)]),
        graph("Event loop lag", "How late timers ran: 99 of 100 by at most this. Above some 10 ms, "
              "the replica wants for CPU.",
              [query(quantile(0.99, "rproxy_event_loop_lag_seconds", RELEASE, "instance"),
                     "{{instance}}")], "s", steps=thresholds((0.01, YELLOW), (0.1, RED))),
        graph("TLS handshakes", "With clients, per second.",
              [query(rate("rproxy_tls_handshakes_total", RELEASE, "listener, result"),
                     "{{listener}} {{result}}")], "ops"),
        graph("Certificates", "Time until they expire. RproxyCertificateExpires fires at 14 days.",
              [query("min by (listener, name) "
                     f"(rproxy_tls_certificate_not_after_timestamp_seconds{{{RELEASE}}}) - time()",
                     "{{listener}} {{name}}")], "s",
              steps=thresholds((14 * 86400, GREEN), base=RED), lowest=None,
              calcs=("lastNotNull",)),
        graph("File descriptors", "Share of the limit in use. At the limit, new connections fail.",
              [query(f"process_open_fds{{{RELEASE}}} / process_max_fds{{{RELEASE}}} and on "
                     f"(namespace, job, instance) rproxy_build_info{{{RELEASE}}}",
                     "{{instance}}")], "percentunit", steps=thresholds((0.8, RED)), highest=1),
    ]
    return dashboard("rproxy-overview", "rproxy / Overview",
                     "Traffic, errors, latency and backends of rproxy at a glance.",
                     [("Now", now), ("Traffic", traffic), ("Latency", latency),
                      ("Pools and backends", backends), ("Proxy", process)])


def backends_page():
    key = "pool, backend"
    address = "([^:]+|\\\\[.+\\\\]):(\\\\d+)"
    place = (f'label_replace(label_replace(max by ({key}, address) (rproxy_backend_info{{{BACKEND}}}),'
             f' "host", "$1", "address", "{address}"), "port", "$2", "address", "{address}")')
    attempts = rate("rproxy_backend_requests_total", BACKEND, key)
    failed = rate("rproxy_backend_requests_total", BACKEND + ', code=~"5xx|error"', key)
    servers = [
        table("Servers", "A row for each backend, over all replicas: state, uptime and last crash "
              "as the most pessimistic replica sees them. Connections are those open now, in use "
              "and idle; connections ever, those opened since the replicas started. Crashes and "
              "available are of the chosen time range. Latency is the average that balancing uses.",
              [
                  ("", place, []),
                  ("State", worst_state(key),
                   [("mappings", state_mappings()), ("custom.cellOptions", {"type": "color-text"}),
                    ("custom.width", 100)]),
                  ("Connections", f"sum by ({key}) (rproxy_backend_connections_active{{{BACKEND}}})",
                   [("unit", "short")]),
                  ("Connections ever",
                   f"sum by ({key}) (rproxy_backend_connections_total{{{BACKEND}}})",
                   [("unit", "short")]),
                  ("Uptime", f"min by ({key}) (rproxy_backend_uptime_seconds{{{BACKEND}}})",
                   [("unit", "dtdurations"), ("decimals", 0)]),
                  ("Last request", seconds_ago(
                      f"max by ({key}) (rproxy_backend_last_request_timestamp_seconds{{{BACKEND}}})"),
                   [("unit", "dateTimeFromNow"), ("noValue", "never")]),
                  ("Last crash", seconds_ago(
                      f"max by ({key}) (rproxy_backend_last_crash_timestamp_seconds{{{BACKEND}}})"),
                   [("unit", "dateTimeFromNow"), ("noValue", "never")]),
                  ("Crashes", f"max by ({key}) (sum by ({key}, instance) "
                   f"(increase(rproxy_backend_crashes_total{{{BACKEND}}}[$__range])))",
                   [("unit", "short"), ("decimals", 0),
                    ("thresholds", thresholds((0.5, ORANGE), base="text")),
                    ("custom.cellOptions", {"type": "color-text"})]),
                  ("Available", f"min by ({key}) (increase(rproxy_backend_up_seconds_total{{{BACKEND}}}"
                   f"[$__range]) / (increase(rproxy_backend_up_seconds_total{{{BACKEND}}}[$__range]) "
                   f"+ increase(rproxy_backend_down_seconds_total{{{BACKEND}}}[$__range])))",
                   [("unit", "percentunit"), ("decimals", 2),
                    ("thresholds", thresholds((0.99, YELLOW), (0.999, GREEN), base=RED)),
                    ("custom.cellOptions", {"type": "color-text"})]),
                  ("Requests/s", attempts, [("unit", "reqps")]),
                  ("Errors", share(failed, attempts),
                   [("unit", "percentunit"), ("decimals", 2), ("mappings", no_traffic()),
                    ("thresholds", thresholds((0.01, YELLOW), (0.05, RED), base="text")),
                    ("custom.cellOptions", {"type": "color-text"})]),
                  ("Latency", f"max by ({key}) (rproxy_backend_latency_ewma_seconds{{{BACKEND}}})",
                   [("unit", "s")]),
              ], height=10, sort=("State", True),
              keys=[("pool", "Pool", []), ("backend", "Backend", [("links", [{
                  "title": "Only this backend", "targetBlank": False,
                  "url": "/d/rproxy-backends/?var-backend=${__value.raw}&var-pool=${__data.fields.Pool}"
                         "&${datasource:queryparam}&${namespace:queryparam}&${release:queryparam}"
                         "&${__url_time_range}"}])]),
                    ("host", "Host", []), ("port", "Port", []), ("address", "", [])]),
    ]
    life = [
        state_timeline("State", "The worst state that any replica sees. Crashes and reloads are "
                       "marked in the graphs below.",
                       [query(worst_state(key), "{{pool}} / {{backend}}")], state_mappings()),
        graph("Crashes", "By what took the backend out of rotation.",
              [query(f"sum by ({key}, reason) (increase(rproxy_backend_crashes_total{{{BACKEND}}}"
                     f"{RATE})) > 0", "{{pool}} / {{backend}}: {{reason}}")], "short", bars=True,
              stack=True, calcs=("max",)),
        graph("State changes", "In 15 minutes; RproxyBackendFlapping fires above 6.",
              [query(f"max by ({key}) (increase(rproxy_backend_state_changes_total{{{BACKEND}}}"
                     "[15m]))", "{{pool}} / {{backend}}")], "short",
              steps=thresholds((6, RED))),
        graph("Health checks", "Per second, by result. overrun: the checker was late, so the outcome "
              "did not count.",
              [query(rate("rproxy_backend_health_checks_total", BACKEND, "result"), "{{result}}")],
              "ops", stack=True, overrides=[override("success", fixed_color("green")),
                                            override("failure", fixed_color("red")),
                                            override("overrun", fixed_color("orange")),
                                            override("skipped_by_traffic", fixed_color("blue"))]),
        graph("Duration of health checks", "95 of 100 took at most this long.",
              [query(quantile(0.95, "rproxy_backend_health_check_duration_seconds", BACKEND, key),
                     "{{pool}} / {{backend}}")], "s"),
        graph("Last recovery", "Time since the backend last came back.",
              [query("time() - max by (pool, backend) "
                     f"(rproxy_backend_last_recovery_timestamp_seconds{{{BACKEND}}})",
                     "{{pool}} / {{backend}}")], "s", calcs=("lastNotNull",)),
        graph("Last health check", "Time since the last one ended, on the replica where that is "
              "longest.",
              [query("time() - min by (pool, backend) "
                     f"(rproxy_backend_last_health_check_timestamp_seconds{{{BACKEND}}})",
                     "{{pool}} / {{backend}}")], "s"),
    ]
    traffic = [
        graph("Requests", "Attempts per second, retries included.",
              [query(attempts, "{{pool}} / {{backend}}")], "reqps"),
        graph("Responses by status", "error: no response.",
              [query(rate("rproxy_backend_requests_total", BACKEND, "code"), "{{code}}")], "reqps",
              stack=True, overrides=code_overrides()),
        graph("Error ratio", "5xx and attempts without a response.",
              [query(share(failed, attempts), "{{pool}} / {{backend}}")], "percentunit",
              steps=thresholds((0.05, RED))),
        graph("In flight", "Requests now at the backend.",
              [query(f"sum by ({key}) (rproxy_backend_requests_active{{{BACKEND}}})",
                     "{{pool}} / {{backend}}")], "short"),
        graph("Time to first byte", "95 of 100 responses began within this. Missing with more than "
              "metrics.backend_histograms_up_to backends; then see the average.",
              [query(quantile(0.95, "rproxy_backend_response_duration_seconds", BACKEND, key),
                     "{{pool}} / {{backend}}")], "s"),
        graph("Average latency", "The moving average that balancing uses, of the slowest replica.",
              [query(f"max by ({key}) (rproxy_backend_latency_ewma_seconds{{{BACKEND}}})",
                     "{{pool}} / {{backend}}")], "s"),
        graph("Failed responses", "Attempts per second without a complete, valid response.",
              [query(rate("rproxy_backend_response_failures_total", BACKEND, key + ", reason")
                     + " > 0", "{{pool}} / {{backend}}: {{reason}}")], "reqps"),
        graph("Bytes", "Received from the backend, and below zero, sent to it.",
              [query(rate("rproxy_backend_received_bytes_total", BACKEND, key),
                     "{{pool}} / {{backend}} received"),
               query("-" + rate("rproxy_backend_sent_bytes_total", BACKEND, key),
                     "{{pool}} / {{backend}} sent")], "Bps", lowest=None),
        graph("Weight", "In effect, as a share of the configured one: grows during slow start.",
              [query(f"min by ({key}) (rproxy_backend_effective_weight{{{BACKEND}}} / "
                     f"(rproxy_backend_weight{{{BACKEND}}} > 0))", "{{pool}} / {{backend}}")],
              "percentunit"),
    ]
    connections = [
        graph("Open connections", "In use and idle.",
              [query(f"sum by ({key}) (rproxy_backend_connections_active{{{BACKEND}}})",
                     "{{pool}} / {{backend}}")], "short"),
        graph("Idle connections", "Waiting for reuse.",
              [query(f"sum by ({key}) (rproxy_backend_connections_idle{{{BACKEND}}})",
                     "{{pool}} / {{backend}}")], "short"),
        graph("New connections", "Opened per second. Near the request rate: the backend closes "
              "after each response.",
              [query(rate("rproxy_backend_connections_total", BACKEND, key),
                     "{{pool}} / {{backend}}")], "cps"),
        graph("Reuse", "Share of attempts sent on a connection that had served another.",
              [query(share(rate("rproxy_backend_connection_reuses_total", BACKEND, key), attempts),
                     "{{pool}} / {{backend}}")], "percentunit"),
        graph("Failed connections", "Per second, by reason.",
              [query(rate("rproxy_backend_connection_failures_total", BACKEND, key + ", reason")
                     + " > 0", "{{pool}} / {{backend}}: {{reason}}")], "cps"),
        graph("Time to connect", "95 of 100, TLS included.",
              [query(quantile(0.95, "rproxy_backend_connect_duration_seconds", BACKEND, key),
                     "{{pool}} / {{backend}}")], "s"),
        graph("Queue", "Requests that wait for this backend or another of its pool.",
              [query(f"sum by ({key}) (rproxy_backend_queue_length{{{BACKEND}}})",
                     "{{pool}} / {{backend}}")], "short"),
    ]
    return dashboard("rproxy-backends", "rproxy / Backends",
                     "Each backend: connections, uptime, last request, last crash, states, traffic.",
                     [("Servers", servers), ("Life", life), ("Traffic", traffic),
                      ("Connections", connections)], with_backend=True)


def changes():
    per_replica = "namespace, job, instance"
    now = [
        stat("Last change", "When a configuration was last applied, on any replica.",
             seconds_ago(f"max(rproxy_config_last_reload_success_timestamp_seconds{{{RELEASE}}})"),
             "dateTimeFromNow", width=4, no_value="never", graph="none"),
        stat("Rejected now", "Replicas whose file is invalid: they run on what they had.",
             f"count(rproxy_config_last_reload_successful{{{RELEASE}}} == 0) or vector(0)", "short",
             thresholds((1, RED)), width=4, decimals=0),
        stat("On last known good", "Replicas that started with a missing or invalid file and run "
             "on the kept one.",
             f'count(rproxy_config_info{{{RELEASE}, source="last_known_good"}} == 1) or vector(0)',
             "short", thresholds((1, RED)), width=4, decimals=0),
        stat("Without configuration", "Replicas that never had a valid file: they answer 503.",
             f'count(rproxy_config_info{{{RELEASE}, source="default"}} == 1) or vector(0)', "short",
             thresholds((1, RED)), width=4, decimals=0),
        stat("Configurations", "Different ones in force within one release.",
             f"max(count by (namespace, job) (count by (namespace, job, hash) "
             f"(rproxy_config_info{{{RELEASE}}})))", "short", thresholds((2, RED)), width=4,
             decimals=0),
        stat("Rejections", "Files rejected or rolled back in the chosen time range, over all "
             "replicas.",
             f'sum(increase(rproxy_config_reloads_total{{{RELEASE}, '
             'result=~"rejected|rolled_back"}[$__range]))', "short", thresholds((0.5, ORANGE)),
             width=4, decimals=0),
    ]
    replicas = [
        table("Replicas", "What each replica runs. Live configurations returns to 1 when the last "
              "request that began under an older one has ended.", [
            ("", f"rproxy_config_info{{{RELEASE}}}", []),
            ("Generation", f"sum by ({per_replica}) (rproxy_config_generation{{{RELEASE}}})",
             [("unit", "none"), ("decimals", 0)]),
            ("Last file valid",
             f"min by ({per_replica}) (rproxy_config_last_reload_successful{{{RELEASE}}})",
             [("mappings", [{"type": "value", "options": {
                 "0": {"text": "rejected", "color": "red", "index": 0},
                 "1": {"text": "valid", "color": "green", "index": 1}}}]),
              ("custom.cellOptions", {"type": "color-text"})]),
            ("Last read", seconds_ago(
                f"max by ({per_replica}) (rproxy_config_last_reload_timestamp_seconds{{{RELEASE}}})"),
             [("unit", "dateTimeFromNow"), ("noValue", "never")]),
            ("Last applied", seconds_ago(
                f"max by ({per_replica}) "
                f"(rproxy_config_last_reload_success_timestamp_seconds{{{RELEASE}}})"),
             [("unit", "dateTimeFromNow"), ("noValue", "never")]),
            ("Live configurations",
             f"max by ({per_replica}) (rproxy_config_snapshots_live{{{RELEASE}}})",
             [("unit", "none")]),
            ("Draining", f"max by ({per_replica}) (rproxy_draining{{{RELEASE}}})",
             [("mappings", [{"type": "value", "options": {
                 "0": {"text": "no", "color": "text", "index": 0},
                 "1": {"text": "draining", "color": "purple", "index": 1}}}]),
              ("custom.cellOptions", {"type": "color-text"})]),
            ("Started", seconds_ago(
                f"max by ({per_replica}) (process_start_time_seconds{{{RELEASE}}} and on "
                f"({per_replica}) rproxy_build_info{{{RELEASE}}})"),
             [("unit", "dateTimeFromNow")]),
            ("", f"rproxy_build_info{{{RELEASE}}}", []),
        ], keys=[("namespace", "Namespace", []), ("job", "Release", []),
                 ("instance", "Replica", []), ("hash", "Configuration", []),
                 ("source", "Source", []), ("version", "Version", []),
                 ("__name__", "", []), ("revision", "", []), ("compiler", "", []),
                 ("pod", "", []), ("container", "", []), ("endpoint", "", []),
                 ("service", "", [])]),
    ]
    history = [
        state_timeline("Files", "Whether the file that each replica read last was valid.",
                       [query(f"rproxy_config_last_reload_successful{{{RELEASE}}}",
                              "{{instance}}")],
                       [{"type": "value", "options": {
                           "0": {"text": "rejected", "color": "red", "index": 0},
                           "1": {"text": "valid", "color": "green", "index": 1}}}],
                       width=12),
        graph("Files read", "By what became of them.",
              [query(f"sum by (result) (increase(rproxy_config_reloads_total{{{RELEASE}}}{RATE})) "
                     "> 0", "{{result}}")], "short", width=12, bars=True, stack=True,
              calcs=("max",),
              overrides=[override("applied", fixed_color("green")),
                         override("unchanged", fixed_color("blue")),
                         override("rejected", fixed_color("red")),
                         override("rolled_back", fixed_color("orange"))]),
        graph("Generation", "Of each replica, counted since its start.",
              [query(f"rproxy_config_generation{{{RELEASE}}}", "{{instance}}")], "none",
              stepped=True, calcs=("lastNotNull",)),
        graph("Replicas by configuration", "More than one colour for longer than a rollout: "
              "replicas disagree.",
              [query(f"count by (hash) (rproxy_config_info{{{RELEASE}}})", "{{hash}}")], "short",
              stack=True, stepped=True, calcs=("lastNotNull",)),
        graph("Live configurations", "More than 1 for long: a request or tunnel that does not end "
              "holds an old one.",
              [query(f"rproxy_config_snapshots_live{{{RELEASE}}}", "{{instance}}")], "none",
              stepped=True, calcs=("max", "lastNotNull")),
    ]
    effect = [
        graph("Backends in the configuration", "By pool, on the replica that has most.",
              [query(f"max by (pool) (count by (pool, instance) (rproxy_backend_up{{{POOL}}}))",
                     "{{pool}}")], "short", stepped=True, calcs=("lastNotNull",)),
        graph("Error ratio", "5xx and unanswered requests around the change.",
              [query(share(requests(POOL, "pool", "5xx|error"), requests(POOL, "pool")),
                     "{{pool}}")], "percentunit", steps=thresholds((0.05, RED))),
        graph("p99 latency", "Around the change.",
              [query(quantile(0.99, "rproxy_pool_request_duration_seconds", POOL, "pool"),
                     "{{pool}}")], "s"),
        graph("Backends by state", "Around the change.",
              [query(f"max by (state) (sum by (state, instance) (rproxy_pool_backends{{{POOL}}})) "
                     "> 0", "{{state}}")], "short", stack=True, stepped=True,
              overrides=state_overrides(), calcs=("lastNotNull",)),
        graph("New backend connections", "A reload keeps the connections of backends that stay: a "
              "peak here is a backend that changed.",
              [query(rate("rproxy_backend_connections_total", POOL, "pool"), "{{pool}}")], "cps"),
        graph("Client connections", "A reload closes none.",
              [query(f"sum by (instance) (rproxy_listener_connections_active{{{RELEASE}}})",
                     "{{instance}}")], "short"),
    ]
    return dashboard("rproxy-changes", "rproxy / Changes",
                     "Configuration changes: what each replica runs, what was rejected, whether "
                     "replicas agree, and what a change did to traffic.",
                     [("Now", now), ("Replicas", replicas), ("History", history),
                      ("Effect on traffic", effect)])


def rendered():
    return {TARGET / f"{board['uid']}.json": json.dumps(board, indent=2, ensure_ascii=False) + "\n"
            for board in (overview(), backends_page(), changes())}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    wanted = rendered()
    stale = [path for path, text in wanted.items()
             if not path.is_file() or path.read_text(encoding="utf-8") != text]
    stale += [path for path in TARGET.glob("*.json") if path not in wanted]
    if check:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is stale: run hack/dashboards.py", file=sys.stderr)
        return 1 if stale else 0
    TARGET.mkdir(parents=True, exist_ok=True)
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
