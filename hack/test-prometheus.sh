#!/bin/bash
# Dashboards and alerts on a real Prometheus that scrapes real proxies, under traffic, while things
# go wrong; before that, what can be checked without them. Takes about four minutes.
#
#   hack/test-prometheus.sh [--only STORY]
#
# RPROXY=build/release/bin/rproxy   the program; built if it is missing
# OUT=out/prometheus                where results.md and the logs go
#
# Needs Debian's prometheus, and nodejs with npm for the type check of the dashboards.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

rproxy=${RPROXY:-build/release/bin/rproxy}
out=${OUT:-out/prometheus}

hack/dashboards.py --check
tests/e2e/prometheus/references.py
tests/e2e/prometheus/references_test.py --quiet
promtool check rules charts/rproxy/alerts/rproxy.yaml
promtool test rules tests/e2e/prometheus/alerts_test.yaml
if command -v npm > /dev/null; then
    npm --prefix tests/e2e/prometheus/grafana ci --ignore-scripts --no-audit --no-fund --silent
    node tests/e2e/prometheus/grafana/check.mjs
else
    echo "test-prometheus: no npm, so the dashboards are not checked against Grafana's types" >&2
fi

if [[ ! -x $rproxy ]]; then
    hack/build.sh release rproxy
fi
exec tests/e2e/prometheus/live.py "$rproxy" --out "$out" "$@"
