/** Which objects there are, and what is wrong with some of them. */

import type { FsVerityDigest } from "../../core/fsverity/digest.ts";
import type { ObjectFault } from "../survey/check-object.ts";
import { DigestTable } from "../survey/digest-table.ts";

/** The objects of a repository. */
export class ObjectStates {
  readonly #present = new DigestTable();
  readonly #faults = new Map<FsVerityDigest, ObjectFault>();

  /** What is wrong with objects, missing ones too that something refers to. */
  get faults(): ReadonlyMap<FsVerityDigest, ObjectFault> {
    return this.#faults;
  }

  addPresent(digest: FsVerityDigest): void {
    this.#present.add(digest);
  }

  addFault(digest: FsVerityDigest, fault: ObjectFault): void {
    this.#faults.set(digest, fault);
  }

  /** What is wrong with an object that something refers to; one that is not there is noted as missing. */
  faultOf(digest: FsVerityDigest): ObjectFault | undefined {
    const known = this.#faults.get(digest);
    if (known !== undefined || this.#present.has(digest)) return known;
    const fault: ObjectFault = { kind: "missing", detail: "something refers to it" };
    this.#faults.set(digest, fault);
    return fault;
  }
}
