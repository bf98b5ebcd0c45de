/**
 * Sections of a PE file, of which a unified kernel image is made.
 *
 * Source: Microsoft, "PE Format"; UAPI group, "Unified Kernel Image".
 */

const PE_OFFSET_AT = 0x3c;
const PE_MAGIC = 0x4550; // "PE\0\0"
const COFF_SIZE = 24; // with the magic
const SECTION_SIZE = 40;

/** The bytes of the section `name`, a view; `undefined` where there is none, or the file is no PE file. */
export function findPeSection(file: Uint8Array, name: string): Uint8Array | undefined {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const fits = (at: number, length: number): boolean => at + length <= file.length;
  if (!fits(PE_OFFSET_AT, 4)) return undefined;
  const header = view.getUint32(PE_OFFSET_AT, true);
  if (!fits(header, COFF_SIZE) || view.getUint32(header, true) !== PE_MAGIC) return undefined;
  const sections = view.getUint16(header + 6, true);
  const first = header + COFF_SIZE + view.getUint16(header + 20, true);
  for (let i = 0; i < sections; i++) {
    const at = first + i * SECTION_SIZE;
    if (!fits(at, SECTION_SIZE)) return undefined;
    const bytes = file.subarray(at, at + 8);
    if (String.fromCharCode(...bytes).replace(/\0+$/, "") !== name) continue;
    const size = view.getUint32(at + 8, true);
    const start = view.getUint32(at + 20, true);
    return fits(start, size) ? file.subarray(start, start + size) : undefined;
  }
  return undefined;
}
