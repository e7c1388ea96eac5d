import { describe, expect, test } from "vitest";

import { randomOf, seed } from "../../../testing/packages/random.ts";
import { decodeCbor, encodeCbor } from "../src/cbor.ts";

const fromHex = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const bytes = (...values: number[]): Uint8Array => new Uint8Array(values);

/** RFC 8949, appendix A: encoded, decoded. */
const examples: [string, unknown][] = [
  ["00", 0],
  ["01", 1],
  ["0a", 10],
  ["17", 23],
  ["1818", 24],
  ["1819", 25],
  ["1864", 100],
  ["1903e8", 1000],
  ["1a000f4240", 1000000],
  ["1b000000e8d4a51000", 1000000000000],
  ["1bffffffffffffffff", 18446744073709551615n],
  ["3bffffffffffffffff", -18446744073709551616n],
  ["20", -1],
  ["29", -10],
  ["3863", -100],
  ["3903e7", -1000],
  ["f90000", 0],
  ["f98000", -0],
  ["f93c00", 1],
  ["fb3ff199999999999a", 1.1],
  ["f93e00", 1.5],
  ["f97bff", 65504],
  ["fa47c35000", 100000],
  ["fa7f7fffff", 3.4028234663852886e38],
  ["fb7e37e43c8800759c", 1.0e300],
  ["f90001", 5.960464477539063e-8],
  ["f90400", 0.00006103515625],
  ["f9c400", -4],
  ["fbc010666666666666", -4.1],
  ["f97c00", Infinity],
  ["f97e00", NaN],
  ["f9fc00", -Infinity],
  ["fa7f800000", Infinity],
  ["fa7fc00000", NaN],
  ["faff800000", -Infinity],
  ["fb7ff0000000000000", Infinity],
  ["fb7ff8000000000000", NaN],
  ["fbfff0000000000000", -Infinity],
  ["f4", false],
  ["f5", true],
  ["f6", null],
  ["f7", undefined],
  // Tags: the value beneath them.
  ["c249010000000000000000", bytes(1, 0, 0, 0, 0, 0, 0, 0, 0)],
  ["c349010000000000000000", bytes(1, 0, 0, 0, 0, 0, 0, 0, 0)],
  ["c074323031332d30332d32315432303a30343a30305a", "2013-03-21T20:04:00Z"],
  ["c11a514b67b0", 1363896240],
  ["c1fb41d452d9ec200000", 1363896240.5],
  ["d74401020304", bytes(1, 2, 3, 4)],
  ["d818456449455446", bytes(0x64, 0x49, 0x45, 0x54, 0x46)],
  ["d82076687474703a2f2f7777772e6578616d706c652e636f6d", "http://www.example.com"],
  ["40", bytes()],
  ["4401020304", bytes(1, 2, 3, 4)],
  ["60", ""],
  ["6161", "a"],
  ["6449455446", "IETF"],
  ["62225c", '"\\'],
  ["62c3bc", "\u00fc"],
  ["63e6b0b4", "\u6c34"],
  ["64f0908591", "\ud800\udd51"],
  ["80", []],
  ["83010203", [1, 2, 3]],
  ["8301820203820405", [1, [2, 3], [4, 5]]],
  [
    "98190102030405060708090a0b0c0d0e0f101112131415161718181819",
    Array.from({ length: 25 }, (_, i) => i + 1),
  ],
  ["a0", {}],
  ["a201020304", { 1: 2, 3: 4 }],
  ["a26161016162820203", { a: 1, b: [2, 3] }],
  ["826161a161626163", ["a", { b: "c" }]],
  ["a56161614161626142616361436164614461656145", { a: "A", b: "B", c: "C", d: "D", e: "E" }],
  ["5f42010243030405ff", bytes(1, 2, 3, 4, 5)],
  ["7f657374726561646d696e67ff", "streaming"],
  ["9fff", []],
  ["9f018202039f0405ffff", [1, [2, 3], [4, 5]]],
  ["9f01820203820405ff", [1, [2, 3], [4, 5]]],
  ["83018202039f0405ff", [1, [2, 3], [4, 5]]],
  ["83019f0203ff820405", [1, [2, 3], [4, 5]]],
  [
    "9f0102030405060708090a0b0c0d0e0f101112131415161718181819ff",
    Array.from({ length: 25 }, (_, i) => i + 1),
  ],
  ["bf61610161629f0203ffff", { a: 1, b: [2, 3] }],
  ["826161bf61626163ff", ["a", { b: "c" }]],
  ["bf6346756ef563416d7421ff", { Fun: true, Amt: -2 }],
];

