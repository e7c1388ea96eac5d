import { describe, expect, test } from "vitest";

import { randomOf, seed } from "../../../testing/packages/random.ts";
import { decode, encode } from "../src/cbor.ts";
import { actor } from "../src/index.ts";
import { reconcile } from "../src/reconcile.ts";
import { TrackedValue } from "../src/tracked_value.ts";
import { World } from "./world.ts";

describe("a tracked value", () => {
  const run = {};

  test("is taken once, and again after each change", () => {
    const state = TrackedValue.fresh({ count: 0 });
    expect(decode(state.take()!)).toEqual({ count: 0 });
    expect(state.take()).toBeUndefined();
    const value = state.get(run) as { count: number };
    expect(state.take()).toBeUndefined();
    ++value.count;
    expect(decode(state.take()!)).toEqual({ count: 1 });
    expect(state.take()).toBeUndefined();
  });
  test("is compared as long as a run may change it, and when it is the last time", () => {
    const state = TrackedValue.saved(encode([1], "stored"));
    const value = state.get(run) as number[];
    state.release(run);
    value.push(2);
    expect(state.take()).toBeUndefined();
    expect(decode(state.take(true)!)).toEqual([1, 2]);
  });
  test("notices whatever happens in a map, a set, a date, bytes, or to a part that code kept", () => {
    const inner = { list: [1] };
    const parts = {
      map: new Map([["a", inner]]),
      set: new Set(),
      at: new Date(0),
      raw: new Uint8Array(2),
    };
    const state = TrackedValue.fresh(parts);
    state.get(run);
    state.take();
    for (const change of [
      () => parts.map.set("b", inner),
      () => parts.set.add(1),
      () => parts.at.setTime(5),
      () => (parts.raw[1] = 1),
      () => inner.list.push(2),
    ]) {
      change();
      expect(state.take()).toBeDefined();
      expect(state.take()).toBeUndefined();
    }
  });
  test("may be replaced, also by nothing", () => {
    const state = TrackedValue.fresh({ a: 1 });
    state.take();
    state.set(run, undefined);
    expect(decode(state.take()!)).toBeUndefined();
    state.set(run, 7);
    expect(decode(state.take()!)).toBe(7);
  });
  test("that cannot be stored says so, and can be mended", () => {
    const state = TrackedValue.fresh({ f: 1 as unknown });
    state.take();
    const value = state.get(run) as { f: unknown };
    value.f = () => 1;
    expect(() => state.take()).toThrow("a function cannot be stored");
    value.f = 2;
    expect(decode(state.take()!)).toEqual({ f: 2 });
  });
  test("that was put back is as it was, and what code holds of it is still a part of it", () => {
    const state = TrackedValue.fresh({ list: [{ n: 1 }], extra: 1 as number | undefined });
    const before = state.take();
    const value = state.get(run) as { list: { n: number }[]; extra?: number };
    const first = value.list[0]!;
    first.n = 2;
    delete value.extra;
    value.list.push({ n: 3 });
    state.take();
    state.restore(before);
    expect(state.get(run)).toBe(value);
    expect(value).toEqual({ list: [{ n: 1 }], extra: 1 });
    expect(value.list[0]).toBe(first);
    expect(state.take()).toBeUndefined();
    first.n = 5;
    expect(decode(state.take()!)).toEqual({ list: [{ n: 5 }], extra: 1 });
  });
});

