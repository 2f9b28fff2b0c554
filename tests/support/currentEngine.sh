#!/bin/sh
# Starts the Docker engine of another system and runs a command beside it. currentEngine.ts calls it, as the first process
# of namespaces of its own: it sets up mounts and network for itself alone, and whatever it leaves ends with it.
#
# SYSTEM  the folder of the system that brings the engine     ROOT   where that is mounted
# SHARED  folders that both systems see at the same path      DATA   the engine's data
# IMAGES  a file of images for it                             WORK   for its settings, socket, process id and log
set -eu

# The engine's own mounts: no other process sees them. Its system has to be the true root: from a mere chroot
# `docker exec` would end up in the root folder of this machine.
if [ "$1" = --engine ]; then
  mount --bind "$SYSTEM" "$ROOT"
  mount -t proc proc "$ROOT/proc"
  mount -t sysfs sysfs "$ROOT/sys"
  mount --rbind /sys/fs/cgroup "$ROOT/sys/fs/cgroup"
  mount --rbind /dev "$ROOT/dev"
  mount -t tmpfs tmpfs "$ROOT/run"
  printf '%s\n' "$SHARED" | while read -r folder; do
    mkdir -p "$ROOT$folder"
    mount --bind "$folder" "$ROOT$folder"
  done
  cd "$ROOT"
  pivot_root . mnt
  umount --lazy /mnt
  exec dockerd --config-file "$WORK/daemon.json" --data-root "$DATA" --host "$DOCKER_HOST"
fi

ip link set lo up
unshare --mount sh "$0" --engine >"$WORK/dockerd.log" 2>&1 &
engine=$!
echo "$engine" >"$WORK/dockerd.pid"
until docker version >/dev/null 2>&1; do
  if ! kill -0 "$engine" 2>/dev/null; then
    tail -n 25 "$WORK/dockerd.log" >&2
    exit 1
  fi
  sleep 0.2
done
docker load --quiet --input "$IMAGES" >/dev/null
rm "$IMAGES"
docker version --format 'current engine: docker client {{.Client.Version}}, engine {{.Server.Version}}' >&2
docker info --format 'images in {{.Driver}}, {{range .ClientInfo.Plugins}}{{.Name}} {{.Version}}{{end}}' >&2

unset SYSTEM ROOT SHARED DATA IMAGES WORK
status=0
"$@" || status=$?

# Its containers go first: the engine would give each of them ten seconds.
docker container ls --all --quiet | xargs --no-run-if-empty docker container rm --force >/dev/null
kill "$engine"
wait "$engine" || true
exit "$status"
