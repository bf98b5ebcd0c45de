/** `cfsctl oci images`, `inspect`, `tag` and `untag`. */

import { displayText } from "../../../../core/bytes/byte-string.ts";
import type { ByteString } from "../../../../core/bytes/byte-string.ts";
import type { OciDigest } from "../../../../core/oci/mod.ts";
import { loadZstd } from "../../../../floor/mod.ts";
import {
  findErofs,
  findImage,
  listReferrers,
  listTags,
  openOciImage,
  tagImage,
  untagImage,
} from "../../../../store/mod.ts";
import { printJson } from "../json.ts";
import { withRepository } from "../repository.ts";
import type { CfsctlCall } from "../settings.ts";
import { formatTable } from "../text-table.ts";

/** Digits of a digest that the table shows. */
const SHORT_DIGEST = 12;

/** `cfsctl oci images`. */
export function images({ settings, invocation, io }: CfsctlCall): Promise<number> {
  return withRepository(settings, async (repository) => {
    const zstd = await loadZstd();
    const found = listTags(repository).flatMap(({ name, manifestDigest }) => {
      const image = findImage(repository, manifestDigest, zstd);
      if (image === undefined) return [];
      const { config, manifest } = image;
      return {
        name: displayText(name),
        manifest_digest: manifestDigest,
        is_container: config !== undefined,
        architecture: config?.platform.architecture ?? "",
        os: config?.platform.os ?? "",
        created: config?.created ?? null,
        layer_count: manifest.layers.length,
        referrer_count: listReferrers(repository, manifestDigest).length,
      };
    });
    if (invocation.has("json")) {
      printJson(io.out, { images: found });
    } else if (found.length === 0) {
      io.out.text("No images found\n");
    } else {
      const rows = found.map((image) => [
        image.name,
        shortDigest(image.manifest_digest),
        image.architecture === "" ? "artifact" : image.architecture,
        `${image.layer_count}`,
        `${image.referrer_count}`,
      ]);
      io.out.text(formatTable(["NAME", "DIGEST", "ARCH", "LAYERS", "REFS"], rows));
    }
    return 0;
  });
}

/** Without the name of the usual algorithm. */
function shortDigest(digest: OciDigest): string {
  return digest.replace(/^sha256:/, "").slice(0, SHORT_DIGEST);
}

/** `cfsctl oci inspect`. */
export function inspect({ settings, invocation, io }: CfsctlCall): Promise<number> {
  return withRepository(settings, async (repository) => {
    const image = openOciImage(repository, invocation.operands[0]!, await loadZstd());
    if (invocation.has("manifest") || invocation.has("config")) {
      io.out.bytes(invocation.has("manifest") ? image.manifestBytes : image.configBytes);
      io.out.text("\n");
      return 0;
    }
    const version = repository.formats.default;
    const variant = { version, keepUserXattrs: false };
    printJson(io.out, {
      manifest: textOf(image.manifestBytes),
      config: textOf(image.configBytes),
      referrers: listReferrers(repository, image.manifestDigest),
      composefs_erofs: findErofs(image, { ...variant, bootable: false }) ?? null,
      composefs_boot_erofs: findErofs(image, { ...variant, bootable: true }) ?? null,
    });
    return 0;
  });
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
}

/** `cfsctl oci tag`. */
export function tag({ settings, invocation, io }: CfsctlCall): Promise<number> {
  const [digest, name] = invocation.operands as readonly [ByteString, ByteString];
  return withRepository(settings, async (repository) => {
    await tagImage(repository, digest as string as OciDigest, name);
    io.out.byteString(`Tagged ${digest} as ${name}\n` as ByteString);
    return 0;
  });
}

/** `cfsctl oci untag`. */
export function untag({ settings, invocation, io }: CfsctlCall): Promise<number> {
  const name = invocation.operands[0]!;
  return withRepository(settings, (repository) => {
    untagImage(repository, name);
    io.out.byteString(`Removed tag ${name}\n` as ByteString);
    return 0;
  });
}
