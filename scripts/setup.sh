#!/usr/bin/env bash
# Installs what building and testing Weft needs on Debian 12. Idempotent and quiet: one line for each step that
# does something. Usage: scripts/setup.sh [build] [test] [bench]   (each includes the ones before it)
set -euo pipefail
cd "$(dirname "$0")/.."

goal=${1:-test}
log=$(mktemp -t weft-setup.XXXXXX)
trap 'rm -f "$log"' EXIT

say() { printf 'setup: %s\n' "$*"; }

fail() {
    tail -n 20 "$log" >&2
    say "failed: $1" >&2
    exit 1
}

# Prefix for commands that need root.
if [ "$(id -u)" -eq 0 ]; then root=(); else root=(sudo); fi

missing_packages() {
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || printf '%s ' "$package"
    done
}

# Another apt may be running on this machine: try again a few times.
apt_retry() {
    for pause in 2 5 10 20 30; do
        "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 "$@" >"$log" 2>&1 && return 0
        sleep "$pause"
    done
    return 1
}

install() { # what it is for, packages
    local purpose=$1 missing
    shift
    missing=$(missing_packages "$@")
    [ -z "$missing" ] && return 0
    say "installing for $purpose: $missing"
    [ -e /tmp/.weft-apt-updated ] || apt_retry update || fail "apt-get update"
    touch /tmp/.weft-apt-updated
    # shellcheck disable=SC2086  # a list of names
    apt_retry install -y --no-install-recommends $missing || fail "apt-get install $missing"
}

# The forwarder is Rust compiled for BPF. It needs core's sources and a bpf-linker of the same LLVM as the compiler:
# a rustup nightly with rust-src where there is one, else Debian's second Rust (see docs/adr/0001-*).
ebpf_toolchain() {
    if command -v rustup >/dev/null && rustup +nightly component list --installed 2>/dev/null | grep -q '^rust-src'; then
        command -v bpf-linker >/dev/null && return 0
        say "building bpf-linker (a minute or two)"
        cargo install --quiet --locked bpf-linker >"$log" 2>&1 || fail "cargo install bpf-linker"
        return 0
    fi
    install "the eBPF forwarder" rustc-web cargo-web rust-web-src llvm-22-dev libpolly-22-dev zlib1g-dev libzstd-dev
    command -v bpf-linker >/dev/null && return 0
    say "building bpf-linker (a minute or two)"
    PATH=/usr/lib/llvm-22/bin:$PATH LLVM_PREFIX=/usr/lib/llvm-22 \
        cargo install --quiet bpf-linker --version 0.13.0 --no-default-features --features llvm-22 >"$log" 2>&1 ||
        fail "cargo install bpf-linker"
}

if ! command -v cargo >/dev/null; then
    say "cargo is missing: install Rust with rustup (https://rustup.rs), then run this again" >&2
    exit 1
fi
install "building" gcc g++ libc6-dev make git pkg-config protobuf-compiler libprotobuf-dev
ebpf_toolchain
[ "$goal" = build ] && exit 0

install "labs" iproute2 iputils-ping isc-dhcp-client procps
install "the client tests" python3 python3-venv python3-dev
install "the store test" etcd-server etcd-client util-linux
[ "$goal" = test ] && exit 0

install "the benchmarks" nftables ethtool openvswitch-switch etcd-server
