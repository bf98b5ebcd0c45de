/** Signatures: ours beside those of openssl and `fsverity sign`, and everything that is to be refused. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ComposefsError,
  computeFsVerityDigest,
  decodePkcs7,
  encodePkcs7,
  formattedDigest,
} from "#src/core/mod.ts";
import type { FsVerityAlgorithm, SignatureHash } from "#src/core/mod.ts";
import { Signer } from "#src/sources/seal/signer.ts";
import { TrustedCertificates } from "#src/sources/seal/trust.ts";
import { RSA, ecdsa, makeIdentity, named, openssl } from "../../support/certificates.ts";
import type { Identity } from "../../support/certificates.ts";
import { expectError } from "../../support/expect-error.ts";
import { nodeHash } from "../../support/hash.ts";
import { needs } from "../../support/needs.ts";
import { run } from "../../support/run.ts";
import { tempDir } from "../../support/temp.ts";

const CONTENT = Buffer.from("some content\n");

const signedBytes = (algorithm: FsVerityAlgorithm): Uint8Array =>
  formattedDigest(computeFsVerityDigest(CONTENT, nodeHash(algorithm)));

const signerOf = ({ key, certificate }: Identity): Signer =>
  new Signer(named(key), named(certificate));

const trustIn = (...identities: readonly Identity[]): TrustedCertificates =>
  new TrustedCertificates(identities.map(({ certificate }) => named(certificate)));

/** Signs as openssl does, with these flags. */
function opensslSign(
  { key, certificate }: Identity,
  bytes: Uint8Array,
  ...flags: readonly string[]
): Buffer {
  const input = join(tempDir(), "input");
  writeFileSync(input, bytes);
  return openssl(
    ...["smime", "-sign", "-binary", "-in", input, "-outform", "DER", "-md", "sha256"],
    ...["-signer", certificate, "-inkey", key, ...flags],
  );
}

/** Whether openssl accepts a signature; dates and purposes are not its business here. */
function opensslVerifies(der: Uint8Array, bytes: Uint8Array, { certificate }: Identity): boolean {
  const directory = tempDir();
  writeFileSync(join(directory, "signature"), der);
  writeFileSync(join(directory, "content"), bytes);
  const done = run("openssl", [
    ...["cms", "-verify", "-binary", "-inform", "DER", "-in", join(directory, "signature")],
    ...["-content", join(directory, "content"), "-certfile", certificate, "-CAfile", certificate],
    ...["-purpose", "any", "-no_check_time", "-out", join(directory, "out")],
  ]);
  return done.status === 0;
}

const BYTES = signedBytes("sha256");
const rsa = makeIdentity();
const p256 = makeIdentity({ algorithm: ecdsa("P-256") });

test("formattedDigest: magic, algorithm, size, digest", () => {
  expect(Buffer.from(signedBytes("sha512")).subarray(0, 12).toString("latin1")).toBe(
    "FSVerity\x02\0\x40\0",
  );
  expect(BYTES.length).toBe(44);
});

const KINDS: [string, readonly string[]][] = [
  ["RSA", RSA],
  ["P-256", ecdsa("P-256")],
  ["P-384", ecdsa("P-384")],
];
const HASHES: SignatureHash[] = ["sha256", "sha384", "sha512"];
const everyKind = KINDS.flatMap(([name, algorithm]) =>
  HASHES.map((hash) => ({ name, algorithm, hash })),
);

describe.each(everyKind)("a signature of $name with $hash", ({ algorithm, hash }) => {
  const identity = makeIdentity({ algorithm });
  const der = signerOf(identity).sign(BYTES, hash);

  test("is accepted by us and by openssl", () => {
    trustIn(identity).check(der, BYTES);
    expect(opensslVerifies(der, BYTES, identity)).toBe(true);
  });

  test("is for these bytes, and by this certificate", () => {
    const other = Uint8Array.from(BYTES);
    other[20]! ^= 1;
    expectError(() => trustIn(identity).check(der, other), "invalid-signature", /does not belong/);
    expectError(() => trustIn(rsa).check(der, BYTES), "invalid-signature", /not trusted/);
  });

  test("reads as it was written", () => {
    expect(Buffer.from(encodePkcs7(decodePkcs7(der)))).toEqual(Buffer.from(der));
  });
});

