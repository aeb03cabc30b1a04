#!/bin/bash
# Builds the image with the Docker engine of this machine, or with one of its own where none runs.
#
#   hack/image.sh build              build rproxy:VERSION and print its size
#   hack/image.sh test               build, then run it read-only, as UID 65532, without any
#                                    capability, with 64 MB and half a CPU, and send traffic through
#   hack/image.sh save FILE.tar.gz   build and save
#
# Environment: IMAGE (default rproxy:0.1.0); BASE_IMAGE (default debian:12-slim; when it cannot be
# pulled, a Debian 12 made by debootstrap takes its place); RPROXY_IMAGE_STATE (data of the engine,
# kept for its cache; default ~/.cache/rproxy/image).
#
# Without an engine this needs root: Debian's docker.io is installed, started with a socket and data
# of its own and without touching the network set-up, and stopped at the end.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
image=${IMAGE:-rproxy:0.1.0}
base=${BASE_IMAGE:-debian:12-slim}
state=${RPROXY_IMAGE_STATE:-${HOME:-/root}/.cache/rproxy/image}
work=$(mktemp -d)
engine_pid=
background=()

usage() {
    sed -n '4,7s/^# \{0,3\}//p' "$0" >&2
    exit 2
}

cleanup() {
    local pid
    for pid in "${background[@]}"; do kill "$pid" 2>/dev/null || true; done
    if [[ -n $engine_pid ]]; then
        kill "$engine_pid" 2>/dev/null || true
        wait "$engine_pid" 2>/dev/null || true
        # dockerd leaves the bind mounts of network namespaces behind.
        umount "$work"/exec/netns/* 2>/dev/null || true
    fi
    rm -rf --one-file-system "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

say() {
    echo "image: $*" >&2
}

# Waits until a command succeeds; fails when the process it waits for has ended or after 60 s.
wait_for() { # PID COMMAND…
    local pid=$1 deadline=$((SECONDS + 60))
    shift
    until "$@" >/dev/null 2>&1; do
        if ! kill -0 "$pid" 2>/dev/null || ((SECONDS > deadline)); then return 1; fi
        sleep 0.1
    done
}

as_root_install() {
    if ((EUID != 0)); then
        say "no Docker engine answers, and starting one needs root"
        exit 1
    fi
    say "installing $*"
    # Installed for its programs: nothing of it may start by itself.
    local policy=/usr/sbin/policy-rc.d made=no
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        made=yes
    fi
    apt-get -q update >&2 || true
    DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends "$@" >&2
    if [[ $made == yes ]]; then rm -f "$policy"; fi
}

# A client from 23.0 on builds with the buildx plugin only; Debian's 20.10 has BuildKit inside.
choose_client() {
    local candidate
    for candidate in "$(command -v docker || true)" /usr/bin/docker; do
        if [[ -x $candidate ]] && { "$candidate" buildx version >/dev/null 2>&1 ||
            "$candidate" --version | grep -q 'version 20\.10'; }; then
            docker=$candidate
            return
        fi
    done
    as_root_install docker.io
    docker=/usr/bin/docker
}

start_engine() {
    [[ -x /usr/sbin/dockerd ]] || as_root_install docker.io
    mkdir -p "$state"
    export DOCKER_HOST=unix://$work/docker.sock
    say "starting dockerd, data in $state"
    local driver=overlay2
    # overlay does not stack on itself, as in a CI job that runs in a container.
    if [[ $(stat -f -c %T "$state") == overlayfs ]]; then driver=vfs; fi
    /usr/sbin/dockerd --host "$DOCKER_HOST" --data-root "$state/data" --exec-root "$work/exec" \
        --pidfile "$work/docker.pid" --storage-driver "$driver" --iptables=false --bridge=none \
        --ip-forward=false --ip-masq=false >"$state/dockerd.log" 2>&1 &
    engine_pid=$!
    if ! wait_for "$engine_pid" "$docker" version; then
        tail -n 20 "$state/dockerd.log" >&2
        exit 1
    fi
}

make_base() {
    [[ -n $(command -v debootstrap) ]] || as_root_install debootstrap
    local tree=$work/base
    # Every Debian source of this machine, and how it fetches from them.
    # shellcheck disable=SC2016  # apt-get expands these
    apt-get indextargets --format '$(ORIGIN)|deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' | sed -n 's/^Debian|//p' | sort -u >"$work/sources"
    local mirror
    mirror=$(awk '$3 == "bookworm" { print $2; exit }' "$work/sources")
    say "debootstrap from ${mirror:=http://deb.debian.org/debian}"
    debootstrap --variant=minbase bookworm "$tree" "$mirror" >"$work/debootstrap.log" 2>&1 || {
        tail -n 20 "$work/debootstrap.log" >&2
        exit 1
    }
    if [[ -s $work/sources ]]; then cp "$work/sources" "$tree/etc/apt/sources.list"; fi
    apt-config dump | grep -E '^Acquire::(Check-|http|https|ftp|Retries|Languages|ForceIPv)' \
        >"$tree/etc/apt/apt.conf.d/50machine" || true
    rm -rf "$tree"/var/cache/apt/archives/*.deb
    tar -C "$tree" -c . | "$docker" import - "$1" >/dev/null
}

# Sets base_image to something that is there.
choose_base() {
    base_image=$base
    if "$docker" image inspect "$base" >/dev/null 2>&1; then return; fi
    if timeout 60 "$docker" pull -q "$base" >/dev/null 2>&1; then return; fi
    base_image=rproxy-base:bookworm
    if ! "$docker" image inspect "$base_image" >/dev/null 2>&1; then
        say "$base cannot be pulled"
        make_base "$base_image"
    fi
}

build() {
    say "building $image from $base_image"
    local revision
    revision=$(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown)
    DOCKER_BUILDKIT=1 "$docker" build --network=host --progress=plain \
        --build-arg BASE_IMAGE="$base_image" --build-arg VERSION="${image##*:}" \
        --build-arg REVISION="$revision" -t "$image" "$root" >"$work/build.log" 2>&1 || {
        tail -n 60 "$work/build.log" >&2
        exit 1
    }
    local bytes
    bytes=$("$docker" image inspect -f '{{.Size}}' "$image")
    printf '%s: %d.%d MB\n' "$image" $((bytes / 1000000)) $((bytes / 100000 % 10))
    if ((bytes > 40000000)); then
        say "larger than 40 MB"
        exit 1
    fi
}

# A port that nobody uses now.
free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

run_test() {
    local traffic admin backend config=$work/config
    traffic=$(free_port) admin=$(free_port) backend=$(free_port)
    mkdir -p "$config" "$work/site"
    echo "hello from the backend" >"$work/site/index.html"
    python3 -m http.server "$backend" --bind 127.0.0.1 --directory "$work/site" >/dev/null 2>&1 &
    background+=($!)
    printf 'listeners: [{name: http, address: "127.0.0.1:%s"}]\npools: {web: {backends: ["127.0.0.1:%s"]}}\n' \
        "$traffic" "$backend" >"$config/rproxy.yaml"
    chmod -R a+rX "$work/config"
    chmod a+x "$work"

    "$docker" run --rm --read-only --network=none --user 65532 --cap-drop=ALL "$image" version
    "$docker" run --name rproxy-image-test --read-only --user 65532 --cap-drop=ALL \
        --security-opt no-new-privileges -m 64m --cpus .5 --network=host --tmpfs /var/lib/rproxy:uid=65532 \
        -v "$config:/etc/rproxy:ro" "$image" serve --config /etc/rproxy/rproxy.yaml \
        --admin "127.0.0.1:$admin" --state-dir /var/lib/rproxy >"$work/run.log" 2>&1 &
    local runner=$!
    if ! wait_for "$runner" "$docker" exec rproxy-image-test /usr/bin/rproxy ready --admin "127.0.0.1:$admin"; then
        tail -n 20 "$work/run.log" >&2
        "$docker" rm -f rproxy-image-test >/dev/null 2>&1 || true
        say "the container did not become ready"
        exit 1
    fi
    local answer=0 i
    for ((i = 0; i < 200; i++)); do
        [[ $(curl -sS "http://127.0.0.1:$traffic/") == "hello from the backend" ]] || answer=1
    done
    curl -sS "http://127.0.0.1:$admin/metrics" >"$work/metrics"
    # Stops by SIGTERM, as kubelet does; exit 0 means that it drained.
    "$docker" stop -t 40 rproxy-image-test >/dev/null
    local status
    status=$("$docker" inspect -f '{{.State.ExitCode}}' rproxy-image-test)
    "$docker" rm rproxy-image-test >/dev/null
    ((answer == 0)) || { say "a request failed"; exit 1; }
    grep -q '^rproxy_build_info' "$work/metrics" || { say "no metrics"; exit 1; }
    ((status == 0)) || { say "exit status $status"; exit 1; }
    echo "200 requests, metrics, SIGTERM with exit status 0: read-only, UID 65532, no capabilities, 64 MB, 0.5 CPU"
}

command=${1:-build}
case $command in
    build | test) (($# <= 1)) || usage ;;
    save) (($# == 2)) || usage ;;
    *) usage ;;
esac
if [[ $command == save ]]; then target=$(realpath "$2"); fi
choose_client
if ! "$docker" version >/dev/null 2>&1; then start_engine; fi
choose_base
build
case $command in
    test) run_test ;;
    save) "$docker" save "$image" | gzip -n >"$target" ;;
esac
