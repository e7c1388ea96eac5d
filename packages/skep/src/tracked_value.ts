// TrackedValue: an ordinary value, of which the saved form follows the changes.
//
// It is encoded at the end of a turn and compared with what was saved. A proxy that notices assignments
// would miss what is changed through references that code has kept from before, and would be in the way of
// dates, maps and typed arrays. What no code has looked at since it was loaded costs nothing.

import { decode, encodeChanged } from "./cbor.ts";
import { reconcile } from "./reconcile.ts";

export class TrackedValue {
  #value: unknown;
  /** What the database has, or will have with the turn that goes on. Undefined: nothing yet. */
  #saved: Uint8Array | undefined;
  /** Code has had it in its hands, and may change it at any time from then on. */
  #isShared = false;

  /** A value that is not saved yet. */
  static fresh(value: unknown): TrackedValue {
    const made = new TrackedValue();
    made.value = value;
    return made;
  }
  /** Throws a SyntaxError. */
  static saved(bytes: Uint8Array): TrackedValue {
    const made = new TrackedValue();
    made.#value = decode(bytes);
    made.#saved = bytes;
    return made;
  }

  get value(): unknown {
    this.#isShared = true;
    return this.#value;
  }
  set value(value: unknown) {
    this.#isShared = true;
    this.#value = value;
  }

  /** Its bytes, if they are others than last time. Throws for what cannot be stored. */
  take(): Uint8Array | undefined {
    if (!this.#isShared) return undefined;
    const changed = encodeChanged(this.#value, "stored", this.#saved);
    if (changed === null) return undefined;
    this.#saved = changed;
    return changed;
  }

  /** It is as it was then. References that code has kept stay good as far as possible. */
  restore(bytes: Uint8Array | undefined): void {
    this.#saved = bytes;
    if (bytes) this.#value = reconcile(this.#value, decode(bytes));
  }
}
