#!/bin/bash
# Proves that a bare Debian 12 is enough: makes a new one with debootstrap, clones the committed
# state of this checkout into it and runs the commands a new user types, by chroot.
#
#   hack/prove-bare.sh [--root DIR] [--keep] [demo|test]…      without a command: demo, then test
#
# --root DIR  where the new system goes (it must not exist yet; default: a temporary directory)
# --keep      leave it there afterwards
#
# As root, on a Debian with debootstrap and git. Mirror and the settings for fetching are those of
# this machine. Mounts and processes live in namespaces of their own and go with this script.
set -euo pipefail

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
port=18080
admin_port=19090
root=
keep=no
commands=()

usage() {
    sed -n '5,8s/^# \?//p' "$0"
}

while (($# > 0)); do
    case $1 in
        --root)
            root=${2:?--root needs a directory}
            shift
            ;;
        --keep) keep=yes ;;
        demo | test) commands+=("$1") ;;
        -h | --help)
            usage
            exit 0
            ;;
        *)
            echo "prove-bare: unknown argument '$1'" >&2
            usage >&2
            exit 2
            ;;
    esac
    shift
done
if ((${#commands[@]} == 0)); then commands=(demo test); fi
if ((EUID != 0)); then
    echo "prove-bare: must be root (debootstrap, chroot)" >&2
    exit 1
fi
for tool in debootstrap git unshare; do
    if ! command -v "$tool" > /dev/null; then
        echo "prove-bare: $tool not found" >&2
        exit 1
    fi
done

temporary=
if [[ -z $root ]]; then
    temporary=$(mktemp -d)
    root=$temporary/root
elif [[ -e $root ]]; then
    echo "prove-bare: $root exists already" >&2
    exit 1
fi
umask 022
mkdir -p "$root"
root=$(cd "$root" && pwd)
cleanup() {
    if [[ $keep == yes ]]; then
        echo "prove-bare: left in $root"
    else
        rm -rf --one-file-system "$root" "$root.log" ${temporary:+"$temporary"}
    fi
}
trap cleanup EXIT
# unshare ignores what asks it to end; killed, it takes along what it started.
child=
trap '[[ -z $child ]] || kill -KILL "$child" 2> /dev/null; exit 130' INT TERM

# Every Debian source of this machine, e.g. "http://deb.debian.org/debian bookworm main".
# shellcheck disable=SC2016  # apt-get expands these
mapfile -t sources < <(apt-get indextargets \
    --format '$(ORIGIN)|$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    sed -n 's/^Debian|//p' | sort -u)
mirror=http://deb.debian.org/debian
for source in "${sources[@]}"; do
    read -r uri release _ <<< "$source"
    if [[ $release == bookworm ]]; then mirror=$uri; fi
done

echo "prove-bare: debootstrap from $mirror"
debootstrap --variant=minbase bookworm "$root" "$mirror" > "$root.log" 2>&1 || {
    tail -n 20 "$root.log" >&2
    exit 1
}
rm -f "$root.log"
if ((${#sources[@]} > 0)); then
    printf 'deb %s\n' "${sources[@]}" > "$root/etc/apt/sources.list"
fi
apt-config dump | grep -E '^Acquire::(Check-|http|https|ftp|Retries|Languages|ForceIPv)' \
    > "$root/etc/apt/apt.conf.d/50machine" || true
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"

git clone --quiet --no-hardlinks "$checkout" "$root/root/rproxy"
echo "prove-bare: $(git -C "$root/root/rproxy" log -1 --format='commit %h, %s')"
before=$(find "$root/var/lib/dpkg/info" -name '*.list' | wc -l)

# Becomes the script on stdin, run inside with nothing of this shell's environment.
inside() {
    # shellcheck disable=SC2016  # the inner shell expands these
    exec unshare --mount --propagation private --pid --fork --kill-child bash -c '
        set -e
        mount -t proc proc "$1/proc"
        mount --rbind /dev "$1/dev"
        exec env -i HOME=/root LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin "${@:2}" \
            chroot "$1" bash -s' \
        inside "$root" "PORT=$port" "ADMIN_PORT=$admin_port"
}

run_test() {
    inside <<< 'cd /root/rproxy && ./hack/test.sh < /dev/null'
}

run_demo() {
    inside << 'SCRIPT'
set -euo pipefail
cd /root/rproxy

get() {  # PORT PATH: the answer, head included
    exec 3<> "/dev/tcp/127.0.0.1/$1" || return 1
    printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$2" >&3
    cat <&3
    exec 3>&-
}

./hack/demo.sh --port "$PORT" --admin-port "$ADMIN_PORT" < /dev/null &
demo=$!
until answer=$(get "$ADMIN_PORT" /readyz 2> /dev/null) && [[ $answer == 'HTTP/1.1 200'* ]]; do
    if ! kill -0 "$demo" 2> /dev/null; then
        echo "demo.sh ended early" >&2
        exit 1
    fi
    sleep 1
done
for _ in 1 2 3; do
    answer=$(get "$PORT" /)
    if [[ $answer != 'HTTP/1.1 200'* ]]; then
        echo "the site answers: $answer" >&2
        exit 1
    fi
    echo "GET /: ${answer%%$'\r'*}, $(tail -n 1 <<< "$answer")"
done
get "$ADMIN_PORT" /metrics > /tmp/metrics
grep '^rproxy_backend_last_request' /tmp/metrics || { echo "no metrics of backends" >&2; exit 1; }
kill -TERM "$demo"
wait "$demo"
echo "demo.sh ended by SIGTERM with status 0"
SCRIPT
}

for command in "${commands[@]}"; do
    start=$SECONDS
    echo "prove-bare: ---- hack/$command.sh"
    "run_$command" &
    child=$!
    if ! wait "$child"; then
        echo "prove-bare: hack/$command.sh FAILED after $((SECONDS - start)) s" >&2
        exit 1
    fi
    packages=$(($(find "$root/var/lib/dpkg/info" -name '*.list' | wc -l) - before))
    echo "prove-bare: ---- hack/$command.sh ok in $((SECONDS - start)) s, $packages packages installed so far"
done
