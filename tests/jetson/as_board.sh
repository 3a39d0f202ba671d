#!/bin/sh
# Runs a command with the files of a captured board in the place of this machine's: as_board.sh TREE COMMAND…
# It is to be started by `unshare --mount`: nothing of it is seen outside.
set -e
tree=$1
shift
mount --make-rprivate /
mount -t tmpfs none /mnt
mkdir /mnt/etc /mnt/etc.work /mnt/lib /mnt/lib.work
mount -t overlay none -o lowerdir=/etc,upperdir=/mnt/etc,workdir=/mnt/etc.work /etc
mount -t overlay none -o lowerdir=/var/lib,upperdir=/mnt/lib,workdir=/mnt/lib.work /var/lib
cp "$tree"/etc/* /etc/
mkdir -p /var/lib/nvpmodel
mount --bind "$tree/var/lib/nvpmodel" /var/lib/nvpmodel
mount --bind "$tree/sys/class" /sys/class
exec "$@"
