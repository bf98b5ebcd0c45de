/**
 * A small Debian that boots to a shell on the second serial port: systemd and what it needs, with the units
 * masked that only cost time here, and the agent of test/vm as a service. Made with mmdebstrap; about 30 s.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { debianSource } from "./private-apt.mjs";
import { runTool } from "./vm-tools.mjs";

const PACKAGES = ["systemd", "systemd-sysv", "udev"];

/**
 * Measured: with all of these a boot takes 7 to 8 s until the shell, else 14 to 24 s. No device needs udev:
 * the kernel has made the two that are used, and the initramfs has mounted the root.
 */
const MASKED = [
  ...[
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
  ],
  ...[
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
  ],
  ...[
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "tmp.mount",
    "run-lock.mount",
    "getty-static.service",
    "systemd-remount-fs.service",
    "getty@tty1.service",
    "serial-getty@.service",
  ],
  ...[
    "kmod-static-nodes.service",
    "ldconfig.service",
    "systemd-binfmt.service",
    "systemd-boot-random-seed.service",
    "systemd-sysctl.service",
  ],
  ...[
    "systemd-udevd.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-udev-trigger.service",
    "systemd-udev-load-credentials.service",
  ],
  ...[
    "systemd-tmpfiles-setup-dev-early.service",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-tmpfiles-clean.timer",
    "systemd-hostnamed.socket",
    "systemd-creds.socket",
    "systemd-sysext.socket",
    "systemd-initctl.socket",
    "systemd-ask-password-console.path",
    "systemd-ask-password-wall.path",
  ],
  ...[
    "systemd-firstboot.service",
    "systemd-hwdb-update.service",
    "systemd-journal-catalog-update.service",
  ],
  ...["systemd-journal-flush.service", "systemd-logind.service", "systemd-modules-load.service"],
  ...["systemd-random-seed.service", "systemd-sysusers.service", "systemd-timesyncd.service"],
  ...["systemd-update-done.service", "systemd-user-sessions.service", "modprobe@configfs.service"],
  ...["modprobe@drm.service", "modprobe@efi_pstore.service", "modprobe@fuse.service"],
];

const AGENT_UNIT = `[Unit]
Description=Runs commands for the test on the second serial port
DefaultDependencies=no
After=local-fs.target

[Service]
ExecStart=/usr/local/lib/vm-agent
`;

/** @param {{ tools: string, suite: string, agent: string, apt: string, root: string }} request */
export function makeUserspace({ tools, suite, agent, apt, root }) {
  const unit = join(apt, "vm-agent.service");
  writeFileSync(unit, AGENT_UNIT);
  mkdirSync(join(apt, "tmp"));
  const { mirror, keyring, settings } = debianSource();
  const hooks = [
    `install -m 755 '${agent}' "$1/usr/local/lib/vm-agent"`,
    `install -m 644 '${unit}' "$1/etc/systemd/system/vm-agent.service"`,
    `mkdir -p "$1/etc/systemd/system/multi-user.target.wants"`,
    `ln -s ../vm-agent.service "$1/etc/systemd/system/multi-user.target.wants/"`,
    ...MASKED.map((name) => `ln -sf /dev/null "$1/etc/systemd/system/${name}"`),
    `: >"$1/etc/fstab"`,
    `echo vm >"$1/etc/hostname"`,
    `echo 00000000000000000000000000000001 >"$1/etc/machine-id"`,
    `rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/* "$1"/var/log/*`,
  ];
  const excluded = ["doc", "man", "locale", "info", "lintian", "bash-completion", "zsh"];
  runTool(
    tools,
    "mmdebstrap",
    [
      "--quiet",
      "--mode=root",
      "--variant=essential",
      "--format=directory",
      `--include=${PACKAGES.join(",")}`,
      ...settings.map((line) => `--aptopt=${line}`),
      ...excluded.map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
      ...hooks.map((hook) => `--customize-hook=${hook}`),
      suite,
      root,
      "-",
    ],
    {
      input: `deb [signed-by=${keyring}] ${mirror} ${suite} main\n`,
      env: { TMPDIR: join(apt, "tmp") },
      timeout: 300_000,
    },
  );
}
