#!/bin/bash
# Tests the console in Chromium: against a mock of the admin API and, where the binary is built,
# against that. Installs what it needs. Pictures of every screen are left in out/console/.
#
#   hack/test-console.sh
#
# RPROXY names the binary (default: build/release/bin/rproxy). For Debian 12, as root or as somebody
# with sudo; a second run does not touch the network.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

missing=()
for command in chromium node npm; do
    if command -v "$command" > /dev/null; then continue; fi
    case $command in
        node) missing+=(nodejs) ;;
        *) missing+=("$command") ;;
    esac
done
if ((${#missing[@]} > 0)); then
    as_root=()
    if ((EUID != 0)); then as_root=(sudo); fi
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
fi

if [[ -n ${RPROXY:-} ]]; then RPROXY=$(realpath -- "$RPROXY"); export RPROXY; fi
cd tests/e2e/console
if [[ node_modules/.package-lock.json -ot package-lock.json ]]; then
    npm ci --no-audit --no-fund --loglevel=error
fi
node --test --test-concurrency=2
