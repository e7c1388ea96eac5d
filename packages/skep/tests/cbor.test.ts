import { describe, expect, test } from "vitest";

import { randomOf, seed } from "../../../testing/packages/random.ts";
import { encodeCbor } from "../../client/src/cbor.ts";
import { decode, encode, encodeChanged } from "../src/cbor.ts";

const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const fromHex = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));
const again = (value: unknown): unknown => decode(encode(value, "stored"));

describe("what is stored comes back as it was", () => {
  const values: [string, unknown][] = [
    ["numbers", [0, -0, 1, -1, 1.5, 2 ** 53, -(2 ** 53), 1e300, NaN, Infinity, -Infinity]],
    ["texts", ["", "a", "ä€😀", "x".repeat(100), "ö".repeat(100), "\0", "é".repeat(21) + "x"]],
    ["a text of every length about the bounds", lengths().map((n) => "a".repeat(n))],
    ["the same beyond ASCII", lengths().map((n) => "€".repeat(n))],
    ["nothing", [null, undefined, { a: undefined, b: null }]],
    [
      "dates",
      [new Date(0), new Date(-1), new Date(1.7e12 + 123), new Date(8.64e15), new Date(NaN)],
    ],
    ["bigints", [0n, 1n, -1n, 255n, -256n, 2n ** 63n, -(2n ** 64n), 2n ** 2000n, -(2n ** 2000n)]],
    [
      "maps",
      new Map<unknown, unknown>([
        [1, "a"],
        ["1", new Map()],
        [{ a: 1 }, new Set([[1]])],
      ]),
    ],
    ["sets", new Set([1, "1", 1n, new Date(5)])],
    ["bytes", [new Uint8Array(), new Uint8Array([0, 255])]],
    [
      "other typed arrays",
      [
        new Uint8ClampedArray([1, 2]),
        new Int8Array([-1]),
        new Uint16Array([65535]),
        new Int16Array([-2]),
        new Uint32Array([2 ** 32 - 1]),
        new Int32Array([-3]),
        new BigUint64Array([2n ** 64n - 1n]),
        new BigInt64Array([-(2n ** 63n)]),
        new Float32Array([0.5]),
        new Float64Array([Math.PI]),
      ],
    ],
    ["holes, as undefined", [1, undefined, 3]],
    ["objects", { "": 1, "a b": [{}], nested: { deep: [[[]]] } }],
  ];
  test.each(values)("%s", (_, value) => expect(again(value)).toStrictEqual(value));

  test("dates, to the millisecond wherever they are", () => {
    const next = randomOf(seed);
    for (let i = 0; i < 20_000; ++i) {
      const ms = Math.round((next() * 2 - 1) * 8.64e15);
      expect((again(new Date(ms)) as Date).getTime(), `${ms}, seed ${seed}`).toBe(ms);
    }
  });
  test("a view of a part of a buffer, without the rest", () => {
    const buffer = new Float32Array([1, 2, 3, 4]);
    expect(again(buffer.subarray(1, 3))).toStrictEqual(new Float32Array([2, 3]));
    expect(again(Buffer.from("abc"))).toStrictEqual(new Uint8Array([97, 98, 99]));
  });
  test("a key named __proto__ is a key", () => {
    const object = JSON.parse('{"__proto__": 1}') as object;
    const copy = again(object) as object;
    expect(Object.keys(copy)).toEqual(["__proto__"]);
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype);
  });
  test("what does not would lie, and is refused", () => {
    class Point {}
    for (const value of [
      () => 1,
      Symbol("s"),
      new Point(),
      new URL("http://a"),
      /a/,
      new Error("e"),
      new ArrayBuffer(1),
      new DataView(new ArrayBuffer(1)),
      new WeakMap(),
      Promise.resolve(),
    ]) {
      expect(() => encode({ value }, "stored")).toThrow(TypeError);
    }
    expect(() => encode(new Point(), "stored")).toThrow("an instance of Point cannot be stored");
    const loop: unknown[] = [];
    loop.push(new Set([new Map([[1, loop]])]));
    expect(() => encode(loop, "stored")).toThrow(RangeError);
    expect(() => encode(2n ** 40_000n, "stored")).toThrow(RangeError);
  });
  test("after a refusal the next value is whole", () => {
    expect(() => encode(["x".repeat(10_000), () => 1], "stored")).toThrow();
    expect(again([1])).toEqual([1]);
  });
});

function lengths(): number[] {
  return [22, 23, 24, 25, 63, 64, 65, 84, 85, 86, 255, 256, 257, 21_845, 65_535, 65_536];
}

describe("what is sent", () => {
  test("is what the client would send, byte for byte", () => {
    const next = randomOf(seed);
    for (let i = 0; i < 3_000; ++i) {
      const value = randomValue(next, 0);
      expect(toHex(encode(value, "sent")), `seed ${seed}`).toBe(toHex(encodeCbor(value)));
    }
  });
  test.each<[string, unknown]>([
    ["dates", { at: new Date(5), list: [new Date(6)] }],
    ["a toJSON() of its own", { toJSON: () => [1] }],
    ["nothing", [undefined, () => 1, { a: undefined, b: () => 1, c: Symbol("s") }]],
    [
      "instances",
      new (class A {
        x = 1;
      })(),
    ],
    ["views", [new Float32Array([1]), new DataView(new ArrayBuffer(2)), new ArrayBuffer(3)]],
    ["holes", [1, , 3]],
    ["large integers", [2n ** 63n, -(2n ** 63n), 2n ** 64n - 1n]],
  ])("so are %s", (_, value) =>
    expect(toHex(encode(value, "sent"))).toBe(toHex(encodeCbor(value))),
  );
  test("is refused as by the client", () => {
    for (const value of [new Map(), new Set(), 2n ** 64n, -(2n ** 63n) - 1n, { a: new Map() }]) {
      expect(() => encode(value, "sent")).toThrow();
      expect(() => encodeCbor(value)).toThrow();
    }
  });
});

