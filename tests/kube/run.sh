#!/usr/bin/env bash
# Tests against a real Kubernetes API server on loopback: builds it, starts it with an etcd, runs the tests, ends both.
# Takes Go and Debian's packages. The first build takes minutes; it is kept in ~/.cache/skygate.
# Ends with 77 where what it takes cannot be had here.
# Whatever is started ends with this script, and by itself after twenty minutes should the script be killed.
#   tests/kube/run.sh                   the tests of tests/it/kube
#   tests/kube/run.sh COMMAND [ARG…]    COMMAND, with SKYGATE_TEST_KUBECONFIG set
set -euo pipefail
cd "$(dirname "$0")/../.."

version=v1.36.3
longest=1200
cache="${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/skygate"
mkdir -p "$cache"

say() { printf 'kube: %s (%ss)\n' "$*" "$SECONDS" >&2; }
fail() { printf 'kube: %s\n' "$*" >&2; exit 1; }
skip() { printf 'kube: skipped: %s\n' "$*" >&2; exit 77; }

# An API server of exactly these sources and this compiler.
build_apiserver() {
    command -v go >/dev/null || skip "no Go here: install it (1.26 or newer), it builds the API server"
    local sources=tests/kube/apiserver hash
    hash=$(cd "$sources" && { go version; cat go.mod go.sum main.go; } | sha256sum | cut -c1-16)
    apiserver="$cache/kube-apiserver-$version-$hash"
    [ -x "$apiserver" ] && return
    timeout 600 go mod download -C "$sources" || skip "the modules of the API server cannot be had"
    say "building kube-apiserver $version, once; this takes minutes"
    timeout 2400 go build -C "$sources" -mod=readonly -trimpath \
        -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version" -o "$apiserver.new" .
    mv "$apiserver.new" "$apiserver"
    say "built"
}

# Debian's etcd, unpacked and not installed: its package would start a service of its own.
find_etcd() {
    etcd=$(command -v etcd || true)
    [ -n "$etcd" ] && return
    etcd="$cache/etcd/usr/bin/etcd"
    [ -x "$etcd" ] && return
    say "fetching etcd-server from Debian"
    local folder
    folder=$(mktemp -d)
    (
        cd "$folder"
        # Unpacking as root needs no sandbox user.
        fetch() { timeout 300 apt-get -qq -o APT::Sandbox::User=root download etcd-server; }
        fetch 2>/dev/null || { timeout 300 apt-get -qq update && fetch; }
        dpkg-deb -x etcd-server_*.deb unpacked
    ) || skip "there is no etcd here, and Debian's package cannot be had"
    rm -rf "$cache/etcd"
    mv "$folder/unpacked" "$cache/etcd"
    rm -rf "$folder"
}

# A port that nobody listens on, below those that the system hands out.
free_port() {
    local port
    for _ in $(seq 100); do
        port=$((20000 + RANDOM % 10000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
    fail "no free port"
}

token() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }

kubeconfig() {
    cat >"$work/$1.kubeconfig" <<EOF
apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test, user: test}}]
clusters: [{name: test, cluster: {server: "https://127.0.0.1:$port", certificate-authority: $work/certs/apiserver.crt}}]
users: [{name: test, user: {token: "$2"}}]
EOF
}

work=$(mktemp -d)
cleanup() {
    for pid in "$work"/*.pid; do
        [ -e "$pid" ] && kill -KILL -- "-$(cat "$pid")" 2>/dev/null
    done
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

command -v openssl >/dev/null || fail "no openssl here: install it, it makes the key of the service accounts"
build_apiserver
find_etcd

etcd_port=$(free_port)
peer_port=$(free_port)
port=$(free_port)
openssl genrsa -out "$work/accounts.key" 2048 2>/dev/null
admin=$(token)
stepper=$(token)
cat >"$work/tokens.csv" <<EOF
$admin,admin,admin,"system:masters"
$stepper,stepper,stepper
EOF
chmod 600 "$work/tokens.csv"
kubeconfig admin "$admin"
kubeconfig stepper "$stepper"
kubeconfig stranger "$(token)"

# Each in a process group of its own, which is what is killed.
start() {
    local name=$1
    shift
    setsid timeout -k 5 "$longest" "$@" </dev/null >>"$work/$name.log" 2>&1 &
    echo $! >"$work/$name.pid"
    disown
}

start etcd "$etcd" --data-dir "$work/etcd" --unsafe-no-fsync --log-level error \
    --listen-client-urls "http://127.0.0.1:$etcd_port" --advertise-client-urls "http://127.0.0.1:$etcd_port" \
    --listen-peer-urls "http://127.0.0.1:$peer_port" --initial-advertise-peer-urls "http://127.0.0.1:$peer_port" \
    --initial-cluster "default=http://127.0.0.1:$peer_port"

# What the tests kill the API server and start it again with.
cat >"$work/control" <<EOF
#!/usr/bin/env bash
set -euo pipefail
case "\$1" in
start)
    setsid timeout -k 5 $longest "$apiserver" --etcd-servers "http://127.0.0.1:$etcd_port" \\
        --secure-port $port --bind-address 127.0.0.1 --advertise-address 127.0.0.1 --cert-dir "$work/certs" \\
        --token-auth-file "$work/tokens.csv" --authorization-mode RBAC \\
        --service-account-key-file "$work/accounts.key" --service-account-signing-key-file "$work/accounts.key" \\
        --service-account-issuer https://kubernetes.default.svc --service-cluster-ip-range 10.96.0.0/16 \\
        --disable-admission-plugins ServiceAccount --endpoint-reconciler-type none \\
        </dev/null >>"$work/apiserver.log" 2>&1 &
    echo \$! >"$work/apiserver.pid"
    ;;
kill) kill -KILL -- "-\$(cat "$work/apiserver.pid")" ;;
esac
EOF
chmod +x "$work/control"
say "starting etcd on port $etcd_port and the API server on port $port"
"$work/control" start

# The kubeconfig names the certificate, which the server makes as it starts.
for _ in $(seq 300); do
    [ -s "$work/certs/apiserver.crt" ] && break
    kill -0 "$(cat "$work/apiserver.pid")" 2>/dev/null || break
    sleep 0.1
done
if ! [ -s "$work/certs/apiserver.crt" ]; then
    tail -n 20 "$work/etcd.log" "$work/apiserver.log" >&2
    fail "the API server did not start"
fi

export SKYGATE_TEST_KUBECONFIG="$work/admin.kubeconfig"
status=0
if [ $# -gt 0 ]; then
    timeout "$longest" "$@" || status=$?
else
    timeout "$longest" cargo test --locked --test it kube:: || status=$?
fi
if [ "$status" -ne 0 ]; then
    tail -n 20 "$work/apiserver.log" >&2
fi
say "done"
exit "$status"
