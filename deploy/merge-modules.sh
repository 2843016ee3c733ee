#!/bin/sh
# Puts what several Pythons run with into one folder: merge-modules.sh TARGET FOLDER...
# A library for one of them says so in its name, and every other file is the same.
set -eu
target=$1
shift

mkdir -p "$target"
for folder in "$@"; do
    # Of what a package says about itself, some is about one Python, or about how it got there.
    if diff --recursive --brief --exclude='*.dist-info' --exclude=bin "$target" "$folder" |
        grep -v '^Only in'; then
        echo "$folder has other files than the folders before it: see above." >&2
        exit 1
    fi
    tar -C "$folder" --exclude=./bin --exclude='*.dist-info/RECORD' --exclude='*.dist-info/WHEEL' \
        --exclude='*.dist-info/INSTALLER' --exclude='*.dist-info/REQUESTED' \
        --exclude='*.dist-info/direct_url.json' -c . | tar -C "$target" -x --skip-old-files
done
# Whoever does it, and whatever wheels say.
find "$target" -type d -exec chmod 0755 {} + -o -exec chmod 0644 {} +
