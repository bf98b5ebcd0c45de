import { describe, expect, test } from "vitest";
import { runtimeConfig } from "#src/core/oci/runtime-config.ts";
import type { RuntimeOptions } from "#src/core/oci/runtime-config.ts";
import type { RunConfig } from "#src/core/oci/image-config.ts";

const IMAGE: RunConfig = {
  user: "",
  env: ["PATH=/opt/bin", "A=1=2"],
  entrypoint: ["/bin/run"],
  cmd: ["--all"],
  workingDir: "srv",
  stopSignal: "SIGINT",
  labels: { maker: "me" },
};
const ROOT = { uid: 0, gid: 0, additionalGids: [], home: undefined };
const OPTIONS: RuntimeOptions = { terminal: false, readOnlyRoot: false };

describe("config.json of a bundle", () => {
  test("takes command, environment, directory and labels of the image", () => {
    const config = runtimeConfig(IMAGE, ROOT, OPTIONS);
    expect(config.process.args).toEqual(["/bin/run", "--all"]);
    expect(config.process.env).toEqual(["PATH=/opt/bin", "A=1=2"]);
    expect(config.process.cwd).toBe("/srv");
    expect(config.annotations).toEqual({
      maker: "me",
      "org.opencontainers.image.stopSignal": "SIGINT",
    });
    expect(config.root).toEqual({ path: "rootfs", readonly: false });
  });

  test("given arguments take the place of Cmd, given variables win", () => {
    const options = { ...OPTIONS, args: ["-x"], env: ["A=3", "B="], terminal: true };
    const { process } = runtimeConfig(IMAGE, { ...ROOT, home: "/root" as never }, options);
    expect(process.args).toEqual(["/bin/run", "-x"]);
    expect(process.env).toEqual(["PATH=/opt/bin", "TERM=xterm", "HOME=/root", "A=3", "B="]);
  });

  test("another user than root has no capabilities", () => {
    const user = { ...ROOT, uid: 5, gid: 6, additionalGids: [7] };
    const { process } = runtimeConfig(IMAGE, user, OPTIONS);
    expect(process.user).toEqual({ uid: 5, gid: 6, additionalGids: [7] });
    expect(process.capabilities["effective"]).toEqual([]);
    expect(process.capabilities["bounding"]).toContain("CAP_CHOWN");
  });

  test("the network is its own unless it is the host's", () => {
    const types = (options: RuntimeOptions): string[] =>
      runtimeConfig(IMAGE, ROOT, options).linux.namespaces.map(({ type }) => type);
    expect(types(OPTIONS)).toContain("network");
    expect(types({ ...OPTIONS, network: "host" })).not.toContain("network");
  });

  test("an image without a command is refused", () => {
    const image = { ...IMAGE, entrypoint: [], cmd: [] };
    expect(() => runtimeConfig(image, ROOT, OPTIONS)).toThrow("it names no command");
  });
});
