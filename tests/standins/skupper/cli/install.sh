#!/bin/sh
# Installer of the stand-in's site bundles, for tests: our own, short, with the options of the real one.
set -eu
# @UNPACK@
export SITE_NAME="@SITE@"
export SOURCE_NAMESPACE="@NAMESPACE@"
export SOURCE_PLATFORM="@PLATFORM@"
export VERSION="@VERSION@"
namespace=$SOURCE_NAMESPACE platform=$SOURCE_PLATFORM remove='' links=''
while getopts 'xhd:p:n:' option; do
  case "$option" in
    p) platform=$OPTARG ;;
    n) namespace=$OPTARG ;;
    d) links=$OPTARG ;;
    x) remove=1 ;;
    *) echo "Usage: $0 [-p <podman|docker|linux>] [-x] [-d <output-dir>]" >&2; exit 1 ;;
  esac
done
engine=$platform
[ "$platform" != linux ] || engine=skrouterd
for needed in python sed find grep wc xargs tar getent echo cp id cut ls rm mkdir "$engine"; do
  if ! command -v "$needed" >/dev/null 2>&1; then
    echo "A required command could not be found: $needed"
    exit 1
  fi
done
home=${XDG_DATA_HOME:-$HOME/.local/share}/skupper units=${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user control='systemctl --user' run=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}
if [ "$(id -u)" -eq 0 ]; then home=/var/lib/skupper units=/etc/systemd/system control=systemctl run=/run; fi
site=$home/namespaces/$namespace
unit=skupper-$namespace.service
if [ -n "$links" ]; then
  mkdir -p "$links/@SITE@"
  cp @NAMESPACE@/runtime/links/*.yaml "$links/@SITE@"
  exit 0
fi
if [ -n "$remove" ]; then
  $control stop "$unit" || true
  $control disable "$unit" || true
  rm -rf "${units:?}/$unit" "${site:?}"
  $control daemon-reload || true
  exit 0
fi
if [ -d "$site/runtime" ]; then
  echo "Failed: namespace \"$namespace\" is already defined"
  exit 1
fi
if [ -d "$site/input/resources" ]; then
  echo "Failed: namespace \"$namespace\" already contains input resources"
  exit 1
fi
mkdir -p "$site"
cp -rf @NAMESPACE@/* "$site/"
echo "platform: $platform" >"$site/internal/platform.yaml"
id=$(hostname)-$(id -un)-$(date +%s-%N)
profiles=$site
# The router in a container knows the variable.
# shellcheck disable=SC2016
[ "$platform" = linux ] || profiles='${SSL_PROFILE_BASE_PATH}'
find "$site" -type f ! -name '*.key' -exec sed -i -e "s#{{.SiteNameSuffix}}#$id#g" -e "s#{{.SiteId}}#$id#g" \
  -e "s#{{.Namespace}}#$namespace#g" -e "s#{{.Platform}}#$platform#g" -e "s#{{.Home}}#$home#g" -e "s#{{.RuntimeDir}}#$run#g" \
  -e "s#{{.SslProfileBasePath}}#$profiles#g" {} +
if $control list-units >/dev/null 2>&1; then
  kind=container
  [ "$platform" = linux ] && kind=linux
  mkdir -p "$units"
  cp "$site/internal/scripts/skupper.service.$kind" "$units/$unit"
  $control enable --now "$unit"
  $control daemon-reload
fi
echo "Site \"@SITE@\" is now running on namespace \"$namespace\""
