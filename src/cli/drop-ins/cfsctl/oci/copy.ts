/** `cfsctl oci copy`: an image from one repository into another. */

import { displayText } from "../../../../core/bytes/byte-string.ts";
import type { ByteString } from "../../../../core/bytes/byte-string.ts";
import { ComposefsError } from "../../../../core/errors.ts";
import { loadZstd } from "../../../../floor/mod.ts";
import { pullImage } from "../../../../sources/mod.ts";
import { openManifest } from "../../../../store/mod.ts";
import { interruptible } from "../../../interrupt.ts";
import { withRepository } from "../repository.ts";
import type { CfsctlCall } from "../settings.ts";
import { RepositorySource } from "./repository-source.ts";

/** Copies an image with what it needs; files are reflinked where that is possible. */
export function copy({ settings, invocation, io }: CfsctlCall): Promise<number> {
  const image = invocation.operands[0]!;
  const from = invocation.value("from")!;
  const tag = invocation.value("name");
  const plain = { ...settings, insecure: false, requireVerity: false, erofsVersion: undefined };
  return withRepository(settings, (to) =>
    withRepository(
      plain,
      (origin) =>
        interruptible(async (signal) => {
          if (invocation.has("zerocopy") && origin.algorithm !== to.algorithm) {
            throw new ComposefsError(
              "repository-conflict",
              `Cannot copy with --zerocopy: the hash algorithms differ, "${displayText(from)}" has ${origin.algorithm} and the other repository ${to.algorithm}`,
            );
          }
          const zstd = await loadZstd();
          const source = new RepositorySource(origin, image, zstd);
          const report = await pullImage(to, source, { tag, signal });
          const { configStream } = openManifest(to, report.manifestDigest, zstd);
          const tagged = tag === undefined ? "" : `, tagged as ${tag}`;
          const line = `Copied image ${image} from ${from} to destination repo${tagged}\n`;
          io.out.byteString(line as ByteString);
          io.out.text(`Manifest digest: ${report.manifestDigest}\n`);
          io.out.text(`Manifest verity: ${report.manifestStream}\n`);
          io.out.text(`Config digest:   ${report.configDigest}\n`);
          io.out.text(`Config verity:   ${configStream}\n`);
          return 0;
        }),
      from,
    ),
  );
}
