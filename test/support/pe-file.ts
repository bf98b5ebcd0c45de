/** PE files, as small as they can be. */

/** A PE file of sections with these contents. */
export function peFile(sections: readonly (readonly [name: string, content: string])[]): Buffer {
  const headers = 64 + 24 + 40 * sections.length;
  const file = Buffer.alloc(headers);
  file.write("MZ", 0, "latin1");
  file.writeUInt32LE(64, 0x3c);
  file.write("PE\0\0", 64, "latin1");
  file.writeUInt16LE(sections.length, 64 + 6);
  const contents: Buffer[] = [];
  let start = headers;
  for (const [index, [name, text]] of sections.entries()) {
    const at = 64 + 24 + 40 * index;
    const content = Buffer.from(text);
    file.write(name, at, "latin1");
    file.writeUInt32LE(content.length, at + 8);
    file.writeUInt32LE(content.length, at + 16);
    file.writeUInt32LE(start, at + 20);
    contents.push(content);
    start += content.length;
  }
  return Buffer.concat([file, ...contents]);
}
