// TrackedValue: an ordinary value, of which the saved form follows the changes.
//
// It is encoded at the end of a turn and compared with what was saved, as long as a run goes on
// that has had it in its hands. A proxy that notices assignments would cost more than that with
// each look at a value (docs/decisions/0014-state-in-typescript.md), and be in the way of dates,
// maps and typed arrays.

import { decode, encodeChanged } from "./cbor.ts";
import { reconcile } from "./reconcile.ts";

export class TrackedValue {
  #value: unknown;
  /** What the database has, or will have with the turn that goes on. Undefined: nothing yet. */
  #saved: Uint8Array | undefined;
  /** Runs that may change it at any time, until they end. */
  readonly #holders = new Set<object>();
  /** As no run has seen it yet. */
  #isNew = false;

  /** A value that is not saved yet. */
  static fresh(value: unknown): TrackedValue {
    const made = new TrackedValue();
    made.#value = value;
    made.#isNew = true;
    return made;
  }
  /** Throws a SyntaxError. */
  static saved(bytes: Uint8Array): TrackedValue {
    const made = new TrackedValue();
    made.#value = decode(bytes);
    made.#saved = bytes;
    return made;
  }

  get(holder: object): unknown {
    this.#holders.add(holder);
    return this.#value;
  }
  set(holder: object, value: unknown): void {
    this.#holders.add(holder);
    this.#value = value;
  }
  /** That run is about to end, and its changes have been taken. */
  release(holder: object): void {
    this.#holders.delete(holder);
  }
  /** A run that may change it. */
  get holder(): object | undefined {
    for (const each of this.#holders) return each;
    return undefined;
  }

  /**
   * Its bytes, if they are others than last time. Throws for what cannot be stored. `isLast`:
   * whether a run holds it or not.
   */
  take(isLast = false): Uint8Array | undefined {
    if (this.#holders.size === 0 && !this.#isNew && !isLast) return undefined;
    this.#isNew = false;
    const changed = encodeChanged(this.#value, "stored", this.#saved);
    if (changed === null) return undefined;
    this.#saved = changed;
    return changed;
  }

  /** It is as it was when it was last taken. */
  undo(): void {
    if (this.#holders.size > 0) this.restore(this.#saved);
  }
  /** It is as it was then. References that code has kept stay good as far as possible. */
  restore(bytes: Uint8Array | undefined): void {
    this.#saved = bytes;
    if (bytes) this.#value = reconcile(this.#value, decode(bytes));
  }
}
