#!/usr/bin/env bash
# Tests the chart, the manifests and docs/kubernetes.md against real helm, kubectl, tsc, promtool
# and the program itself. Installs what is missing; nothing is skipped.
#
#   RPROXY=path/to/rproxy hack/test-chart.sh [unittest arguments, e.g. -k Golden]
#
# RPROXY defaults to build/release/bin/rproxy. UPDATE_GOLDEN=1 writes the golden renders anew.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
export RPROXY=${RPROXY:-$root/build/release/bin/rproxy}
if [[ ! -x $RPROXY ]]; then
    echo "test-chart.sh: no program at $RPROXY; build it or set RPROXY" >&2
    exit 1
fi
# The tests run in a folder of their own.
RPROXY=$(realpath -- "$RPROXY")

declare -A package_of=([node]=nodejs [npm]=npm [python3]=python3 [promtool]=prometheus [openssl]=openssl)
missing=()
for tool in "${!package_of[@]}"; do
    command -v "$tool" >/dev/null || missing+=("${package_of[$tool]}")
done
/usr/bin/python3 -c 'import yaml' 2>/dev/null || missing+=(python3-yaml)
if ((${#missing[@]})); then
    as_root=()
    ((EUID == 0)) || as_root=(sudo)
    "${as_root[@]}" apt-get update -q
    DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -qy --no-install-recommends "${missing[@]}"
fi

tests=$root/tests/e2e/chart
if ! cmp -s "$tests/package-lock.json" "$tests/node_modules/.installed-lock"; then
    (cd "$tests" && npm ci --ignore-scripts --no-audit --no-fund --silent)
    cp "$tests/package-lock.json" "$tests/node_modules/.installed-lock"
fi
tools=$("$root/hack/fetch-helm.sh")
export HELM=$tools/helm KUBECTL=$tools/kubectl
HELM3=$("$root/hack/fetch-helm.sh" 3)/helm
export HELM3
# No cluster of the person who runs this may have a say.
export KUBECONFIG=/dev/null HELM_CACHE_HOME=${TMPDIR:-/tmp}/rproxy-helm-cache
cd "$tests"
exec /usr/bin/python3 -B -m unittest -v "$@" test_chart test_values test_upgrades
