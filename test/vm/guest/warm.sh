#!/bin/sh
# Run before the state is saved: starts the process that runs this package's programs, and has it do once
# what tests do, because the first time of anything is the slowest.
mkdir /run/programs
mkfifo /run/programs/calls
/opt/composefs/bin/mkcomposefs --print-digest-only /opt
node /opt/programs.mjs </dev/null >/dev/console 2>&1 &
mkdir /tmp/warm
mkcomposefs --digest-store=/tmp/warm/objects /lib/x86_64-linux-gnu /tmp/warm/image.cfs
composefs digest /tmp/warm/image.cfs
composefs missing --basedir=/tmp/warm/objects /tmp/warm/image.cfs
mount.composefs -o basedir=/tmp/warm/objects /tmp/warm/image.cfs /mnt && umount /mnt
mount.composefs -o basedir=/tmp/warm/objects,digest=00 /tmp/warm/image.cfs /mnt
rm -r /tmp/warm