needs("fsverity").describe("beside `fsverity sign`", () => {
  test.each(
    KINDS.flatMap(([name, algorithm]) =>
      (["sha256", "sha512"] as const).map((hash) => ({ name, algorithm, hash })),
    ),
  )("$name, $hash: the same bytes", ({ algorithm, hash }) => {
    const identity = makeIdentity({ algorithm });
    const file = join(tempDir(), "file");
    writeFileSync(file, CONTENT);
    const done = run("fsverity", [
      ...["sign", file, `${file}.sig`, `--hash-alg=${hash}`],
      ...[`--key=${identity.key}`, `--cert=${identity.certificate}`],
    ]);
    expect(done.stderr).toBe("");
    const theirs = readFileSync(`${file}.sig`);
    const bytes = signedBytes(hash);
    trustIn(identity).check(theirs, bytes);
    const ours = signerOf(identity).sign(bytes, hash);
    // ECDSA has a random number in each signature; all around it is the same.
    const { signature } = decodePkcs7(theirs);
    expect(Buffer.from(encodePkcs7({ ...decodePkcs7(ours), signature }))).toEqual(theirs);
    if (algorithm === RSA) expect(Buffer.from(ours)).toEqual(theirs);
  });
});

describe("TrustedCertificates", () => {
  test("accept what openssl makes in the same form, with or without the certificate in it", () => {
    for (const identity of [rsa, p256]) {
      const bare = opensslSign(identity, BYTES, "-noattr", "-nocerts");
      const full = opensslSign(identity, BYTES, "-noattr");
      for (const der of [bare, full]) {
        expect(() => trustIn(rsa, p256).check(der, BYTES)).not.toThrow();
      }
    }
  });

  test("accept a chain that comes with the signature, and no other", () => {
    const root = makeIdentity({ isCa: true });
    const middle = makeIdentity({ issuer: root, isCa: true, algorithm: ecdsa("P-256") });
    const leaf = makeIdentity({ issuer: middle });
    const chain = join(tempDir(), "chain.pem");
    writeFileSync(chain, readFileSync(middle.certificate));
    const der = opensslSign(leaf, BYTES, "-noattr", "-certfile", chain);
    for (const one of [root, middle, leaf]) trustIn(one).check(der, BYTES);
    expectError(() => trustIn(rsa).check(der, BYTES), "invalid-signature", /not trusted/);
    // Without what is between, the trusted one has issued nothing.
    const short = opensslSign(leaf, BYTES, "-noattr");
    trustIn(middle).check(short, BYTES);
    expectError(() => trustIn(root).check(short, BYTES), "invalid-signature", /not trusted/);
  });

  test("do not let a certificate that is no CA issue others", () => {
    const root = makeIdentity({ isCa: true });
    const user = makeIdentity({ issuer: root });
    const forged = makeIdentity({ issuer: user });
    const chain = join(tempDir(), "chain.pem");
    writeFileSync(chain, readFileSync(user.certificate));
    const der = opensslSign(forged, BYTES, "-noattr", "-certfile", chain);
    for (const trust of [trustIn(root), trustIn(user)]) {
      expectError(() => trust.check(der, BYTES), "invalid-signature", /not trusted/);
    }
  });

  test("do not take a self-made certificate of the same name for the trusted one", () => {
    const fake = makeIdentity();
    const { certificate } = rsa;
    const name = decodePkcs7(signerOf(rsa).sign(BYTES, "sha256")).signer;
    const forged = encodePkcs7({
      ...decodePkcs7(signerOf(fake).sign(BYTES, "sha256")),
      signer: name,
    });
    const trust = new TrustedCertificates([named(certificate)]);
    expectError(() => trust.check(forged, BYTES), "invalid-signature", /does not belong/);
  });

  test("do not look at the time, as the kernel does not", () => {
    const expired = makeIdentity({ days: -1 });
    const der = signerOf(expired).sign(BYTES, "sha256");
    expect(() => trustIn(expired).check(der, BYTES)).not.toThrow();
  });

  test("refuse a key of another kind under the right name", () => {
    const name = decodePkcs7(signerOf(rsa).sign(BYTES, "sha256")).signer;
    const forged = encodePkcs7({
      ...decodePkcs7(signerOf(p256).sign(BYTES, "sha256")),
      signer: name,
    });
    expectError(() => trustIn(rsa).check(forged, BYTES), "invalid-signature", /does not belong/);
  });

  test("do not take a signature of another hash for that of the one named", () => {
    const der = decodePkcs7(signerOf(rsa).sign(BYTES, "sha256"));
    const forged = encodePkcs7({ ...der, hash: "sha512" });
    expectError(() => trustIn(rsa).check(forged, BYTES), "invalid-signature", /does not belong/);
  });

  test.each([
    ["authenticated attributes", ["-nocerts"], /authenticated attributes/],
    ["content inside", ["-noattr", "-nodetach"], /not detached/],
  ])("refuse a signature with %s", (_, flags, message) => {
    const der = opensslSign(rsa, BYTES, ...flags);
    expectError(() => trustIn(rsa).check(der, BYTES), "invalid-signature", message);
  });

  test("refuse several signers", () => {
    const second = ["-signer", p256.certificate, "-inkey", p256.key];
    const der = opensslSign(rsa, BYTES, "-noattr", "-nocerts", ...second);
    expectError(() => trustIn(rsa, p256).check(der, BYTES), "invalid-signature", /one signer/);
  });

  test("refuse SHA-1", () => {
    const der = opensslSign(rsa, BYTES, "-noattr", "-md", "sha1");
    expectError(() => trustIn(rsa).check(der, BYTES), "invalid-signature", /hash function/);
  });

  test("say what is wrong with files", () => {
    const bad = (bytes: string | Uint8Array): unknown =>
      new TrustedCertificates([{ name: "a.pem", bytes: Buffer.from(bytes) }]);
    expectError(() => bad("text"), "invalid-config", /"a.pem"/);
    expectError(() => bad(readFileSync(rsa.key)), "invalid-config", /holds no certificate/);
    const broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    expectError(() => bad(broken), "invalid-config", /neither PEM nor DER/);
    // In DER, and several in one file.
    bad(openssl("x509", "-in", rsa.certificate, "-outform", "DER"));
    const both = Buffer.concat([readFileSync(p256.certificate), readFileSync(rsa.certificate)]);
    const trust = new TrustedCertificates([{ name: "both", bytes: both }]);
    trust.check(signerOf(rsa).sign(BYTES, "sha256"), BYTES);
  });
});

