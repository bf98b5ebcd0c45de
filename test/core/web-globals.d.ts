/**
 * All that `core` may use beyond ECMAScript 2023: what every browser and every runtime has.
 * tsconfig.core.json compiles `core` with this file and without Node's types.
 */

declare class TextEncoder {
  encode(text: string): Uint8Array<ArrayBuffer>;
}
