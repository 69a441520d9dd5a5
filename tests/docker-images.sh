#!/bin/sh
# Makes the images that the tests against a real Docker engine use, without a registry:
# `homeroom-test/workspace` (a static busybox that serves HTTP on 3001 and 3002) and `homeroom-test/caddy`.
#
# Usage: tests/docker-images.sh DOCKER_HOST. Needs busybox (static), caddy and Docker's client.
set -eu
export DOCKER_HOST="$1"
# Debian's client, which knows the engines this is tested against.
docker=/usr/bin/docker
[ -x "$docker" ] || docker=docker
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

mkdir -p "$root/seat/bin" "$root/seat/tmp" "$root/seat/www" "$root/seat/files"
cp /bin/busybox "$root/seat/bin/"
for applet in sh httpd sleep cat echo nc ps kill dd tail; do ln -s busybox "$root/seat/bin/$applet"; done
echo "the terminal" >"$root/seat/www/index.html"
echo "the files" >"$root/seat/files/index.html"
cat >"$root/seat/start" <<'EOF'
#!/bin/sh
# A server in the background and one in front: when the one in front ends, the seat does.
httpd -p 3002 -h /files
exec httpd -f -p 3001 -h /www
EOF
chmod +x "$root/seat/start"
tar -C "$root/seat" -c . | "$docker" import -c 'CMD ["/start"]' - homeroom-test/workspace:1 >/dev/null

caddy=$(PATH="$PATH:/usr/sbin" command -v caddy)
mkdir -p "$root/caddy/bin" "$root/caddy/tmp"
# As in the official image, which has busybox too.
cp "$caddy" /bin/busybox "$root/caddy/bin/"
for applet in sh nc head; do ln -s busybox "$root/caddy/bin/$applet"; done
# What it is linked with, at the same places.
ldd "$caddy" | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p "$root/caddy$(dirname "$library")"
    cp -L "$library" "$root/caddy$library"
done
tar -C "$root/caddy" -c . |
    "$docker" import -c 'ENV PATH=/bin' -c 'ENV HOME=/tmp' - homeroom-test/caddy:1 >/dev/null
