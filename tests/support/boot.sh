#!/bin/sh
# Boots systemd as process 1 of namespaces of its own: boot.sh ROOT [SOURCE TARGET]..., with folders
# of the caller's in ROOT, and each SOURCE at TARGET. Needs to be root. Prints the process id of
# systemd, and leaves nothing behind: of the machine, systemd gets what it reads programs from, read
# only, unless ROOT has it, and the network.
set -eu
root=$1

case ${BOOT_STEP:-begin} in
begin)
    BOOT_STEP=fill exec unshare --mount --propagation=private "$0" "$@"
    ;;
fill)
    chmod 755 "$root"
    mount --bind "$root" "$root"
    for folder in usr bin sbin lib lib32 lib64 libx32; do
        if [ -e "$root/$folder" ] || [ -L "$root/$folder" ]; then
            continue
        elif [ -L "/$folder" ]; then
            cp --no-dereference "/$folder" "$root/"
        elif [ -d "/$folder" ]; then
            mkdir "$root/$folder"
            mount --rbind --options ro "/$folder" "$root/$folder"
        fi
    done
    shift
    while [ $# -gt 0 ]; do
        mkdir -p "$root$2"
        mount --bind --options ro "$1" "$root$2"
        shift 2
    done
    # In place of the machine's.
    [ ! -e "$root/units" ] || mount --bind "$root/units" "$root/usr/lib/systemd/system"
    mkdir -p "$root/dev" "$root/proc" "$root/run" "$root/sys" "$root/tmp" "$root/var/tmp" "$root/old"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    mount -t tmpfs -o mode=755 tmpfs "$root/dev"
    for device in null zero full random urandom tty; do
        touch "$root/dev/$device"
        mount --bind "/dev/$device" "$root/dev/$device"
    done
    ln -s pts/ptmx "$root/dev/ptmx"
    # A control group of its own, below the one that this is started in.
    mount -t sysfs -o ro sysfs "$root/sys"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    group=$root/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)
    own=$group/booted-$$
    mkdir "$own"
    echo $$ >"$own/cgroup.procs"
    # It ends only by being killed, and leaves nothing behind.
    ended=0
    BOOT_STEP=boot unshare --mount --cgroup --pid --fork --kill-child --uts --ipc "$0" "$root" ||
        ended=$?
    echo $$ >"$group/cgroup.procs"
    find "$own" -depth -type d -exec rmdir {} \;
    # Of SIGKILL, 137, or 1 where unshare stumbles over its own signals, as that of Debian 12 does.
    [ "$ended" -eq 137 ] || [ "$ended" -eq 1 ]
    ;;
boot)
    read -r pid _ </proc/self/stat # /proc is still that of the machine
    umount "$root/sys/fs/cgroup"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    mount -t proc proc "$root/proc"
    mount --bind "$root/proc/sys" "$root/proc/sys"
    mount -o remount,bind,ro "$root/proc/sys"
    cd "$root"
    pivot_root . old
    umount --lazy old
    mount --make-rshared / # as systemd itself would, were it not in a container
    echo "$pid"
    exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        /usr/lib/systemd/systemd --system --unit=basic.target --show-status=no \
        --log-target=console </dev/null
    ;;
esac
