#!/bin/bash
# Lays out the root file system of the image: the program, the shared libraries it needs, the CA
# certificates and nothing else: no shell, no package manager, no writable place.
#
#   hack/image-root.sh PROGRAM FOLDER [--without-packages]
#
# The Dockerfile and the pod test (tests/e2e/pod) both use it, so that what is tested is what is
# shipped. Unless --without-packages, the Debian packages the files come from are listed where
# scanners look (/var/lib/dpkg/status.d) and as an SPDX document, with their copyright files.
# SOURCE_DATE_EPOCH sets the time of every file.
set -euo pipefail
if (($# < 2)); then
    sed -n '5s/^# *//p' "$0" >&2
    exit 2
fi
program=$1
root=$2
list_packages=true
[[ ${3:-} == --without-packages ]] && list_packages=false
epoch=${SOURCE_DATE_EPOCH:-0}

mkdir -p "$root"/{etc/ssl/certs,usr/bin,usr/lib,usr/lib64,usr/lib/ssl,var/lib/rproxy,dev,proc,sys,tmp}
# The layout of Debian, where /lib is /usr/lib: the interpreter's path must exist as it is linked.
ln -s usr/lib "$root/lib"
ln -s usr/lib64 "$root/lib64"

copied=()
add() { # SOURCE [DESTINATION]
    install -D -m "$(stat -Lc %a "$1")" "$1" "$root${2:-$1}"
    copied+=("$(realpath "$1")")
}

install -m 0755 "$program" "$root/usr/bin/rproxy"
# Symbols stay, so that a crash has function names; line tables do not.
strip --strip-debug "$root/usr/bin/rproxy"
# ldd names every library, the indirect ones included, and the interpreter.
while read -r library; do
    add "$library"
done < <(ldd "$program" | grep -o '/[^ ]*' | sort -u)

add /etc/ssl/certs/ca-certificates.crt
# Where Debian's OpenSSL looks for the default trust.
ln -s /etc/ssl/certs/ca-certificates.crt "$root/usr/lib/ssl/cert.pem"

printf 'root:x:0:0:root:/:/usr/sbin/nologin\nrproxy:x:65532:65532:rproxy:/:/usr/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nrproxy:x:65532:\n' >"$root/etc/group"
printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$root/etc/nsswitch.conf"
chown 65532:65532 "$root/var/lib/rproxy" 2>/dev/null || true
chmod 1777 "$root/tmp"

if $list_packages; then
    mkdir -p "$root/var/lib/dpkg/status.d" "$root/usr/share/doc"
    # A merged /usr: dpkg may know the file under its old path.
    owner_of() {
        dpkg-query -S "$1" 2>/dev/null || dpkg-query -S "${1#/usr}" 2>/dev/null || true
    }
    packages=$(for file in "${copied[@]}"; do owner_of "$file"; done | sed 's/:.*//' | sort -u)
    packages=$(printf '%s\nca-certificates\n' "$packages" | sed '/^$/d' | sort -u)
    sbom=$root/usr/share/doc/rproxy.spdx
    {
        printf 'SPDXVersion: SPDX-2.3\nDataLicense: CC0-1.0\nSPDXID: SPDXRef-DOCUMENT\n'
        printf 'DocumentName: rproxy image\nDocumentNamespace: urn:rproxy:image\n'
        printf 'Creator: Tool: hack/image-root.sh\nCreated: %s\n' "$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)"
        printf '\nPackageName: rproxy\nSPDXID: SPDXRef-rproxy\nPackageDownloadLocation: NOASSERTION\nFilesAnalyzed: false\n'
        printf 'PackageChecksum: SHA256: %s\n' "$(sha256sum "$root/usr/bin/rproxy" | cut -d' ' -f1)"
        printf 'Relationship: SPDXRef-DOCUMENT DESCRIBES SPDXRef-rproxy\n'
        for package in $packages; do
            id=SPDXRef-deb-${package//[^A-Za-z0-9.-]/-}
            version=$(dpkg-query -W -f '${Version}' "$package")
            printf '\nPackageName: %s\nSPDXID: %s\nPackageVersion: %s\n' "$package" "$id" "$version"
            printf 'PackageSupplier: Organization: Debian\nPackageDownloadLocation: NOASSERTION\nFilesAnalyzed: false\n'
            printf 'ExternalRef: PACKAGE-MANAGER purl pkg:deb/debian/%s@%s\n' "$package" "$version"
            printf 'Relationship: SPDXRef-rproxy DEPENDS_ON %s\n' "$id"
        done
    } >"$sbom"
    for package in $packages; do
        dpkg-query -s "$package" >"$root/var/lib/dpkg/status.d/$package"
        if [[ -r /usr/share/doc/$package/copyright ]]; then
            install -D -m 0644 "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/copyright"
        fi
    done
fi
find "$root" -exec touch -hcd "@$epoch" {} +
