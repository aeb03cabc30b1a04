#!/bin/bash
# Proves that `rproxy schema` and the parser agree: validates tests/testdata/config and the examples
# of docs/configuration.md against the JSON Schema with ajv. Installs what it needs; a second run does
# not touch the network.
#
#   RPROXY=path/to/rproxy hack/test-schema.sh
#
# RPROXY defaults to build/release/bin/rproxy.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

rproxy=${RPROXY:-build/release/bin/rproxy}
if [[ ! -x $rproxy ]]; then
    echo "test-schema.sh: no program at $rproxy; build it or set RPROXY" >&2
    exit 1
fi
missing=()
command -v node > /dev/null || missing+=(nodejs)
command -v npm > /dev/null || missing+=(npm)
if ((${#missing[@]} > 0)); then
    as_root=()
    if ((EUID != 0)); then as_root=(sudo); fi
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
fi

tests=tests/unit/config/ajv
if ! cmp -s "$tests/package-lock.json" "$tests/node_modules/.installed-lock"; then
    (cd "$tests" && npm ci --ignore-scripts --no-audit --no-fund --silent)
    cp "$tests/package-lock.json" "$tests/node_modules/.installed-lock"
fi
schema=$(mktemp)
trap 'rm -f "$schema"' EXIT
"$rproxy" schema > "$schema"
node "$tests/check.mjs" "$schema" .
