#!/bin/sh
# Installs the Debian packages named, where that may be done; otherwise stops and says what to
# type. What is there already, in whatever way it came, is left alone.
set -eu

present() {
    case "$1" in
    # ensurepip is what Debian leaves out of its python3, which PYTHON may name beside another one.
    python3-venv) "${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null ;;
    # It can be there without being what the machine was booted with.
    systemd) command -v systemd-analyze >/dev/null 2>&1 ;;
    debhelper) command -v dh >/dev/null 2>&1 ;;
    nginx-light) command -v nginx >/dev/null 2>&1 ;;
    debian-archive-keyring) ls /usr/share/keyrings/debian-archive-keyring.* >/dev/null 2>&1 ;;
    # Neither has a command.
    netavark) [ -x /usr/lib/podman/netavark ] ;;
    libatomic1) ls /usr/lib/*/libatomic.so.1 >/dev/null 2>&1 ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

missing=""
for package in "$@"; do
    present "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

install="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    # Runlevel 1 keeps a package from starting the service that it contains.
    export RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086 # one word for each package
    $install >/dev/null 2>&1 || { apt-get update >/dev/null && $install >/dev/null; }
else
    echo "These packages are needed:$missing. Install them, then run this again:" >&2
    echo "  sudo apt-get update && sudo $install" >&2
    exit 1
fi
for package in "$@"; do
    present "$package" || { echo "$package was installed but is not found" >&2; exit 1; }
done
