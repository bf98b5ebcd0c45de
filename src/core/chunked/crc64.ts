/**
 * CRC-64 as ISO 3309 has it and Go's `hash/crc64` computes it with its table `ISO`: what tar-split keeps of
 * the content of a file. A checksum against accidents; nothing here relies on it.
 */

/** The polynomial x^64 + x^4 + x^3 + x + 1 in reversed bits: all of it is in the upper half. */
const POLYNOMIAL_HIGH = 0xd8000000;

/** Upper halves; the lower halves of this polynomial's table are all zero. */
const TABLE = new Uint32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let high = 0;
  let low = byte;
  for (let bit = 0; bit < 8; bit++) {
    const isOdd = (low & 1) === 1;
    low = ((low >>> 1) | (high << 31)) >>> 0;
    high = (high >>> 1) ^ (isOdd ? POLYNOMIAL_HIGH : 0);
  }
  TABLE[byte] = high;
}

/** Sums up bytes that come in pieces. */
export class Crc64Iso {
  #high = ~0;
  #low = ~0;

  update(bytes: Uint8Array): void {
    let high = this.#high;
    let low = this.#low;
    for (let i = 0; i < bytes.length; i++) {
      const entry = TABLE[(low ^ bytes[i]!) & 0xff]!;
      low = (low >>> 8) | (high << 24);
      high = (high >>> 8) ^ entry;
    }
    this.#high = high;
    this.#low = low;
  }

  /** The sum as eight bytes, the highest first. */
  digest(): Uint8Array {
    const sum = new Uint8Array(8);
    const view = new DataView(sum.buffer);
    view.setUint32(0, ~this.#high >>> 0);
    view.setUint32(4, ~this.#low >>> 0);
    return sum;
  }
}
