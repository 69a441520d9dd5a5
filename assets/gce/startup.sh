#!/bin/bash
# What a workshop's instance runs at each start: waits for Docker, signs in to the registry, pulls the images, starts
# the seats and the proxy, and tells how far it is.
#
# It may run any number of times: what is there is kept, with what the seats wrote; what is not is made. What it needs
# to know stands in the instance's metadata. It keeps one log, and writes its state to a file and to the guest
# attributes: "waiting for Docker", "pulling", "starting the seats", "ready", or "failed: WHY".
#
# With a number it makes that seat alone, as somebody takes it.
set -euo pipefail

only=${1:-}
# All of these may be set for trying it out on another machine.
metadata=${HOMEROOM_METADATA:-http://metadata.google.internal/computeMetadata/v1}
# /var/lib outlives a restart of Container-Optimized OS; /etc does not.
folder=${HOMEROOM_FOLDER:-/var/lib/homeroom}
# /run does not: what it says of this start is about this start.
run=${HOMEROOM_RUN:-/run/homeroom}
# Seconds between two attempts to pull an image.
read -ra waits <<<"${HOMEROOM_WAITS:-2 4 8 16 32}"

mkdir -p "$folder" "$run"
# What is printed goes to the serial port as well.
exec > >(tee -a "$folder/startup.log") 2>&1
echo "homeroom: $(date -u +%FT%TZ) the startup script begins"

# It is away for a moment now and then, and is asked again.
ask() {
    curl --silent --max-time 10 --retry 5 --retry-connrefused --header 'Metadata-Flavor: Google' "${@:2}" \
        "$metadata/instance/$1"
}
# One of the values it is told; nothing where there is none. An answer of any other kind says neither. With --fail no
# page of an answer that was tried again stands before the one that counts.
value() {
    local said
    said=$(ask "attributes/homeroom-$1" --fail --write-out '\n%{http_code}') || [[ ${said##*$'\n'} == 404 ]] || return 1
    case ${said##*$'\n'} in
        200) printf '%s' "${said%$'\n'*}" ;;
        404) ;;
        *) return 1 ;;
    esac
}
tell() {
    # Where guest attributes are switched off, the file alone says it.
    curl --silent --max-time 10 --request PUT --header 'Metadata-Flavor: Google' --data "$2" \
        "$metadata/instance/guest-attributes/homeroom/$1" >/dev/null || true
}
state() {
    echo "homeroom: $1"
    # Of one seat more or less, the machine's own state says nothing.
    [[ -z $only ]] || return 0
    printf '%s\n' "$1" >"$run/state"
    tell state "$1"
}
failed() {
    state "failed: $1"
    exit 1
}
trap 'failed "line $LINENO of the startup script"' ERR

# The host keys, for whoever wants to know this machine before the first login: where sshd says they are, or where they
# mostly are, or as it shows them itself. At a first start they may not be there at once.
keys() {
    local files
    files=$(sshd -T 2>/dev/null | awk '$1 == "hostkey" { print $2 ".pub" }') || true
    # shellcheck disable=SC2086 # Several files, of which some are not there.
    cat $files /etc/ssh/ssh_host_*_key.pub /mnt/stateful_partition/etc/ssh/ssh_host_*_key.pub 2>/dev/null || true
}
tell_keys() {
    local found kind key
    found=$(keys | awk 'NF > 1 { print $1, $2 }' | sort -u)
    [[ -n $found || -z ${1:-} ]] ||
        found=$(ssh-keyscan -T 5 127.0.0.1 2>/dev/null | awk 'NF > 2 && !/^#/ { print $2, $3 }') || true
    while read -r kind key; do
        case $kind in ssh-* | ecdsa-*) tell "$kind" "$key" ;; esac
    done <<<"$found"
}
tell_keys

# A spot machine may be taken away, and is told half a minute before. Who asks from outside is told here; what was told
# at an earlier start is over.
watch() {
    until [[ $(ask preempted --fail) == TRUE ]]; do sleep 2; done
    tell preempted "$(date +%s)"
    echo "homeroom: $(date -u +%FT%TZ) this machine is being taken away" >>"$folder/startup.log"
}
if [[ -z $only && $(ask scheduling/preemptible --fail || true) == TRUE ]]; then
    tell preempted ""
    # One at a time: this script may be run again by hand.
    if ! kill -0 "$(cat "$run/watch" 2>/dev/null)" 2>/dev/null; then
        # With nothing of this script's open, which is through long before.
        watch </dev/null >/dev/null 2>&1 &
        echo $! >"$run/watch"
    fi
fi

declare -A told
for key in lab seats seats-on image terminal-port files-port browser-image browser-port proxy-image proxy-port registry \
    memory cpus pids; do
    told[$key]=$(value "$key") || failed "the metadata server does not say what to start: it gives no answer about homeroom-$key"
done
lab=${told[lab]}
seats=${told[seats]}
image=${told[image]}
proxy_image=${told[proxy-image]}
proxy_port=${told[proxy-port]}
browser_image=${told[browser-image]}
[[ -n $lab && -n $seats && -n $image && -n $proxy_image && -n $proxy_port ]] ||
    failed "the metadata does not say what to start"

# Seats do not reach the metadata server: it hands out the tokens of this machine's service account. But at the same
# address, on port 53, is the one resolver there is, and what a seat asks for by name is asked from within its own
# network: that passes. Each rule stands for itself, in whatever order, so there is no moment without them. No container
# is started by Docker itself as the machine starts, but by this script, once they stand. Docker looks at this chain
# before its own rules, and leaves alone what stands in it.
server=169.254.169.254
shield() {
    iptables --wait --new-chain DOCKER-USER 2>/dev/null || true
    local protocol
    for protocol in tcp udp; do
        local rule=(DOCKER-USER --destination "$server" --protocol "$protocol" ! --dport 53 --jump REJECT)
        iptables --wait --check "${rule[@]}" 2>/dev/null || iptables --wait --insert "${rule[@]}" || return 1
    done
    # An earlier version of this script's, which keeps names from seats as well.
    iptables --wait --delete DOCKER-USER --destination "$server" --jump REJECT 2>/dev/null || true
}
command -v iptables >/dev/null || failed "there is no iptables, so nothing keeps seats from the metadata server"
shield || failed "cannot keep seats from the metadata server"

state "waiting for Docker"
for _ in $(seq 120); do
    docker info >/dev/null 2>&1 && break
    sleep 1
done
docker info >/dev/null 2>&1 || failed "Docker does not answer"
shield || failed "cannot keep seats from the metadata server"

tell_keys "by now"
registry=${told[registry]}
if [[ -n $registry && -x $(command -v docker-credential-gcr || true) ]]; then
    # Root's own home is on a read-only file system there.
    export HOME=$folder
    docker-credential-gcr configure-docker --registries "$registry" >/dev/null ||
        failed "cannot sign in to $registry"
fi

state "pulling"
for wanted in "$image" "$proxy_image" ${browser_image:+"$browser_image"}; do
    docker image inspect "$wanted" >/dev/null 2>&1 && continue
    # A registry may be short of breath; what it does not have, it will not have in a minute.
    for wait in "${waits[@]}" 0; do
        said=$(docker pull --quiet "$wanted" 2>&1) && break
        said=$(tail -n 1 <<<"$said")
        case "$wait $said" in
            "0 "* | *"manifest unknown"* | *"not found"* | *"invalid reference"*) failed "cannot pull $wanted: $said" ;;
        esac
        state "pulling: again in $wait s, after $said"
        sleep "$wait"
    done
