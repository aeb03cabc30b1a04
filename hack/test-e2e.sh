#!/bin/bash
# Backends that fail in every way, under load (tests/e2e/chaos); a thousand changes of the
# configuration under every kind of traffic (tests/e2e/change); the chart's Deployment as kubelet
# would run it, under load, without a cluster; then the image: read-only, unprivileged, with 64 MB
# and half a CPU.
#
#   hack/test-e2e.sh [unittest arguments of the pod test, e.g. -k rolling]
#
# RPROXY=build/release/bin/rproxy   the program to test; built if it is missing
# RPROXY_SWAPS=1000                 how many changes
# RPROXY_TEST_IMAGE=1               the image too: its first build takes a quarter of an hour, which
#                                   is why .ci/run leaves it to those who change the Dockerfile
#
# For Debian 12, as root or as somebody with sudo: it needs namespaces, mounts and a Docker engine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

hack/install-deps.sh --test
rproxy=${RPROXY:-build/release/bin/rproxy}
if [[ ! -x $rproxy ]]; then
    hack/build.sh release rproxy
fi
as_root=()
if ((EUID != 0)); then as_root=(sudo "--preserve-env=HOME,TMPDIR,RPROXY_IMAGE_STATE,BASE_IMAGE"); fi

"${as_root[@]}" python3 -B tests/e2e/chaos/chaos.py --rproxy "$(realpath -- "$rproxy")"
python3 -B tests/e2e/change/change.py --program "$(realpath -- "$rproxy")" --swaps "${RPROXY_SWAPS:-1000}"
"${as_root[@]}" env RPROXY="$(realpath -- "$rproxy")" tests/e2e/pod/run.sh "$@"
if [[ ${RPROXY_TEST_IMAGE:-0} == 0 ]]; then
    echo "test-e2e: the image is left out (RPROXY_TEST_IMAGE=1 builds and runs it)"
else
    "${as_root[@]}" hack/image.sh test
fi
