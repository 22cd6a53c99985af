#!/bin/sh
# Builds the eBPF object with whichever tool chain is here: Debian's rustc with sources, or rustup's nightly.
# Cargo rebuilds only what changed. `build.sh FILE` copies the object there; without FILE its path is printed.
set -eu
cd "$(dirname "$0")"
fail() { echo "ebpf/build.sh: $1: run 'make setup'" >&2; exit 1; }
PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
command -v bpf-linker >/dev/null 2>&1 || fail "bpf-linker is not installed"

# One build at a time, copy included: another one's linker would empty the object under our hands.
mkdir -p target
if command -v flock >/dev/null 2>&1; then
    exec 9>target/build.lock
    flock 9
fi

target=bpfel-unknown-none
flags="-C linker=bpf-linker -C link-arg=--btf -C debuginfo=2 -C target-cpu=v3"
has_src() { [ -d "$("$1" --print sysroot 2>/dev/null)/lib/rustlib/src/rust/library/core" ]; }

# The outer cargo's environment (a build script's) must not reach the inner one.
for name in $(env | sed -n 's/^\(CARGO_[A-Z0-9_]*\|RUSTC[A-Z_]*\|RUSTFLAGS\|RUSTUP_TOOLCHAIN\|RUSTDOC\|TARGET\|HOST\|OUT_DIR\|PROFILE\|DEBUG\|OPT_LEVEL\|NUM_JOBS\)=.*/\1/p'); do
    case "$name" in CARGO_HOME | CARGO_NET_*) ;; *) unset "$name" ;; esac
done

if [ -x /usr/bin/rustc ] && [ -x /usr/bin/cargo ] && has_src /usr/bin/rustc; then
    RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 RUSTFLAGS="$flags" CARGO_TARGET_DIR=target \
        /usr/bin/cargo build --quiet --release --locked -Zbuild-std=core --target "$target" --ignore-rust-version >&2
elif command -v rustup >/dev/null 2>&1 && rustup run nightly rustc --version >/dev/null 2>&1; then
    RUSTFLAGS="$flags" CARGO_TARGET_DIR=target \
        rustup run nightly cargo build --quiet --release --locked -Zbuild-std=core --target "$target" >&2
else
    fail "no Rust tool chain with library sources"
fi
object="$PWD/target/$target/release/weft-ebpf"
[ -s "$object" ] || { rm -f "$object"; fail "the linker left an empty object"; }
if [ $# -gt 0 ]; then
    cp "$object" "$1"
else
    echo "$object"
fi
