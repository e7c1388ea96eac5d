// The two encodings of messages and bodies.

import { bytesOf, decodeCbor, encodeCbor, refuseCollections } from "./cbor.ts";

/**
 * How values travel. JSON is for looking at what is said: in it bytes are base64 text, and integers
 * beyond 2^53 are not exact.
 */
export type Encoding = "cbor" | "json";

export function encode(value: unknown, encoding: Encoding): Uint8Array<ArrayBuffer> | string {
  return encoding === "cbor" ? encodeCbor(value) : encodeJson(value);
}

/** Throws a SyntaxError. */
export function decode(data: ArrayBuffer | Uint8Array | string): unknown {
  if (typeof data === "string") return JSON.parse(data);
  return decodeCbor(data instanceof Uint8Array ? data : new Uint8Array(data));
}

export function mediaType(encoding: Encoding): string {
  return `application/${encoding}`;
}

function encodeJson(value: unknown): string {
  return JSON.stringify(
    value ?? null,
    function (this: Record<string, unknown>, key, given: unknown) {
      // Not `given`: a Buffer's own toJSON() has been at it.
      const bytes = bytesOf(this[key]);
      if (bytes) return toBase64(bytes);
      refuseCollections(given);
      if (typeof given !== "bigint") return given;
      if (BigInt(Number(given)) !== given)
        throw new RangeError("this integer can be sent in CBOR alone");
      return Number(given);
    },
  );
}

function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}