describe("Signer", () => {
  const convert = (flags: readonly string[]): { name: string; bytes: Buffer } => ({
    name: "key",
    bytes: openssl(...flags),
  });

  test("reads keys of PKCS #1 and SEC 1 too", () => {
    const pkcs1 = convert(["rsa", "-in", rsa.key, "-traditional"]);
    expect(pkcs1.bytes.toString()).toContain("BEGIN RSA PRIVATE KEY");
    trustIn(rsa).check(new Signer(pkcs1, named(rsa.certificate)).sign(BYTES, "sha256"), BYTES);
    const sec1 = convert(["ec", "-in", p256.key]);
    expect(sec1.bytes.toString()).toContain("BEGIN EC PRIVATE KEY");
    trustIn(p256).check(new Signer(sec1, named(p256.certificate)).sign(BYTES, "sha256"), BYTES);
  });

  test("refuses what does not fit", () => {
    const make = (key: { name: string; bytes: Buffer }, certificate: Identity): unknown =>
      new Signer(key, named(certificate.certificate));
    expectError(() => make(named(rsa.key), p256), "invalid-config", /is not its own/);
    expectError(() => make(named(rsa.key), makeIdentity()), "invalid-config", /is not its own/);
    expectError(() => make(named(rsa.certificate), rsa), "invalid-config", /no private key/);
    const encrypted = convert([
      ...["pkcs8", "-topk8", "-in", rsa.key, "-passout", "pass:x", "-v2", "aes-128-cbc"],
    ]);
    expectError(() => make(encrypted, rsa), "invalid-config", /encrypted/);
    const ed = convert(["genpkey", "-algorithm", "ED25519"]);
    expectError(() => make(ed, rsa), "invalid-config", /no ed25519/);
  });
});

describe("decodePkcs7", () => {
  const root = makeIdentity({ isCa: true });
  const leaf = makeIdentity({ issuer: root, algorithm: ecdsa("P-256") });
  const samples = [
    signerOf(rsa).sign(BYTES, "sha256"),
    opensslSign(leaf, BYTES, "-noattr", "-certfile", root.certificate),
  ].map((each) => Uint8Array.from(each));
  const trust = trustIn(rsa, root);

  /** Whether it was accepted; anything but our refusal is a failure. */
  function isAccepted(der: Uint8Array): boolean {
    try {
      trust.check(der, BYTES);
      return true;
    } catch (error) {
      if (!(error instanceof ComposefsError)) throw error;
      expect(error.code).toBe("invalid-signature");
      return false;
    }
  }

  test("refuses what is cut anywhere, or goes on", () => {
    for (const der of samples) {
      expect(isAccepted(der)).toBe(true);
      for (let end = 0; end < der.length; end++)
        expect(isAccepted(der.subarray(0, end))).toBe(false);
      expect(isAccepted(Uint8Array.of(...der, 0))).toBe(false);
    }
  });

  test("with any bit turned over is refused, or is the same signature", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...samples),
        fc.nat(),
        fc.integer({ min: 0, max: 7 }),
        (der, at, bit) => {
          const changed = Uint8Array.from(der);
          changed[at % der.length]! ^= 1 << bit;
          if (isAccepted(changed)) {
            const [before, after] = [decodePkcs7(der), decodePkcs7(changed)];
            expect(after.signature).toEqual(before.signature);
            expect(after.signer).toEqual(before.signer);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  test("refuses any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(isAccepted(bytes)).toBe(false);
        expect(isAccepted(Uint8Array.of(0x30, 0x82, 0, bytes.length, ...bytes))).toBe(false);
      }),
    );
    expect(isAccepted(new Uint8Array(20_000).fill(0x30))).toBe(false);
  });
});
