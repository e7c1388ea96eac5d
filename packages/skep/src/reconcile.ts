// Puts a value back in place, so that code which holds a part of it holds the part that counts.

import { setField } from "./cbor.ts";

/** `current` where it could be made equal to `wanted`, else `wanted`. Neither holds itself. */
export function reconcile(current: unknown, wanted: unknown): unknown {
  return new Reconciler().put(current, wanted);
}

class Reconciler {
  /** What stands in two places now need not have been the same thing before. */
  readonly #used = new Set<object>();

  put(current: unknown, wanted: unknown): unknown {
    if (typeof current !== "object" || current === null) return wanted;
    if (typeof wanted !== "object" || wanted === null) return wanted;
    if (Object.getPrototypeOf(current) !== Object.getPrototypeOf(wanted)) return wanted;
    if (Object.isFrozen(current) || this.#used.has(current)) return wanted;
    this.#used.add(current);
    if (Array.isArray(current)) return this.#array(current, wanted as unknown[]);
    if (current instanceof Map) return this.#map(current, wanted as Map<unknown, unknown>);
    if (current instanceof Set) return this.#set(current, wanted as Set<unknown>);
    if (current instanceof Date) return (current.setTime((wanted as Date).getTime()), current);
    if (Object.getPrototypeOf(current) !== Object.prototype) return wanted;
    return this.#object(current as Record<string, unknown>, wanted as Record<string, unknown>);
  }

  #array(current: unknown[], wanted: unknown[]): unknown[] {
    current.length = wanted.length;
    for (let i = 0; i < wanted.length; ++i) current[i] = this.put(current[i], wanted[i]);
    return current;
  }
  #map(current: Map<unknown, unknown>, wanted: Map<unknown, unknown>): Map<unknown, unknown> {
    const before = new Map(current);
    current.clear();
    for (const [key, value] of wanted) current.set(key, this.put(before.get(key), value));
    return current;
  }
  #set(current: Set<unknown>, wanted: Set<unknown>): Set<unknown> {
    current.clear();
    for (const each of wanted) current.add(each);
    return current;
  }
  /** In the order of `wanted`, which is part of what is saved. */
  #object(
    current: Record<string, unknown>,
    wanted: Record<string, unknown>,
  ): Record<string, unknown> {
    const before: Record<string, unknown> = Object.assign(Object.create(null), current);
    for (const key of Object.keys(current)) delete current[key];
    for (const key of Object.keys(wanted)) {
      setField(current, key, this.put(before[key], wanted[key]));
    }
    return current;
  }
}
