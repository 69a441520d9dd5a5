#!/bin/sh
# Builds the example workspace image from Debian's packages alone: no registry, no base image.
#
# Usage: build.sh [NAME [SUITE]]     NAME is workspace:latest, SUITE bookworm when not said.
# Needs mmdebstrap, root (or a user namespace) and Docker's client; DOCKER_HOST says which engine gets the image.
set -eu
name=${1:-workspace:latest}
suite=${2:-bookworm}
here=$(cd "$(dirname "$0")" && pwd)
packages=$(grep -v '^#' "$here/packages" | paste -sd, -)
tar=$(mktemp --suffix=.tar)
trap 'rm -f "$tar"' EXIT
mmdebstrap --quiet --variant=minbase --include="$packages" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='chroot "$1" useradd --create-home --shell /bin/bash student' \
    --customize-hook="copy-in $here/start $here/serve.py /usr/local/bin" \
    --customize-hook='chmod 755 "$1/usr/local/bin/start" "$1/usr/local/bin/serve.py"' \
    --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*' \
    "$suite" "$tar"
docker import --change 'CMD ["/usr/local/bin/start"]' --change 'ENV LANG=C.UTF-8' "$tar" "$name"
