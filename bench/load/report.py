"""Medians, ratios and what became of the goals, as data and as text."""

from statistics import median

OTHERS = ("nginx", "haproxy")

# Column heading, metric, how to print it; by kind of scenario.
LOAD_COLUMNS = [
    ("CPU µs/req", "cpu_us", "{:.2f}"), ("user", "user_us", "{:.2f}"),
    ("system", "system_us", "{:.2f}"), ("req/s", "requests_per_second", "{:,.0f}"),
    ("p50 µs", "p50_us", "{:,.0f}"), ("p99 µs", "p99_us", "{:,.0f}"),
    ("busy %", "busy", "{:.0%}"), ("RSS MiB", "rss_bytes", "MiB"),
]
COLUMNS = {
    "closed": LOAD_COLUMNS,
    "rate": LOAD_COLUMNS,
    "idle": [("B/connection", "bytes_per_connection", "{:,.0f}"),
             ("of it heap", "heap_per_connection", "{:,.0f}"),
             ("RSS MiB", "rss_bytes", "MiB"), ("PSS MiB", "pss_bytes", "MiB")],
    "failure": [("failed", "failed", "{:,.0f}"), ("of", "requests", "{:,.0f}"),
                ("slow %", "slow_percent", "{:.2f}"),
                ("p50 µs", "p50_us", "{:,.0f}"), ("p99 µs", "p99_us", "{:,.0f}"),
                ("p99.9 µs", "p999_us", "{:,.0f}"), ("max µs", "max_us", "{:,.0f}"),
                ("CPU µs/req", "cpu_us", "{:.2f}")],
}
# What a scenario is about: the metric of its ratios and of its bars in the chart.
MAIN_METRIC = {"closed": ("cpu_us", "CPU µs per request"), "rate": ("p99_us", "p99 µs"),
               "idle": ("heap_per_connection", "heap bytes per connection"),
               "failure": ("slow_percent", "% of answers slower than 50 ms")}


def summarise(scenario, records, rate):
    """One scenario of the results: for each proxy the median, least and greatest of each metric."""
    proxies = {}
    for name, runs in records.items():
        metrics = {}
        for metric in runs[0]:
            values = [run[metric] for run in runs]
            metrics[metric] = {"median": median(values), "min": min(values), "max": max(values)}
        proxies[name] = {"metrics": metrics, "runs": runs}
    return {"name": scenario.name, "title": scenario.title, "kind": scenario.kind, "rate": rate,
            "proxies": proxies}


def value(entry, proxy, metric):
    """The median, or None when that proxy was not measured."""
    found = entry["proxies"].get(proxy, {}).get("metrics", {}).get(metric)
    return found["median"] if found else None


def ratio(entry, proxy, other, metric):
    mine, theirs = value(entry, proxy, metric), value(entry, other, metric)
    return mine / theirs if mine is not None and theirs else None


def scenario_text(entry):
    metric, meaning = MAIN_METRIC[entry["kind"]]
    title = entry["title"] + (f" ({entry['rate']:,} requests/s)" if entry["rate"] else "")
    rows = [["", *[heading for heading, _, _ in COLUMNS[entry["kind"]]], "spread",
             "× nginx", "× haproxy", "× floor"]]
    for name in entry["proxies"]:
        row = [name]
        for _, column, form in COLUMNS[entry["kind"]]:
            number = value(entry, name, column)
            if number is None:
                row.append("-")
            else:
                row.append(f"{number / 2**20:.1f}" if form == "MiB" else form.format(number))
        spread = entry["proxies"][name]["metrics"][metric]
        middle = spread["median"]
        row.append(f"{(spread['max'] - spread['min']) / middle:.0%}" if middle else "-")
        for other in ("nginx", "haproxy", "floor"):
            share = ratio(entry, name, other, metric)
            row.append("-" if share is None else f"{share:.2f}")
        rows.append(row)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [f"{title}; ratios and spread of {meaning}"]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def goals(results):
    """(what was aimed at, what was measured, whether it was met) wherever rproxy was measured."""
    entries = {entry["name"]: entry for entry in results["scenarios"]}
    found = []

    def aim(text, figure, limit, form="{:.2f}"):
        if figure is not None and limit is not None:
            found.append((text, f"{form.format(figure)} (at most {form.format(limit)})",
                          figure <= limit))

    def best(entry, metric):
        values = [value(entry, other, metric) for other in OTHERS]
        known = [number for number in values if number is not None]
        return min(known) if known else None

    for entry in results["scenarios"]:
        if entry["kind"] == "closed":
            aim(f"{entry['title']}: CPU µs/request below nginx and haproxy",
                value(entry, "rproxy", "cpu_us"), best(entry, "cpu_us"))
    small = entries.get("small")
    if small:
        mine, other = value(small, "rproxy", "cpu_us"), best(small, "cpu_us")
        if mine is not None and other is not None:
            aim("512 B answers: ratio to the better of the two", mine / other, 0.80)
        aim("512 B answers: ratio to the floor", ratio(small, "rproxy", "floor", "cpu_us"), 1.12)
    if "half_load" in entries:
        aim("p99 µs at half load no worse than either", value(entries["half_load"], "rproxy", "p99_us"),
            best(entries["half_load"], "p99_us"), "{:,.0f}")
    if "idle" in entries:
        aim("heap bytes per idle connection", value(entries["idle"], "rproxy", "heap_per_connection"),
            600, "{:,.0f}")
    if "access_log" in entries:
        aim("access log: ratio to the same work without",
            ratio(entries["access_log"], "rproxy", "rproxy-silent", "cpu_us"), 1.10)
    return found


def goals_text(results):
    lines = [f"{'met   ' if met else 'MISSED'}  {text}: {figures}"
             for text, figures, met in goals(results)]
    return "\n".join(lines) + "\n\n" if lines else ""


def text(results):
    about = results["machine"]
    lines = [f"{about['cpu']}, {about['cores']} cores, Linux {about['kernel']}, {about['date']}, "
             f"commit {about['commit']}, load before {about['load_before']:.2f}",
             f"medians of {results['rounds']} interleaved rounds of {results['seconds']:g} s, "
             f"load from {results['generator']}"
             + ("; nginx and haproxy lean" if results["lean"] else "")]
    lines += [f"{name}: {version}" for name, version in results["versions"].items()]
    return "\n".join(lines) + "\n\n" + "\n".join(
        scenario_text(entry) for entry in results["scenarios"]) + "\n" + goals_text(results)
