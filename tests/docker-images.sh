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
for applet in sh httpd sleep cat echo nc ps kill dd tail nslookup; do ln -s busybox "$root/seat/bin/$applet"; done
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

# A second container of a seat: it speaks HTTP, and WebSocket for one frame, on 3003.
mkdir -p "$root/browser/bin" "$root/browser/tmp"
cp /bin/busybox "$root/browser/bin/"
for applet in sh nc cut dd sha1sum xxd base64; do ln -s busybox "$root/browser/bin/$applet"; done
cat >"$root/browser/answer" <<'EOF'
#!/bin/sh
end=$(printf '\r')
while read -r line; do
    line=${line%"$end"}
    case $line in
    '') break ;;
    [Ss]ec-[Ww]eb[Ss]ocket-[Kk]ey:*) key=${line#*: } ;;
    esac
done
if [ -z "$key" ]; then
    printf 'HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: close\r\n\r\nthe browser\n'
    exit
fi
# RFC 6455, 4.2.2.
proof=$(printf %s258EAFA5-E914-47DA-95CA-C5AB0DC85B11 "$key" | sha1sum | cut -d' ' -f1 | xxd -r -p | base64)
printf 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
printf 'Sec-WebSocket-Accept: %s\r\n\r\n\201\005hello' "$proof"
# One frame of eleven bytes, given back whole in a frame of its own.
printf '\202\013'
dd bs=1 count=11 2>/dev/null
EOF
chmod +x "$root/browser/answer"
tar -C "$root/browser" -c . |
    "$docker" import -c 'ENV PATH=/bin' -c 'CMD ["/bin/nc", "-ll", "-p", "3003", "-e", "/answer"]' \
        - homeroom-test/browser:1 >/dev/null

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
