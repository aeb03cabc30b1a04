#!/usr/bin/env bash
# Writes charts/rproxy/values.schema.json and README.md anew: the schema of the values from the
# comments in values.yaml, the schema of `config` from `rproxy schema`.
#
#   RPROXY=path/to/rproxy hack/update-chart-schema.sh [--check]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
rproxy=${RPROXY:-$root/build/release/bin/rproxy}
if [[ ! -x $rproxy ]]; then
    echo "update-chart-schema.sh: no program at $rproxy; build it or set RPROXY" >&2
    exit 1
fi
schema=$(mktemp)
trap 'rm -f "$schema"' EXIT
"$rproxy" schema >"$schema"
python3 "$root/tests/e2e/chart/generate.py" --config-schema "$schema" "$@"
