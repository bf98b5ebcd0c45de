/**
 * Fills a repository in transactions, in the guest: `fill-repository.mjs DIRECTORY`. Each transaction has new
 * objects, one that an earlier one stored, a stream that needs them, an image, and names for both.
 */

const dist = "/opt/composefs/dist";
const { SplitStreamWriter } = await import(`${dist}/core/mod.js`);
const { Repository, initRepository } = await import(`${dist}/store/mod.js`);

export const TRANSACTIONS = 6;
const OBJECTS = 8;
const OPTIONS = { algorithm: "sha512", verity: "required", formats: { default: 1, extra: [] } };

/** The content of an object; a transaction shares its first one with the one before it. */
function contentOf(transaction, object) {
  const number = object === 0 ? transaction - 1 : transaction;
  return Buffer.alloc(
    70 + object ** 3 * 100,
    `transaction ${number}, object ${Math.max(object, 1)}`,
  );
}

/** Does everything, whatever of it is there already. */
export async function fill(path) {
  initRepository(path, OPTIONS);
  const repository = Repository.open(path, { verity: "required" });
  try {
    for (let n = 0; n < TRANSACTIONS; n++) {
      const transaction = repository.begin();
      const writer = new SplitStreamWriter({ algorithm: "sha512", contentType: 1n });
      for (let object = 0; object < OBJECTS; object++) {
        const data = contentOf(n, object);
        writer.writeExternal(data.length, transaction.objects.put(data).digest);
      }
      transaction.putStream(`stream-${n}`, writer.finish());
      const image = transaction.putImage(Buffer.alloc(8192, `image ${n}`));
      transaction.setRef("streams", `some/name-${n}`, `stream-${n}`);
      transaction.setRef("images", `name-${n}`, image);
      await transaction.commit();
      transaction.close();
    }
  } finally {
    repository.close();
  }
}

if (process.argv[1].endsWith("fill-repository.mjs")) await fill(process.argv[2]);
