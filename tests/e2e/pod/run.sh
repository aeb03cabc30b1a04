#!/bin/bash
# Runs the chart's Deployment as kubelet would, without a cluster: real namespaces, volumes, probes,
# hooks and signals, and clients that forgive no failed request. As root, in network and mount
# namespaces of its own: nothing of this machine's network is touched.
#
#   RPROXY=path/to/rproxy tests/e2e/pod/run.sh [unittest arguments]
#
# RPROXY defaults to build/release/bin/rproxy.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
export RPROXY=${RPROXY:-$root/build/release/bin/rproxy}
if [[ ! -x $RPROXY ]]; then
    echo "run.sh: no program at $RPROXY; build it or set RPROXY" >&2
    exit 1
fi
if ((EUID != 0)); then
    echo "run.sh: must be root (namespaces, mounts)" >&2
    exit 1
fi
missing=()
command -v ip >/dev/null || missing+=(iproute2)
command -v npm >/dev/null || missing+=(nodejs npm)
command -v busybox >/dev/null || missing+=(busybox)
command -v strip >/dev/null || missing+=(binutils)
[[ -r /etc/ssl/certs/ca-certificates.crt ]] || missing+=(ca-certificates)
/usr/bin/python3 -c 'import yaml' 2>/dev/null || missing+=(python3-yaml)
if ((${#missing[@]})); then
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"
fi
tools=$("$root/hack/fetch-helm.sh")
export HELM=$tools/helm KUBECONFIG=/dev/null HELM_CACHE_HOME=${TMPDIR:-/tmp}/rproxy-helm-cache
cd "$here"
# /run/netns is where ip keeps namespaces: in a tmpfs of ours it ends with us.
exec unshare --net --mount --propagation private bash -c '
    mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns
    exec /usr/bin/python3 -B test_pod.py "$@"' run "$@"
