#!/bin/sh
# The initramfs of the full tier: mounts the composefs image that the kernel's command line names by its
# digest, from the disk's second partition, as the root file system, and starts Debian in it.
# A test's stand-in for a real initramfs: one disk, no search, no repair.
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /run
# Errors only from here on: the kernel would write into the middle of the lines that tests wait for.
dmesg -n 4

refuse() {
  echo "initramfs: refused: $*"
  exec poweroff -f
}

for word in $(cat /proc/cmdline); do
  case $word in composefs=*) digest=${word#composefs=} ;; esac
done
[ -n "$digest" ] || refuse "no composefs= on the command line"

for module in virtio_blk erofs overlay loop; do modprobe "$module"; done
mkdir /sysroot /tools /new
mount -t ext4 -o ro /dev/vda2 /sysroot || refuse "cannot mount the disk"

# Node and mount.composefs, as they were when this initramfs was made.
[ "$(fsverity measure /sysroot/tools)" = "sha256:$(cat /etc/tools-digest) /sysroot/tools" ] ||
  refuse "changed tools"
mount -t ext4 -o loop,ro /sysroot/tools /tools || refuse "cannot mount the tools"

mount.composefs -o "basedir=/sysroot/objects,verity,digest=$digest" /sysroot/image.cfs /new ||
  refuse "cannot mount the image"

# What Debian writes lives as long as the machine.
for directory in etc var; do
  mkdir -p "/run/$directory/upper" "/run/$directory/work"
  mount -t overlay -o "lowerdir=/new/$directory,upperdir=/run/$directory/upper,workdir=/run/$directory/work" \
    overlay "/new/$directory"
done
umount /tools
for directory in proc sys dev run; do mount --move "/$directory" "/new/$directory"; done
echo "initramfs: mounted $digest"
exec switch_root /new /sbin/init