done

state "starting the seats"
# Seats do not reach each other: connections between containers of this network are refused.
if ! docker network inspect "$lab-host" >/dev/null 2>&1; then
    # Docker takes 1500 for whatever network it makes, and the machine's own may carry less: what is too long for it is
    # lost without a word, as in the middle of a TLS handshake. 1460 passes on every network of Compute Engine's.
    mtu=$(ask network-interfaces/0/mtu --fail || true)
    [[ $mtu =~ ^[0-9]{4}$ ]] || mtu=1460
    docker network create --label homeroom=1 --label "homeroom.lab=$lab" --opt "com.docker.network.driver.mtu=$mtu" \
        --opt com.docker.network.bridge.enable_icc=false "$lab-host" >/dev/null
fi

# start NAME IMAGE ARGUMENT…: makes the container where there is none, and starts it where it does not run.
start() {
    local name=$1 of=$2
    shift 2
    if ! docker container inspect "$name" >/dev/null 2>&1; then
        docker create --name "$name" --label homeroom=1 --label "homeroom.lab=$lab" --restart no \
            "$@" "$of" >/dev/null || failed "cannot make $name"
    fi
    # One of an earlier version of this script's is started by Docker, too early.
    docker update --restart no "$name" >/dev/null || failed "cannot keep Docker from starting $name"
    docker start "$name" >/dev/null || failed "cannot start $name"
}
limits=(--memory "${told[memory]}" --cpus "${told[cpus]}" --pids-limit "${told[pids]}" --network "$lab-host")
terminal=${told[terminal-port]}
files=${told[files-port]}
seats_on=${told[seats-on]}
for number in ${only:-$(seq "$seats")}; do
    seat=$(printf 'seat-%02d' "$number")
    if [[ $seats_on == join && -z $only ]]; then
        # It is made when somebody takes it.
        docker container inspect "$lab-$seat" >/dev/null 2>&1 || continue
    fi
    base=$((3000 + 10 * number))
    start "$lab-$seat" "$image" --hostname "$seat" --label "homeroom.seat=$seat" "${limits[@]}" \
        --publish "127.0.0.1:$((base + 1)):$terminal" --publish "127.0.0.1:$((base + 2)):$files"
    if [[ -n $browser_image ]]; then
        start "$lab-$seat-browser" "$browser_image" --hostname "$seat" --label "homeroom.seat=$seat" "${limits[@]}" \
            --publish "127.0.0.1:$((base + 3)):${told[browser-port]}"
    fi
done

[[ -z $only ]] || exit 0

# The proxy's routes carry the seats' tokens and are brought later, by login. Until then it only says that it is there.
if [[ ! -s $folder/Caddyfile ]]; then
    printf '{\n\tadmin off\n\tauto_https off\n}\n:%s {\n\trespond /health "ok" 200\n\trespond "not yet" 503\n}\n' \
        "$proxy_port" >"$folder/Caddyfile"
    chmod 600 "$folder/Caddyfile"
fi
# It is on the machine's own network, where no rule of Docker's lets anybody in.
iptables --wait --check INPUT --protocol tcp --dport "$proxy_port" --jump ACCEPT 2>/dev/null ||
    iptables --wait --append INPUT --protocol tcp --dport "$proxy_port" --jump ACCEPT
if ! docker container inspect "$lab-host" >/dev/null 2>&1; then
    docker create --name "$lab-host" --label homeroom=1 --label "homeroom.lab=$lab" --label homeroom.seat=host \
        --restart no --network host --volume "$folder:/etc/homeroom:ro" "$proxy_image" \
        caddy run --adapter caddyfile --config /etc/homeroom/Caddyfile >/dev/null || failed "cannot make the proxy"
fi
docker update --restart no "$lab-host" >/dev/null || failed "cannot keep Docker from starting the proxy"
docker start "$lab-host" >/dev/null || failed "cannot start the proxy"
state "ready"