describe("the examples of RFC 8949", () => {
  test.each(examples)("%s is read", (hex, value) => {
    expect(decodeCbor(fromHex(hex))).toStrictEqual(value);
  });
  /**
   * Those that this encoder would write in the same way: shortest integers, definite lengths,
   * doubles.
   */
  const canonical = examples.filter(
    ([hex, value]) =>
      !/^(f9|fa|f7|c|d|5f|7f|9f|bf|3bff|a2010)/.test(hex) &&
      !hex.includes("bf") &&
      !hex.includes("9f0") &&
      !Number.isNaN(value),
  );
  test.each(canonical)("%s is written", (hex, value) => {
    expect(toHex(encodeCbor(value))).toBe(hex);
  });
});

describe("what is no CBOR is refused", () => {
  test.each([
    ["", "nothing"],
    ["0000", "two values"],
    ["18", "a head without its number"],
    ["1c", "a reserved length"],
    ["1f", "an integer of indefinite length"],
    ["df00", "a tag of indefinite length"],
    ["f0", "an unknown simple value"],
    ["f818", "a simple value of two bytes"],
    ["ff", "an end of nothing"],
    ["81ff", "an end in an array of known length"],
    ["a1ff", "an end in an object of known length"],
    ["bf01ff", "a key without a value"],
    ["c0ff", "a tag of an end"],
    ["62c328", "text that is no UTF-8"],
    ["43ffff", "too few bytes"],
    ["5bffffffffffffffff", "more bytes than there are"],
    ["9bffffffffffffffff00", "more values than there are"],
    ["9affffffff00", "more values than there can be"],
    ["bb0020000000000000", "more entries than there can be"],
    ["5f6161ff", "a text among bytes"],
    ["5f5f4100ffff", "pieces in pieces"],
    ["7f4161ff", "bytes in a text"],
    ["9f01", "an array without its end"],
    ["81".repeat(201) + "00", "nested too deep"],
    ["c1".repeat(300) + "00", "too many tags"],
    ["81".repeat(100_000), "nested far too deep"],
  ])("%s: %s", (hex) => {
    expect(() => decodeCbor(fromHex(hex))).toThrow(SyntaxError);
  });
});

