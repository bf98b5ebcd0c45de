/** The layers of the two OCI layouts of composefs-rs's own tests, whose image digests it publishes. */

import { archive, header, member } from "./tar-bytes.ts";

/** What all their headers have. */
export const PEER_HEADER = { magic: "ustar  \0", mtime: 1_234_567_890 };

/** A directory as these layers have them. */
export const peerDirectory = (name: string): Buffer =>
  header({ ...PEER_HEADER, name, typeflag: "5", mode: 0o755 });

/** `usr/`, a small file and a hard link to it. */
export const PLAIN_LAYER = archive(
  peerDirectory("usr/"),
  member({ ...PEER_HEADER, name: "hello.txt" }, "hello from test layer\n"),
  header({ ...PEER_HEADER, name: "hello-link.txt", typeflag: "1", linkname: "hello.txt" }),
);

/** What a bootable image has. */
export const BOOTABLE_LAYER = archive(
  peerDirectory("usr/"),
  peerDirectory("boot/"),
  peerDirectory("sysroot/"),
  member({ ...PEER_HEADER, name: "usr/hello.txt" }, "hello from bootable test layer\n"),
);
