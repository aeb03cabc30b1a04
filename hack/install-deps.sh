#!/bin/bash
# Installs the Debian packages that rproxy is built, tested and checked with. Installs only what is
# missing: a second run touches neither the network nor the package lists.
#
#   hack/install-deps.sh           what a build needs (tests are part of a plain build)
#   hack/install-deps.sh --test    and what hack/test.sh needs
#   hack/install-deps.sh --ci      and what .ci/run needs
#   hack/install-deps.sh --all     and what bench/ compares with
#
# For Debian 12, as root or as somebody with sudo.
set -euo pipefail

# PACKAGE, or PACKAGE:COMMAND where a command from elsewhere on the PATH will do as well.
build_packages=(
    g++ cmake ninja-build ccache mold pkg-config ca-certificates
    libboost1.81-dev libyaml-cpp-dev prometheus-cpp-dev libcpp-httplib-dev libspdlog-dev libssl-dev
    zlib1g-dev
    nlohmann-json3-dev libgtest-dev libgmock-dev
    esbuild:esbuild   # makes the console smaller
    python3   # configuring looks for it: some tests are scripts
)
test_packages=(git:git curl:curl procps python3 python3-yaml python3-jsonschema openssl
               prometheus:promtool sslscan:sslscan)
ci_packages=(clang-19 clang-format-19 clang-tidy-19 libclang-rt-19-dev shellcheck:shellcheck
             nodejs:node strace:strace)
bench_packages=(libbenchmark-dev nginx-light:nginx haproxy:haproxy wrk:wrk util-linux)

# Debian starts a server as soon as it is installed; these are wanted for their programs only.
services=(civetweb prometheus prometheus-node-exporter nginx haproxy)

usage() {
    sed -n '5,8s/^# *//p' "$0"
}

wanted=("${build_packages[@]}")
case "${1:---build}" in
    --build) ;;
    --test) wanted+=("${test_packages[@]}") ;;
    --ci) wanted+=("${test_packages[@]}" "${ci_packages[@]}") ;;
    --all) wanted+=("${test_packages[@]}" "${ci_packages[@]}" "${bench_packages[@]}") ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        echo "install-deps: unknown argument '$1'" >&2
        usage >&2
        exit 2
        ;;
esac

# Daemons live in sbin, which is not on everybody's PATH.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p')
missing=()
for entry in "${wanted[@]}"; do
    package=${entry%%:*}
    if [[ $entry == *:* ]] && command -v "${entry#*:}" > /dev/null; then continue; fi
    if ! grep -qxF "$package" <<< "$installed"; then missing+=("$package"); fi
done
if ((${#missing[@]} == 0)); then
    exit 0
fi
echo "install-deps: installing ${missing[*]}"

if ! command -v apt-get > /dev/null; then
    echo "install-deps: apt-get not found; this script knows Debian 12 only" >&2
    exit 1
fi
as_root=()
if ((EUID != 0)); then
    if ! command -v sudo > /dev/null; then
        echo "install-deps: run this as root, or install sudo, or have somebody run:" >&2
        echo "    apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
# A private umask would reach the files that packages write while they are set up.
umask 022

# invoke-rc.d and deb-systemd-invoke ask this file; 101 means "do not start". One that is already
# there (a container image's) is somebody else's decision and stays.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" > /dev/null
    "${as_root[@]}" chmod 755 "$policy"
fi

# The lock is waited for: a fresh virtual machine is often busy upgrading itself.
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
if ! "${apt[@]}" update; then
    echo "install-deps: some package lists could not be fetched; trying with what is there" >&2
fi
if ! "${apt[@]}" install -y --no-install-recommends "${missing[@]}" < /dev/null; then
    echo "install-deps: apt-get failed, see above; missing were: ${missing[*]}" >&2
    exit 1
fi

# Not started now, and not at the next boot either.
if [[ -d /run/systemd/system ]]; then
    for service in "${services[@]}"; do
        if ! grep -qxF "$service" <<< "$installed" &&
            systemctl is-enabled --quiet "$service" 2> /dev/null; then
            "${as_root[@]}" systemctl disable --quiet "$service"
        fi
    done
fi
echo "install-deps: done"
