#!/bin/sh
# Installs what is missing: Podman and friends by the system's package manager, Ansible into .venv.
#   tools/bootstrap.sh         for `make quickstart`
#   tools/bootstrap.sh --dev   for `make test`, too
# Asks for privilege for the packages only. The second time it only looks.
set -eu
cd "$(dirname "$0")/.."

dev=''
[ "${1:-}" = --dev ] && dev=dev
say() { printf '  %s\n' "$*"; }
fail() { printf 'bootstrap: %s\n' "$*" >&2; exit 1; }

# shellcheck source=/dev/null
. /etc/os-release
family=" ${ID:-} ${ID_LIKE:-} "
case "$family" in
  *" debian "* | *" ubuntu "*) manager=apt ;;
  *" fedora "* | *" rhel "* | *" centos "*) manager=dnf ;;
  *) fail "${PRETTY_NAME:-this system} is not supported; supported: Debian 12 and 13, Ubuntu 22.04 and newer, Fedora, RHEL 9 and newer" ;;
esac
case "$(uname -m)" in
  x86_64 | aarch64) ;;
  *) fail "the architecture $(uname -m) is not supported; supported: x86_64, aarch64" ;;
esac

# Is there a Podman with networks of its own (4.3 or newer)?
podman_is_new() {
  found=$(podman --version 2>/dev/null | sed -n 's/^podman version \([0-9]*\)\.\([0-9]*\).*/\1 \2/p')
  [ -n "$found" ] && [ "${found% *}" -ge 4 ] && { [ "${found% *}" -gt 4 ] || [ "${found#* }" -ge 3 ]; }
}

python=python3
if [ "$manager" = apt ]; then
  packages="podman runc netavark aardvark-dns uidmap slirp4netns fuse-overlayfs mmdebstrap iptables nftables iproute2 procps ca-certificates"
  # The summary and the tutorial ask the model with it; RHEL and Fedora always have it.
  packages="$packages curl"
  case "$family" in
    *" ubuntu "*) packages="$packages ubuntu-keyring" ;;
    *) packages="$packages debian-archive-keyring" ;;
  esac
  if [ "${ID:-} ${VERSION_ID:-}" = 'ubuntu 22.04' ]; then
    # Its Podman is 3.4 and has plugins instead of netavark. A newer one from elsewhere is taken as it is, and kept.
    own='podman runc containernetworking-plugins '
    ! podman_is_new || own=''
    packages=$(printf '%s' "$packages" | sed "s/podman runc netavark aardvark-dns /$own/")
    # Its Python is 3.10; ansible-core 2.19 needs 3.11.
    python=python3.11
  fi
  [ "${VERSION_CODENAME:-}" = bookworm ] || [ "${VERSION_ID:-}" = 22.04 ] || packages="$packages passt"
  packages="$packages $python $python-venv"
  [ -n "$dev" ] && packages="$packages chromium haproxy etcd-server libatomic1 fonts-dejavu-core git rsync openssl prometheus prometheus-node-exporter"
  [ -n "$dev" ] && packages="$packages containernetworking-plugins conntrack socat nginx systemd docker-registry openssh-client"
  # Docker's package of containerd does as well, and the distribution's would remove it.
  [ -n "$dev" ] && ! command -v containerd >/dev/null && packages="$packages containerd"
  missing() { for one in $packages; do dpkg-query -W -f '${db:Status-Status}\n' "$one" 2>/dev/null | grep -qx installed || printf ' %s' "$one"; done; }
  install() { as_root "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends$1"; }
