#!/usr/bin/env bash
# Builds from exactly the files that the Dockerfile copies, puts those of its final stage into an empty root and runs the binary there as an
# unprivileged user without capabilities, with a read-only root, on port 80 of a network namespace of its own: what the image does, without a container
# engine. Needs root (CI has it); says so when it cannot run. With `WATCHFIRE`, a binary that is built already, the files are only checked to be complete.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "$(id -u)" != 0 ]; then
  echo "SKIPPED: needs root for chroot and namespaces"
  [ -z "${WATCHFIRE_CI:-}" ] && exit 0 || exit 1
fi
context=$(mktemp -d)
root=$(mktemp -d)
trap 'umount -l "$root/var/lib/watchfire" "$root" 2>/dev/null || true; rm -rf "$root" "$context"' EXIT
sed -n 's/^COPY \([^-].*\) [^ ]*$/\1/p' Dockerfile | tr ' ' '\n' | xargs -I{} cp -r --parents {} "$context"
if [ -n "${WATCHFIRE:-}" ]; then
  # What the compiler read of the library is in its own list beside the binary; a second build only to see that would take minutes.
  lists=("$(dirname "$WATCHFIRE")"/deps/watchfire-*.d)
  list=$(grep -l '^[^ ]*libwatchfire-[^ ]*\.rlib:' "${lists[@]}" | xargs ls -t | head -n 1)
  grep -o '^[^ /#][^ ]*:$' "$list" | tr -d : | while read -r file; do
    [ -e "$context/$file" ] || { echo "the library is built of $file, which the Dockerfile does not copy"; exit 1; }
  done
  (cd "$context" && cargo tree --locked --offline >/dev/null)
else
  (cd "$context" && CARGO_TARGET_DIR="$OLDPWD/target" cargo build --profile dist --locked --bin watchfire)
fi
binary=${WATCHFIRE:-target/dist/watchfire}
chmod 755 "$root"
mkdir -p "$root"/{etc/watchfire,var/lib/watchfire,tmp,lib64,lib/x86_64-linux-gnu,dev}
cp "$binary" "$root/watchfire"
sed 's|^store: .*|store: sqlite:/var/lib/watchfire/watchfire.db|' routes.yaml >"$root/etc/watchfire/routes.yaml"
# The base image's share: the C library that the binary names.
ldd "$binary" | grep -o '/[^ ]*' | while read -r lib; do mkdir -p "$root$(dirname "$lib")"; cp -L "$lib" "$root$lib"; done
run=$(mktemp)
cat >"$run" <<'INNER'
set -eu
root=$1
ip link set lo up 2>/dev/null || ifconfig lo up
echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start
mount --bind "$root" "$root"
mount -t tmpfs -o mode=0700,uid=65532,gid=65532 tmpfs "$root/var/lib/watchfire"
mount -o remount,bind,ro "$root"
export WATCHFIRE_CONFIG=/etc/watchfire/routes.yaml WATCHFIRE_LISTEN=0.0.0.0:80 WATCHFIRE_LOG_FORMAT=json
chroot --userspec=65532:65532 "$root" /watchfire serve >"$2" 2>&1 &
pid=$!
for _ in $(seq 100); do chroot --userspec=65532:65532 "$root" /watchfire health >/dev/null 2>&1 && break; sleep 0.1; done
chroot --userspec=65532:65532 "$root" /watchfire health
curl -fsS --noproxy '*' -H 'content-type: application/json' -d '{"version":"4","alerts":[{"labels":{"alertname":"ImageWorks","severity":"critical"}}]}' http://127.0.0.1:80/webhook
echo
sleep 1
kill -TERM $pid
wait $pid
INNER
out=$(mktemp)
unshare --net --mount bash "$run" "$root" "$out"
grep -q ImageWorks "$out" || { cat "$out"; echo "the alert did not arrive"; exit 1; }
echo "the image's files work: unprivileged, read-only root, port 80"
