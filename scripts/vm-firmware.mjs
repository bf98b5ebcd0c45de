/**
 * UEFI firmware for the guest, without and with Secure Boot, and keys made for these tests alone:
 * `code.fd` and `vars.fd`; `secboot-code.fd` and `secboot-vars.fd`, which trusts only `db`; the boot loader
 * signed with it; and `stranger`, a key that no firmware trusts.
 */

import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { runTool } from "./vm-tools.mjs";

/** The owner of the enrolled keys: any GUID does. */
const OWNER = "6a3c1fb8-2f3e-4d0c-9a53-0c0f5e5a7e57";

/** @param {{ tools: string, packages: string, root: string }} request */
export function makeFirmware({ tools, packages, root }) {
  const ovmf = (/** @type {string} */ name) => join(packages, "usr/share/OVMF", name);
  const made = (/** @type {string} */ name) => join(root, name);
  copyFileSync(ovmf("OVMF_CODE_4M.fd"), made("code.fd"));
  copyFileSync(ovmf("OVMF_VARS_4M.fd"), made("vars.fd"));
  copyFileSync(ovmf("OVMF_CODE_4M.secboot.fd"), made("secboot-code.fd"));

  for (const key of ["PK", "KEK", "db", "stranger"]) {
    runTool(tools, "openssl", [
      ...["req", "-new", "-x509", "-newkey", "rsa:2048", "-sha256", "-nodes", "-days", "36500"],
      ...[
        "-subj",
        `/CN=composefs test ${key}/`,
        "-keyout",
        made(`${key}.key`),
        "-out",
        made(`${key}.crt`),
      ],
    ]);
  }
  runTool(tools, "virt-fw-vars", [
    ...["--input", made("vars.fd"), "--output", made("secboot-vars.fd")],
    ...["--set-pk", OWNER, made("PK.crt"), "--add-kek", OWNER, made("KEK.crt")],
    ...["--add-db", OWNER, made("db.crt"), "--secure-boot"],
  ]);
  const loader = join(packages, "usr/lib/systemd/boot/efi/systemd-bootx64.efi");
  copyFileSync(loader, made("loader.efi"));
  runTool(tools, "sbsign", [
    ...[
      "--key",
      made("db.key"),
      "--cert",
      made("db.crt"),
      "--output",
      made("loader-signed.efi"),
      loader,
    ],
  ]);
}