else
  case "${VERSION_ID:-}" in 9*) [ "${ID:-}" != fedora ] && python=python3.12 ;; esac
  # RHEL 10 has neither runc nor slirp4netns any more; RHEL 9 still takes slirp4netns by default.
  case "${ID:-} ${VERSION_ID:-}" in
    fedora*) networks="runc passt" ;;
    *\ 9*) networks="runc slirp4netns" ;;
    *) networks="crun passt" ;;
  esac
  packages="podman $networks netavark aardvark-dns shadow-utils fuse-overlayfs iproute procps-ng ca-certificates $python"
  [ -n "$dev" ] && packages="$packages chromium haproxy etcd nginx libatomic dejavu-sans-fonts git rsync"
  # RHEL has no containerd: there TEST_KUBECONFIG names a cluster that is there.
  [ -n "$dev" ] && [ "${ID:-}" = fedora ] &&
    packages="$packages containerd runc containernetworking-plugins nftables conntrack-tools socat"
  missing() { for one in $packages; do rpm -q --quiet --whatprovides "$one" || printf ' %s' "$one"; done; }
  install() { as_root "dnf install -y -q$1"; }
fi

# Runs one line as root, its output in the log: directly, by sudo, or not at all with the line to run.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    sh -c "$1" >.cache/packages.log 2>&1
  elif command -v sudo >/dev/null; then
    say "with sudo: $1"
    # sudo forgets the way to the package servers otherwise. The log is the user's.
    # shellcheck disable=SC2024
    sudo --preserve-env=http_proxy,https_proxy,no_proxy sh -c "$1" >.cache/packages.log 2>&1
  else
    fail "these packages are missing and there is no sudo. Remedy: run this as root, then try again: $1"
  fi
}

# An installed chromium-browser, haproxy or crun elsewhere does not matter; the packages are what is tested.
needed=$(missing)
if [ -n "$needed" ]; then
  say "installing:$needed"
  mkdir -p .cache
  if ! install "$needed"; then
    tail -n 15 .cache/packages.log >&2
    fail "installing packages failed; the whole output is in .cache/packages.log"
  fi
  # The tests start their own; the distribution's would hold ports 80 and 5000.
  for service in nginx docker-registry; do
    case "$needed " in
      *" $service "*) ! [ -d /run/systemd/system ] || as_root "systemctl disable --quiet --now $service" ;;
    esac
  done
fi

if [ "$(id -u)" != 0 ]; then
  user=$(id -un)
  grep -q "^$user:" /etc/subuid 2>/dev/null || fail "user $user has no subordinate ids, which rootless Podman needs." \
    "Remedy, as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $user"
  # Without a login manager nobody makes it, and Podman's networks fail much later with an unclear message.
  runtime=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}
  { [ -w "$runtime" ] && [ "$(stat -c %u "$runtime")" = "$(id -u)" ]; } ||
    fail "$runtime is missing or not the directory of $user, and rootless Podman needs it." \
      "Remedy: log in directly (ssh, console; not su), or as root: install -d -m 0700 -o $user $runtime"
fi

# The distribution's Python where it fits, not one that happens to be first on the PATH.
interpreter=/usr/bin/$python
[ -x "$interpreter" ] || interpreter=$(command -v "$python") || fail "no $python was found after installing it"
"$interpreter" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "$interpreter is $("$interpreter" --version 2>&1); Python 3.11 or newer is needed"

lock=requirements/${dev:-run}.lock
stamp=.venv/.installed-${dev:-run}
wanted=$(cat "$lock" requirements/uv.lock | cksum)-$("$interpreter" --version)
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
  say "installing Ansible into .venv${dev:+ with the tools of the tests}"
  if [ "$(cat .venv/.python 2>/dev/null)" != "$("$interpreter" --version)" ]; then
    rm -rf .venv
    "$interpreter" -m venv .venv
    "$interpreter" --version >.venv/.python
  fi
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.lock
  # uv is quick but trusts its own certificates by default; this makes it use the host's.
  UV_NATIVE_TLS=1 UV_SYSTEM_CERTS=1 .venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes -r "$lock"
  printf '%s' "$wanted" >"$stamp"
  # The tools of the tests hold everything that running needs.
  [ -z "$dev" ] || printf '%s' "$(cat requirements/run.lock requirements/uv.lock | cksum)-$("$interpreter" --version)" >.venv/.installed-run
fi
