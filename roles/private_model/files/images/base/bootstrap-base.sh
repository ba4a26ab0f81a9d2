#!/bin/bash
# Makes the base image's root file system from the packages of a Debian or Ubuntu host's own distribution,
# for hosts where no container registry answers. Writes a tar for `podman import`.
#
#   bootstrap-base.sh --output FILE|- [--suite CODENAME] [--mirror-from-host | --mirror URI] [--keyring FILE]
#
# --suite             codename to make; when left out the host's own, or the next one with Python 3.11
# --mirror-from-host  take addresses from the host's apt sources (the default)
# --mirror URI        take this archive instead, with no separate security archive
# --keyring FILE      archive key of a mirror that signs by itself; goes into the image at the same path
# --output FILE|-     where the tar goes (written under a temporary name first); - is standard output
#
# Needs mmdebstrap, apt and the distribution's keyring; runs as root, or as a user with subordinate ids.
# The host's proxies and CA bundle serve while it runs and are not left in the result.
# shellcheck disable=SC2016,SC2054  # hooks and formats expand later; mmdebstrap lists are comma-separated
set -euo pipefail
export LC_ALL=C.UTF-8

fail() { echo "bootstrap-base: $*" >&2; exit 1; }

suite='' mirror='' keyring='' output=''
while [ $# -gt 0 ]; do
  case $1 in
    --suite) suite=${2:?--suite needs a codename}; shift 2 ;;
    --mirror) mirror=${2:?--mirror needs an address}; shift 2 ;;
    --keyring) keyring=${2:?--keyring needs a file}; shift 2 ;;
    --output) output=${2:?--output needs a file or -}; shift 2 ;;
    --mirror-from-host) mirror=''; shift ;;
    *) fail "unknown argument '$1'; allowed: --suite, --mirror-from-host, --mirror, --keyring, --output" ;;
  esac
done
[ -n "$output" ] || fail "--output is missing: name a file, or - for standard output"
command -v mmdebstrap >/dev/null || fail "mmdebstrap is not installed; remedy: apt-get install mmdebstrap"

# shellcheck source=/dev/null
. /etc/os-release
case "${ID:-} ${ID_LIKE:-}" in
  ubuntu*) distribution=ubuntu ;;
  debian*) distribution=debian ;;
  *ubuntu*) distribution=ubuntu; VERSION_CODENAME=${UBUNTU_CODENAME:-${VERSION_CODENAME:-}} ;;
  *debian*) distribution=debian; VERSION_CODENAME=${DEBIAN_CODENAME:-${VERSION_CODENAME:-}} ;;
  *) fail "this host is '${PRETTY_NAME:-unknown}'; bootstrapping works on Debian and Ubuntu only." \
    "Remedy: give a registry that answers, or a base image made elsewhere" ;;
esac
own=${VERSION_CODENAME:-}
# ilab needs Python 3.11: the first suite of the same archive that has it.
case $own in
  jammy) newer=noble ;;
  bullseye) newer=bookworm ;;
  *) newer=$own ;;
esac
suite=${suite:-$newer}
# Ubuntu has what the images are built with (python3-venv) in universe.
components=main
case $distribution:$mirror in ubuntu: | ubuntu:*/ubuntu*) components='main universe' ;; esac
[ -n "$suite" ] || fail "the host's codename is unknown; remedy: give --suite"
[[ $suite =~ ^[a-z0-9][a-z0-9.+-]*$ ]] || fail "suite '$suite' is not a codename (such as bookworm or noble)"

default_keyring=/usr/share/keyrings/$distribution-archive-keyring.gpg
signed_by=${keyring:-$default_keyring}
[ -r "$signed_by" ] || fail "archive key '$signed_by' is missing; remedy: apt-get install $distribution-keyring" \
  "(on Debian: debian-archive-keyring), or give --keyring"

work=$(mktemp -d "${TMPDIR:-/tmp}/bootstrap-base.XXXXXX")
trap 'rm -rf "$work" ${partial:+"$partial"}' EXIT
chmod 755 "$work"  # read by the user namespace's root too

