import { describe, expect, test } from "vitest";

import { InvalidArguments } from "../src/errors.ts";
import { Encoding } from "../src/native.ts";
import { fromPayload, toJson, toPayload } from "../src/payload.ts";

describe("JSON for people", () => {
  test("is that of JSON.stringify() where that will do", () => {
    const at = new Date(0);
    for (const value of [
      null,
      1,
      "a",
      [1, undefined, { a: undefined }],
      { at, b: { c: [at] } },
      undefined,
    ]) {
      expect(toJson(value)).toBe(JSON.stringify(value) ?? "null");
    }
    expect(toJson(() => 1)).toBe("null");
  });
  test("has bytes as base64 text", () => {
    const bytes = new Uint8Array([1, 2, 255]);
    expect(
      toJson({
        bytes,
        buffer: Buffer.from(bytes),
        view: new DataView(bytes.buffer),
        raw: bytes.buffer,
      }),
    ).toBe('{"bytes":"AQL/","buffer":"AQL/","view":"AQL/","raw":"AQL/"}');
  });
  test("has all digits of integers", () => {
    expect(toJson([1n, -(2n ** 63n), 2n ** 64n - 1n, { n: 9007199254740993n }])).toBe(
      '[1,-9223372036854775808,18446744073709551615,{"n":9007199254740993}]',
    );
    expect(() => toJson(2n ** 64n)).toThrow(RangeError);
  });
  test("refuses what CBOR would refuse", () => {
    expect(() => toJson({ a: new Map() })).toThrow(TypeError);
    expect(() => toJson(new Set())).toThrow(TypeError);
  });
  test("is careful with what is nested deep, and with what holds itself", () => {
    let deep: unknown = 5n;
    for (let i = 0; i < 50; ++i) deep = [deep];
    expect(toJson(deep)).toBe("[".repeat(50) + "5" + "]".repeat(50));
    const loop: unknown[] = [];
    loop.push(loop);
    expect(() => toJson(loop)).toThrow(TypeError);
  });
  test("takes no text for a number", () => {
    expect(toJson(["1", 1n, '#:"1'])).toBe('["1",1,"#:\\"1"]');
  });
});

test("what is broken is the caller's fault", () => {
  expect(() => fromPayload("{", "arguments")).toThrow(InvalidArguments);
  expect(() => fromPayload(new Uint8Array([0xff]), "arguments")).toThrow(
    "arguments: this is no CBOR",
  );
});

test("integers of JSON keep their digits, and nothing else is taken for one", () => {
  const parse = (text: string): unknown => fromPayload(text, "it");
  expect(parse("[9007199254740993, -9223372036854775808, 18446744073709551615]")).toEqual([
    9007199254740993n,
    -(2n ** 63n),
    2n ** 64n - 1n,
  ]);
  expect(
    parse('{"a": 9007199254740991, "b": 1234567890123456.5, "c": 1234567890123456e3}'),
  ).toEqual({
    a: 9007199254740991,
    b: 1234567890123456.5,
    c: 1234567890123456e3,
  });
  expect(
    parse(
      '["12345678901234567890", "\\"12345678901234567890", {"1234567890123456789": 0.12345678901234567890}]',
    ),
  ).toEqual([
    "12345678901234567890",
    '"12345678901234567890',
    { "1234567890123456789": 0.1234567890123456789 },
  ]);
  expect(parse("99999999999999999999999")).toBe(1e23);
  for (const broken of [
    "01234567890123456789",
    "[12345678901234567890",
    "1 12345678901234567890",
  ]) {
    expect(() => parse(broken)).toThrow(InvalidArguments);
  }
});

test("texts that are made to be slow are not", () => {
  const broken = `1234567890123456 "${'\\"'.repeat(500_000)}`;
  expect(() => fromPayload(broken, "it")).toThrow(InvalidArguments);
  const whole = `["${'\\"'.repeat(500_000)}", ${"1".repeat(500_000)}, ${"1".repeat(500_000)}.5]`;
  expect(fromPayload(whole, "it")).toHaveLength(3);
});

test("both encodings say the same", () => {
  const value = { a: [1, "x", null, true], b: { c: 1.5 } };
  for (const encoding of [Encoding.Json, Encoding.Cbor]) {
    expect(fromPayload(toPayload(value, encoding), "it")).toEqual(value);
  }
});