describe("putting back", () => {
  test("does not mistake one thing in two places for two", () => {
    const shared = { x: 9 };
    const current = { a: shared, b: shared };
    expect(reconcile(current, { a: { x: 1 }, b: { x: 2 } })).toEqual({ a: { x: 1 }, b: { x: 2 } });
  });
  test("keeps the order of fields, which is a part of what is saved", () => {
    const current: Record<string, number> = { b: 1, a: 2 };
    expect(Object.keys(reconcile(current, { a: 1, b: 2 }) as object)).toEqual(["a", "b"]);
  });
  test("replaces what is of another kind, or frozen", () => {
    expect(reconcile({ a: [1] }, { a: { 0: 1 } })).toEqual({ a: { 0: 1 } });
    expect(reconcile(Object.freeze({ a: 1 }), { a: 2 })).toEqual({ a: 2 });
    expect(reconcile({ a: new Date(1) }, { a: new Date(2) })).toEqual({ a: new Date(2) });
    expect(reconcile({ a: new Uint8Array([1]) }, { a: new Uint8Array([2]) })).toEqual({
      a: new Uint8Array([2]),
    });
    expect(reconcile(1, undefined)).toBeUndefined();
  });
  test("keeps maps and sets", () => {
    const entry = { n: 1 };
    const current = { map: new Map([["a", entry]]), set: new Set([1]) };
    const { map, set } = current;
    const wanted = {
      map: new Map([
        ["b", { n: 3 }],
        ["a", { n: 2 }],
      ]),
      set: new Set([2, 1]),
    };
    expect(reconcile(current, wanted)).toEqual(wanted);
    expect(current.map).toBe(map);
    expect(current.set).toBe(set);
    expect([...map.keys()]).toEqual(["b", "a"]);
    expect(map.get("a")).toBe(entry);
  });
  test("gives what is wanted, from anything", () => {
    const next = randomOf(seed);
    for (let i = 0; i < 3_000; ++i) {
      const pool: object[] = [];
      const current = randomTree(next, 0, pool);
      const wanted = decode(encode(randomTree(next, 0, []), "stored"));
      const bytes = encode(wanted, "stored");
      expect(encode(reconcile(current, wanted), "stored"), `seed ${seed}`).toEqual(bytes);
    }
  });
});

test("whatever calls do to a state, and however they end, the database has what they have left", async () => {
  const next = randomOf(seed);
  const below = (count: number): number => Math.floor(next() * count);
  interface Node {
    list: Node[];
    map: Map<string, Node>;
    n: number;
  }
  const node = (): Node => ({ list: [], map: new Map(), n: below(100) });
  const mutate = (root: Node): void => {
    let at = root;
    for (let depth = below(4); depth > 0; --depth) at = at.list[0] ?? at.map.get("a") ?? at;
    const change = [
      () => void ++at.n,
      () => void at.list.push(node()),
      () => void at.list.pop(),
      () => void at.map.set("ab"[below(2)]!, node()),
      () => at.map.clear(),
      () => void (at.list = [node()]),
    ][below(6)]!;
    change();
  };
  let kept: Node | undefined;
  const it = actor({
    createState: node,
    actions: {
      change: (c, isBad: boolean) => {
        // Sometimes through what an earlier call has kept.
        const root = kept && next() < 0.3 ? kept : c.state;
        for (let i = below(5); i >= 0; --i) mutate(root);
        kept = c.state;
        if (isBad) throw new Error("as asked");
        return encode(c.state, "stored");
      },
      read: (c) => encode(c.state, "stored"),
    },
  });
  await using world = await World.of({ it });
  const one = await world.actor("it");
  let model = one.saved!;
  for (let i = 0; i < 500; ++i) {
    const isBad = next() < 0.4;
    const { value } = await one.action("change", isBad);
    if (!isBad) model = value as Uint8Array<ArrayBuffer>;
    expect(one.saved, `seed ${seed}, call ${i}`).toEqual(model);
    expect((await one.action("read")).value, `seed ${seed}, call ${i}`).toEqual(model);
  }
});

/** With parts that stand in several places. */
function randomTree(next: () => number, depth: number, pool: object[]): unknown {
  const below = (count: number): number => Math.floor(next() * count);
  if (pool.length && next() < 0.15) return pool[below(pool.length)];
  const some = <T>(make: () => T): T[] => Array.from({ length: below(4) }, make);
  const value = (): unknown => randomTree(next, depth + 1, pool);
  const key = (): string => "abc"[below(3)]!;
  const make = (): unknown => {
    switch (below(depth > 3 ? 3 : 7)) {
      case 0:
        return below(5);
      case 1:
        return key();
      case 2:
        return new Date(below(5));
      case 3:
        return some(value);
      case 4:
        return new Map(some(() => [key(), value()] as const));
      case 5:
        return new Set(some(() => below(5)));
      default:
        return Object.fromEntries(some(() => [key(), value()]));
    }
  };
  const made = make();
  if (typeof made === "object" && made !== null) pool.push(made);
  return made;
}
