// Payloads: values as they come from clients and go to them.

import { decode, encode } from "./cbor.ts";
import { InvalidArguments } from "./errors.ts";
import { Encoding, type Payload } from "./native.ts";

/** Throws InvalidArguments. */
export function fromPayload(payload: Payload, what: string): unknown {
  try {
    return typeof payload === "string" ? fromJson(payload) : decode(payload);
  } catch (error) {
    throw new InvalidArguments(`${what}: ${(error as Error).message}`);
  }
}

/** Numbers that may have more digits than a double, and strings, which are none. */
const longNumbers = /"(?:[^"\\]|\\.)*"|(?<![\d.eE+-])-?\d{16,}(?![\d.eE])/gs;

/** As JSON.parse(), but integers of 64 bits keep all their digits. */
function fromJson(text: string): unknown {
  // Also so that what follows sees no broken text, which it would be slow with.
  const value: unknown = JSON.parse(text);
  if (!/\d{16}/.test(text)) return value;
  const mark = `#${crypto.randomUUID()}:`;
  const marked = text.replace(longNumbers, (token) =>
    token[0] === '"' || !isLong(token) ? token : `"${mark}${token}"`,
  );
  if (marked.length === text.length) return value;
  return JSON.parse(marked, (_, each: unknown) =>
    typeof each === "string" && each.startsWith(mark) ? BigInt(each.slice(mark.length)) : each,
  );
}

function isLong(digits: string): boolean {
  // More digits than 64 bits have, of which a bigint would take its time.
  if (digits.length > 20 || /^-?0/.test(digits)) return false;
  const value = BigInt(digits);
  return !Number.isSafeInteger(Number(value)) && value >= -(2n ** 63n) && value < 2n ** 64n;
}

/** Throws a TypeError or a RangeError for what cannot be sent. */
export function toPayload(value: unknown, encoding: Encoding): Payload {
  return encoding === Encoding.Json ? toJson(value) : encode(value, "sent");
}

/** As JSON.stringify(), but bytes are base64 text, and bigints whole numbers. */
export function toJson(value: unknown): string {
  if (!needsCare(value, 0)) return JSON.stringify(value) ?? "null";
  // Digits that a number has not room for: marked by what no text of this value can have in it.
  const mark = `#${crypto.randomUUID()}:`;
  let hasMarks = false;
  const text = JSON.stringify(
    value ?? null,
    function (this: Record<string, unknown>, key, given: unknown) {
      // Not `given`: a Buffer's own toJSON() has been at it.
      const own = this[key];
      if (ArrayBuffer.isView(own)) {
        return Buffer.from(own.buffer, own.byteOffset, own.byteLength).toString("base64");
      }
      if (own instanceof ArrayBuffer) return Buffer.from(own).toString("base64");
      if (given instanceof Map || given instanceof Set) {
        throw new TypeError("a Map or a Set cannot be sent: make an array or an object of it");
      }
      if (typeof given !== "bigint") return given;
      if (given < -(2n ** 63n) || given >= 2n ** 64n) {
        throw new RangeError("an integer of more than 64 bits cannot be sent");
      }
      hasMarks = true;
      return mark + given.toString();
    },
  );
  if (text === undefined) return "null";
  return hasMarks ? text.replaceAll(new RegExp(`"${mark}(-?\\d+)"`, "g"), "$1") : text;
}

/** Whether JSON.stringify() alone would not do. Most values need no care, and this is fast. */
function needsCare(value: unknown, depth: number): boolean {
  if (typeof value === "bigint") return true;
  if (typeof value !== "object" || value === null) return false;
  if (depth > 8) return true;
  if (Array.isArray(value)) {
    for (const each of value) if (needsCare(each, depth + 1)) return true;
    return false;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return true;
  for (const key in value) {
    if (needsCare((value as Record<string, unknown>)[key], depth + 1)) return true;
  }
  return false;
}