# The distribution's own archives among the host's sources: third parties use codenames as suites too,
# so the origin written in the Release file decides, or the address where no list was fetched yet.
host_archives() {
  apt-get indextargets --format '$(CREATED_BY)|$(REPO_URI)|$(RELEASE)|$(ORIGIN)|$(COMPONENT)' |
    awk -F'|' -v own="$own" -v want="$suite" -v distribution="$distribution" '
      $1 != "Packages" || $5 != "main" || $2 ~ /^cdrom:/ { next }
      $4 != "" && tolower($4) != distribution { next }
      $4 == "" && $2 !~ "/" distribution "[a-z-]*/?$" { next }
      { release = $3; sub(/^(oldstable|stable|testing)/, own, release)
        if (release != own && release != own "-updates" && release != own "-security") next
        sub("^" own, want, release)
        if (!seen[$2 release]++) print $2, release }'
}

if [ -n "$mirror" ]; then
  printf '%s %s\n' "$mirror" "$suite" >"$work/archives"
else
  host_archives >"$work/archives"
  grep -q " $suite\$" "$work/archives" || fail "no archive of $distribution '$own' among the host's apt sources;" \
    "remedy: run apt-get update, look at /etc/apt/sources.list*, or give --mirror"
fi
while read -r uri release; do
  printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: %s\nSigned-By: %s\n\n' "$uri" "$release" "$components" "$signed_by"
done <"$work/archives" >"$work/archives.sources"

# How the host reaches its archives (proxies, own CA, retries): for this run only. What the archive itself
# demands (a frozen snapshot with an expired date) stays with the sources, or later installs would fail.
apt-config dump | grep -E '^Acquire::((http|https)::|Retries|Queue-Mode|ForceIPv[46])' |
  grep -vi 'user-agent' >"$work/host-apt.conf" || true
apt-config dump | grep -E '^Acquire::(Check-Valid-Until|Check-Date) ' >"$work/archive-apt.conf" || true

# mmdebstrap of Ubuntu 22.04 has the one without "maybe" only, which fits: all suites made there are merged.
merged_usr=/usr/share/mmdebstrap/hooks/maybe-merged-usr
[ -d "$merged_usr" ] || merged_usr=${merged_usr/maybe-/}

options=(
  --variant=apt
  --components="${components/ /,}"
  --include=python3,ca-certificates
  # With /usr merged from the start nothing pulls in usrmerge and its 47 MB of Perl.
  --hook-directory="$merged_usr"
  --aptopt='APT::Install-Recommends "false"'
  --aptopt='Acquire::Languages "none"'
  --aptopt='DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; }'
  # Kept in the image, so that later installs leave the same out. Licences stay: images are passed on.
  --dpkgopt='path-exclude=/usr/share/doc/*'
  --dpkgopt='path-include=/usr/share/doc/*/copyright'
  --dpkgopt='path-exclude=/usr/share/man/*'
  --dpkgopt='path-exclude=/usr/share/info/*'
  --dpkgopt='path-exclude=/usr/share/lintian/*'
  --dpkgopt='path-exclude=/usr/share/locale/*'
  --dpkgopt='path-include=/usr/share/locale/locale.alias'
  --dpkgopt='path-exclude=/usr/share/i18n/*'
  --dpkgopt='path-exclude=/usr/share/bash-completion/*'
  --dpkgopt='path-exclude=/usr/lib/*/gconv/*'
  --setup-hook="install -m 644 '$work/host-apt.conf' \"\$1/etc/apt/apt.conf.d/00bootstrap-host\""
  --customize-hook='rm -f "$1/etc/apt/apt.conf.d/00bootstrap-host"'
  --customize-hook='rm -rf "$1"/var/cache/debconf/*-old "$1"/var/lib/dpkg/*-old "$1"/var/log/*.log "$1"/var/log/apt'
  --customize-hook='rm -f "$1/etc/hostname" "$1/etc/resolv.conf"'
)
[ -s "$work/archive-apt.conf" ] &&
  options+=(--setup-hook="install -m 644 '$work/archive-apt.conf' \"\$1/etc/apt/apt.conf.d/50archive\"")
[ -n "$keyring" ] &&
  options+=(--setup-hook="install -D -m 644 '$keyring' \"\$1$(readlink -f "$keyring")\"")
# Progress goes to standard error as plain lines; a bar would fill a log.
options+=(--quiet --verbose)

if [ "$output" = - ]; then
  mmdebstrap "${options[@]}" --format=tar "$suite" - "$work/archives.sources"
else
  mkdir -p "$(dirname "$output")"
  partial=$(mktemp "$output.XXXXXX")
  mmdebstrap "${options[@]}" --format=tar "$suite" - "$work/archives.sources" >"$partial"
  sync "$partial"
  mv -f "$partial" "$output"
  partial=''
fi