describe("values of JavaScript", () => {
  test("whose integers are safe are numbers, others bigint", () => {
    expect(
      decodeCbor(encodeCbor([5n, -5n, 2n ** 53n, -(2n ** 53n), 2n ** 53n - 1n, 1n - 2n ** 53n])),
    ).toEqual([5, -5, 2n ** 53n, -(2n ** 53n), Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]);
  });
  test("that are views are the bytes they show", () => {
    const buffer = new Uint8Array([1, 2, 3, 4]).buffer;
    for (const view of [
      new Uint8Array(buffer, 1, 2),
      new DataView(buffer, 1, 2),
      Buffer.from(buffer, 1, 2),
    ]) {
      expect(decodeCbor(encodeCbor(view))).toEqual(bytes(2, 3));
    }
    expect(decodeCbor(encodeCbor(buffer))).toEqual(bytes(1, 2, 3, 4));
  });
  test("lose what JSON would lose", () => {
    const at = new Date(0);
    const value = { at, nothing: undefined, call: () => 1, list: [undefined, Symbol(), , at] };
    expect(decodeCbor(encodeCbor(value))).toEqual(JSON.parse(JSON.stringify(value)));
    expect(decodeCbor(encodeCbor(undefined))).toBe(null);
  });
  test("have no key that changes what an object is", () => {
    const value = JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1}') as object;
    const copy = decodeCbor(encodeCbor(value)) as object;
    expect(Object.keys(copy)).toEqual(["__proto__", "constructor"]);
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype);
    expect((copy as { polluted?: boolean }).polluted).toBeUndefined();
  });
  test("may encode others while they are encoded", () => {
    const inner = { toJSON: () => Array.from(encodeCbor(["inner", "x".repeat(100)])) };
    const bytesOfInner = Array.from(encodeCbor(["inner", "x".repeat(100)]));
    expect(decodeCbor(encodeCbor(["before", inner, "after"]))).toEqual([
      "before",
      bytesOfInner,
      "after",
    ]);
  });
  test("that are larger than what came before grow the buffer wherever they are", () => {
    for (const size of [4_000, 4_090, 4_095, 4_096, 4_097, 70_000, 10]) {
      for (const filler of ["x".repeat(size), new Uint8Array(size)]) {
        const value = [
          filler,
          1,
          300,
          70_000,
          2 ** 40,
          2n ** 60n,
          1.5,
          true,
          null,
          "é",
          "abc",
          { k: [] },
          -5,
        ];
        expect(decodeCbor(encodeCbor(value))).toEqual(value);
      }
    }
  });
  test("that cannot be sent are refused", () => {
    const itself: { self?: unknown } = {};
    itself.self = itself;
    for (const value of [
      new Map(),
      new Set(),
      2n ** 64n,
      -(2n ** 63n) - 1n,
      Symbol(),
      () => 1,
      itself,
    ]) {
      expect(() => encodeCbor(value)).toThrow();
    }
  });
  test("that are bytes do not hold on to the message", () => {
    const message = encodeCbor([bytes(1, 2, 3), "x".repeat(1000)]);
    const [part] = decodeCbor(message) as [Uint8Array];
    expect(part.buffer.byteLength).toBe(3);
  });
});

describe(`random values (seed ${seed})`, () => {
  const random = randomOf(seed);
  const below = (n: number): number => Math.floor(random() * n);

  function randomValue(depth: number): unknown {
    switch (below(depth > 4 ? 8 : 10)) {
      case 0:
        return [null, true, false][below(3)];
      case 1:
        return Math.round((random() - 0.5) * 2 ** below(54));
      case 2:
        return (random() - 0.5) * 10 ** (below(600) - 300);
      case 3:
        return [1n, -1n][below(2)]! * (2n ** 53n + BigInt(below(2 ** 32)) * BigInt(below(2 ** 20)));
      case 4:
        return String.fromCodePoint(
          ...Array.from(
            { length: below(40) },
            () => [below(128), 0x80 + below(0x700), 0x10000 + below(0xfffff)][below(3)]!,
          ),
        );
      case 5:
        return Uint8Array.from({ length: below(300) }, () => below(256));
      case 6:
        return below(300);
      case 7:
        return [-0, NaN, Infinity, -Infinity, Number.MAX_SAFE_INTEGER, Number.MIN_VALUE][below(6)];
      case 8:
        return Array.from({ length: below(depth ? 6 : 30) }, () => randomValue(depth + 1));
      default:
        return Object.fromEntries(
          Array.from({ length: below(depth ? 6 : 30) }, () => [
            `k${below(1000)}`,
            randomValue(depth + 1),
          ]),
        );
    }
  }

  test("come back as they went", () => {
    for (let i = 0; i < 2_000; ++i) {
      const value = randomValue(0);
      expect(decodeCbor(encodeCbor(value))).toStrictEqual(value);
    }
  });

  test("that are damaged are a value or a SyntaxError, nothing else", () => {
    for (let i = 0; i < 5_000; ++i) {
      const message = encodeCbor(randomValue(2));
      for (let flips = 0; flips <= below(3); ++flips) message[below(message.length)] = below(256);
      const cut = message.subarray(0, below(5) === 0 ? below(message.length) : message.length);
      try {
        decodeCbor(cut);
      } catch (error) {
        expect(error, toHex(cut)).toBeInstanceOf(SyntaxError);
      }
    }
  });
});
