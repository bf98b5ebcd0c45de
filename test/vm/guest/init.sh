#!/bin/sh
# The first process of the saved-state tier: loads all file systems, leaves the disks alone, becomes the agent.
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
for module in erofs overlay btrfs loop; do modprobe "$module"; done
# Warms what every test uses, so that the saved state has it in memory.
for warm in /etc/warm/*; do [ -x "$warm" ] && "$warm"; done
exec setsid /agent