describe("reading", () => {
  test.each<[string, unknown]>([
    ["9f0102ff", [1, 2]],
    ["bf616101ff", { a: 1 }],
    ["7f61616162ff", "ab"],
    ["5f41014102ff", new Uint8Array([1, 2])],
    ["f93c00", 1],
    ["fa3fc00000", 1.5],
    ["1b0020000000000000", 2n ** 53n],
    ["d818456449455446", new Uint8Array([0x64, 0x49, 0x45, 0x54, 0x46])],
    ["c074323031332d30332d32315432303a30343a30305a", "2013-03-21T20:04:00Z"],
    ["c11a514b67b0", new Date(1363896240000)],
    ["c249010000000000000000", 2n ** 64n],
    ["d90103bf616101ff", new Map([["a", 1]])],
    ["a1016161", { 1: "a" }],
  ])("%s", (hex, value) => expect(decode(fromHex(hex))).toStrictEqual(value));

  test.each([
    ["", "nothing"],
    ["0000", "more than one value"],
    ["ff", "an end"],
    ["18", "half a number"],
    ["61ff", "text that is no UTF-8"],
    ["1c", "a reserved length"],
    ["9bffffffffffffffff", "an array of impossible length"],
    ["bb00000000ffffffff", "an object of impossible length"],
    ["5bffffffffffffffff", "bytes of impossible length"],
    ["5f6161ff", "a piece of another type"],
    ["81".repeat(300) + "00", "too deep"],
    ["c1".repeat(300) + "00", "too many tags"],
    ["c1616a", "a date that is a text"],
    ["c201", "a bigint that is none"],
    ["d9010301", "a map that is a number"],
    ["d84542ffff".replace("42ffff", "43ffffff"), "half an element"],
  ])("%s is refused: %s", (hex) => expect(() => decode(fromHex(hex))).toThrow(SyntaxError));

  test("anything at all gives a value or a SyntaxError", () => {
    const next = randomOf(seed);
    for (let i = 0; i < 20_000; ++i) {
      const bytes = Uint8Array.from({ length: Math.floor(next() * 24) }, () => next() * 256);
      try {
        decode(bytes);
      } catch (error) {
        expect(error, `${toHex(bytes)}, seed ${seed}`).toBeInstanceOf(SyntaxError);
      }
    }
  });
  test("a value with one byte changed too", () => {
    const next = randomOf(seed);
    for (let i = 0; i < 5_000; ++i) {
      const bytes = encode(randomValue(next, 0), "stored");
      bytes[Math.floor(next() * bytes.length)] = next() * 256;
      try {
        decode(bytes);
      } catch (error) {
        expect(error, `${toHex(bytes)}, seed ${seed}`).toBeInstanceOf(SyntaxError);
      }
    }
  });
  test("of a Buffer gives copies", () => {
    const buffer = Buffer.from(encode(new Uint8Array([1, 2]), "sent"));
    const value = decode(buffer) as Uint8Array;
    buffer.fill(0);
    expect(value).toStrictEqual(new Uint8Array([1, 2]));
  });
});

describe("comparing", () => {
  test("gives nothing for the same, and the bytes for something else", () => {
    const known = encode({ a: [1, "x"] }, "stored");
    expect(encodeChanged({ a: [1, "x"] }, "stored", known)).toBeNull();
    expect(encodeChanged({ a: [1, "y"] }, "stored", known)).toEqual(
      encode({ a: [1, "y"] }, "stored"),
    );
    expect(encodeChanged({ a: [1, "x"], b: 1 }, "stored", known)).not.toBeNull();
    expect(encodeChanged({ a: 1 }, "stored", undefined)).not.toBeNull();
  });
  test("a value that encodes another one while it is encoded", () => {
    const inner = { toJSON: () => toHex(encode({ deep: 1 }, "sent")) };
    expect(decode(encode([1, inner, 2], "sent"))).toEqual([1, "a16464656570" + "01", 2]);
  });
});

/** Of what both the client and the actor know. */
function randomValue(next: () => number, depth: number): unknown {
  const below = (count: number): number => Math.floor(next() * count);
  const text = (): string =>
    Array.from({ length: below(90) }, () => "abcdefgh öß€😀"[below(14)]).join("");
  switch (below(depth > 4 ? 8 : 11)) {
    case 0:
      return null;
    case 1:
      return next() < 0.5;
    case 2:
      return below(300) - 150;
    case 3:
      return Math.round((next() - 0.5) * 2 ** 54);
    case 4:
      return (next() - 0.5) * 10 ** below(300);
    case 5:
      return BigInt(Math.round((next() - 0.5) * 2 ** 40)) * 2n ** 22n;
    case 6:
      return text();
    case 7:
      return Uint8Array.from({ length: below(300) }, () => below(256));
    case 8:
      return Array.from({ length: below(6) }, () => randomValue(next, depth + 1));
    default:
      return Object.fromEntries(
        Array.from({ length: below(6) }, () => [text(), randomValue(next, depth + 1)]),
      );
  }
}
