#!/bin/sh
# Builds the Debian package in an empty folder: build.sh FOLDER VERSION MODULES PYTHON...
# MODULES has what runs with each PYTHON, by number. SOURCE_DATE_EPOCH is the time of every file,
# and BIN has the commands, which manual pages are made of.
set -eu
folder=$1 version=$2 modules=$3
shift 3

here=$(dirname "$0")
name=viam-billing-exporter
home=usr/lib/$name
root=$folder/tree

mkdir -p "$folder/debian"
cp "$here"/* "$folder/debian/"
cp "$here/../../CHANGELOG.md" "$here/../exporter.example.yml" "$folder/"
for unit in service socket; do
    # The package has another place, and makes a user, who reads the keys without systemd.
    sed "s|/opt/$name/bin/|/usr/bin/|; s|^DynamicUser=yes|User=$name|; s|README\.md|README.Debian|
        /^# Each file FILE/,/^LoadCredential=/d" \
        "$here/../systemd/$name.$unit" >"$folder/debian/$name.$unit"
done
cp "$here/../report/viam-billing-report.service" "$here/../report/viam-billing-report.timer" \
    "$folder/debian/"
cat >"$folder/debian/changelog" <<CHANGELOG
$name ($version-1) stable; urgency=medium

  * See /usr/share/doc/$name/changelog.gz.

 -- $(sed -n 's/^Maintainer: //p' "$here/control")  $(date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")
CHANGELOG

mkdir -p "$root/$home/bin" "$root/usr/share/python3/runtime.d"
install -m 0755 "$here/$name.rtupdate" "$root/usr/share/python3/runtime.d/"
cp -R "$modules" "$root/$home/modules"
others=
for python in "$@"; do
    others="$others ! -name *.cpython-3${python#3.}-*"
    mkdir -p "$root/$home/lib/python$python"
    ln -s ../../modules "$root/$home/lib/python$python/site-packages"
done
# shellcheck disable=SC2086 # a word for each name
set -f && find "$root" -name '*.cpython-*.so' $others -delete && set +f
echo 'home = /usr/bin' >"$root/$home/pyvenv.cfg"
ln -s /usr/bin/python3 "$root/$home/bin/python3"
for command in viam-billing-exporter:exporter viam-billing:tool; do
    script=$root/$home/bin/${command%:*}
    printf '#!/%s/bin/python3\nfrom exporter.start import %s\n\n%s()\n' \
        "$home" "${command#*:}" "${command#*:}" >"$script"
    chmod 755 "$script"
    COLUMNS=80 LC_ALL=C.UTF-8 help2man --no-info \
        --name="$(sed -n 's/^Description: //p' "$here/control")" \
        --output="$folder/debian/${command%:*}.1" "$BIN/${command%:*}"
done

for last in "$@"; do :; done
echo "python3 (>= $1~), python3 (<< 3.$((${last##*.} + 1))~)" >"$folder/debian/pythons"

cd "$folder"
dpkg-buildpackage --build=binary --no-sign --no-check-builddeps
