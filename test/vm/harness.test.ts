import { join } from "node:path";
import { expect } from "vitest";
import { vmTest } from "./harness/mod.ts";

vmTest("a restored machine runs commands and gives their status and output", async (bench) => {
  const machine = await bench.boot({ tier: "saved-state", state: "bare" });
  expect(await machine.run("echo one; echo two >&2; exit 3")).toEqual({
    status: 3,
    output: "one\ntwo",
  });
  expect(await machine.output("printf 'no newline'")).toBe("no newline");
  expect(await machine.output("seq 20000 | md5sum")).toMatch(/^[0-9a-f]{32}/);
  expect((await machine.output("seq 20000")).length).toBe(108893);
});

vmTest("its kernel has fs-verity", async (bench) => {
  const disk = bench.disk("ext4", "16M");
  const machine = await bench.boot({ tier: "saved-state", state: "bare", disks: [disk] });
  await machine.output("modprobe virtio_blk && mount /dev/vda /mnt");
  await machine.output("echo content >/mnt/file && fsverity enable /mnt/file");
  expect(await machine.run("echo more >>/mnt/file")).toMatchObject({ status: 1 });
});

vmTest("what was not written is lost by a power cut, what was synced is not", async (bench) => {
  const disk = bench.disk("ext4", "16M");
  const before = await bench.boot({ tier: "saved-state", state: "bare", disks: [disk] });
  await before.output("modprobe virtio_blk && mount /dev/vda /mnt");
  await before.output("echo synced >/mnt/synced && sync && echo lost >/mnt/lost");
  await before.powerCut();

  const after = await bench.boot({ tier: "saved-state", state: "bare", disks: [disk] });
  await after.output("modprobe virtio_blk && mount /dev/vda /mnt");
  expect(await after.output("ls /mnt")).toBe("lost+found\nsynced");
});

vmTest("a machine ends with its power and says so", async (bench) => {
  const machine = await bench.boot({ tier: "saved-state", state: "bare" });
  const waiting = machine.run("sleep 60");
  await machine.powerCut();
  await expect(waiting).rejects.toThrow(/cannot run "sleep 60": it has ended \(SIGKILL\)/);
});

vmTest("a machine that cannot start says why", async (bench) => {
  const missing = join(bench.directory, "no-such-disk");
  await expect(
    bench.boot({ tier: "saved-state", state: "bare", disks: [missing] }),
  ).rejects.toThrow(/cannot be restored: it has ended \(1\)[^]*no-such-disk/);
});

vmTest("a command that takes too long fails with the end of the console", async (bench) => {
  const machine = await bench.boot({ tier: "saved-state", state: "bare" });
  await machine.output("echo 'from the guest' >/dev/console");
  await machine.expect("from the guest");
  await expect(machine.run("sleep 60", { timeout: 200 })).rejects.toThrow(
    /nothing within 0.2 s\n--- the end of .*\nfrom the guest/,
  );
});

vmTest("a machine does not outlive its limit", async (bench) => {
  const machine = await bench.boot({ tier: "saved-state", state: "bare", limit: 3000 });
  await expect(machine.run("sleep 60")).rejects.toThrow(/still running after 3 s/);
});

vmTest("this package runs in the machine", async (bench) => {
  const machine = await bench.boot({ tier: "saved-state" });
  for (const program of ["composefs", "mkcomposefs", "mount.composefs"]) {
    const started = await machine.run(`/opt/composefs/bin/${program} --no-such-option`);
    expect(started.output).toContain("--no-such-option");
    // The same, by the process that is there already.
    expect(await machine.run(`${program} --no-such-option`)).toEqual(started);
  }
});
