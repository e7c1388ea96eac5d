// CBOR (RFC 8949), in two forms that one decoder reads.
//
// sent    what leaves the actor: exactly the bytes that @skep/client would make of the same value.
//         A Date is its ISO text, nothing that JSON does not know gets through but bytes and 64-bit
//         integers.
// stored  what comes back to an actor's own code: the same value again. Beside what is sent:
//
//   Date                 tag 1, seconds since 1970 (RFC 8949 section 3.4.2)
//   bigint               tags 2 and 3, of any size, so that 1n does not come back as 1
//   Set, Map             tag 258, an array; tag 259, a map
//   other typed arrays   tags 68 to 86 of RFC 8746, little endian
//   undefined            as itself, also in objects
//
//         What could not come back as it was (functions, instances of classes) is refused.

import { isUtf8 } from "node:buffer";

export type Form = "sent" | "stored";

const depthMax = 200;
const bigintBytesMax = 4096;
const shortText = 64;
const exactMax = 0x1fffffffffffffn;

const tags = { epoch: 1, positive: 2, negative: 3, set: 258, map: 259 } as const;

type View = { new (buffer: ArrayBuffer): ArrayBufferView; readonly BYTES_PER_ELEMENT: number };
/** By tag; of a machine whose byte order is little endian, as are all that Node.js runs on here. */
const viewTypes: ReadonlyMap<number, View> = new Map<number, View>([
  [68, Uint8ClampedArray],
  [69, Uint16Array],
  [70, Uint32Array],
  [71, BigUint64Array],
  [72, Int8Array],
  [77, Int16Array],
  [78, Int32Array],
  [79, BigInt64Array],
  [85, Float32Array],
  [86, Float64Array],
]);
const tagsOfViews: ReadonlyMap<unknown, number> = new Map(
  [...viewTypes].map(([tag, type]) => [type, tag]),
);

/**
 * Throws a TypeError or a RangeError for what cannot be sent, or stored. The bytes are the caller's
 * own.
 */
export function encode(value: unknown, form: Form): Uint8Array<ArrayBuffer> {
  const writer = begin(form);
  try {
    writer.item(value, 0);
    return writer.take();
  } finally {
    end(writer);
  }
}

/** As `encode()`; null when that would give `known`, without making anything. */
export function encodeChanged(
  value: unknown,
  form: Form,
  known: Uint8Array | undefined,
): Uint8Array<ArrayBuffer> | null {
  const writer = begin(form);
  try {
    writer.item(value, 0);
    return known && writer.equals(known) ? null : writer.take();
  } finally {
    end(writer);
  }
}

/** Not in use; keeps its buffer. A toJSON() may encode something itself, and then has another. */
let spare: Writer | null = null;

function begin(form: Form): Writer {
  const writer = spare ?? new Writer();
  spare = null;
  writer.isStored = form === "stored";
  return writer;
}
function end(writer: Writer): void {
  if (writer.isSmall) spare = writer.clear();
}

class Writer {
  isStored = false;
  #bytes = new Uint8Array(4096);
  #buffer = Buffer.from(this.#bytes.buffer);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  get isSmall(): boolean {
    return this.#bytes.length <= 1 << 20;
  }
  clear(): this {
    this.#length = 0;
    return this;
  }
  take(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }
  equals(other: Uint8Array): boolean {
    return (
      other.length === this.#length &&
      this.#buffer.compare(other, 0, other.length, 0, this.#length) === 0
    );
  }

  item(value: unknown, depth: number): void {
    if (typeof value === "string") return this.#text(value);
    if (typeof value === "number") return this.#number(value);
    if (typeof value === "object" && value) return this.#object(value, depth);
    if (typeof value === "boolean") return this.#byte(value ? 0xf5 : 0xf4);
    if (value === null) return this.#byte(0xf6);
    if (value === undefined) return this.#byte(this.isStored ? 0xf7 : 0xf6);
    if (typeof value === "bigint") return this.isStored ? this.#bignum(value) : this.#bigint(value);
    throw new TypeError(`a ${typeof value} cannot be ${this.#done}`);
  }

  get #done(): string {
    return this.isStored ? "stored" : "sent";
  }
  /** Makes room, and gives the place where it is. The buffer is another afterwards. */
  #reserve(count: number): number {
    const start = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) this.#grow(start);
    return start;
  }
  #grow(used: number): void {
    const larger = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, used));
    this.#bytes = larger;
    this.#buffer = Buffer.from(larger.buffer);
    this.#view = new DataView(larger.buffer);
  }
  #byte(value: number): void {
    const at = this.#reserve(1);
    this.#bytes[at] = value;
  }
  #head(major: number, count: number): void {
    const first = major << 5;
    if (count < 24) return this.#byte(first | count);
    const log = logOf(count);
    const at = this.#reserve(1 + (1 << log));
    this.#bytes[at] = first | (24 + log);
    this.#put(at + 1, log, count);
  }
  #put(at: number, log: number, count: number): void {
    if (log === 0) this.#bytes[at] = count;
    else if (log === 1) this.#view.setUint16(at, count);
    else if (log === 2) this.#view.setUint32(at, count);
    else this.#view.setBigUint64(at, BigInt(count));
  }
  #number(value: number): void {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
      return value < 0 ? this.#head(1, -1 - value) : this.#head(0, value);
    }
    const at = this.#reserve(9);
    this.#bytes[at] = 0xfb;
    this.#view.setFloat64(at + 1, value);
  }
  #bigint(value: bigint): void {
    const major = value < 0n ? 1 : 0;
    const count = major ? -1n - value : value;
    if (count >> (major ? 63n : 64n)) {
      throw new RangeError("an integer of more than 64 bits cannot be sent");
    }
    if (count <= exactMax) return this.#head(major, Number(count));
    const at = this.#reserve(9);
    this.#bytes[at] = (major << 5) | 27;
    this.#view.setBigUint64(at + 1, count);
  }
  #bignum(value: bigint): void {
    const isNegative = value < 0n;
    const digits = (isNegative ? -1n - value : value).toString(16);
    const bytes = Buffer.from(digits.length % 2 ? `0${digits}` : digits, "hex");
    if (bytes.length > bigintBytesMax) {
      throw new RangeError(`a bigint of more than ${bigintBytesMax} bytes cannot be stored`);
    }
    this.#head(6, isNegative ? tags.negative : tags.positive);
    this.#bytesItem(bytes);
  }

  #text(value: string): void {
    const start = this.#length;
    const { length } = value;
    if (length <= shortText) {
      this.#head(3, length);
      const at = this.#reserve(length);
      let i = 0;
      for (; i < length; ++i) {
        const unit = value.charCodeAt(i);
        if (unit >= 0x80) break;
        this.#bytes[at + i] = unit;
      }
      if (i === length) return;
      this.#length = start;
    }
    // The head is written for ASCII, and moved when the text turns out to be longer.
    const guess = headBytes(length);
    this.#reserve(guess + length * 3);
    const count = this.#buffer.write(value, start + guess, "utf8");
    const size = headBytes(count);
    if (size !== guess) this.#bytes.copyWithin(start + size, start + guess, start + guess + count);
    this.#length = start;
    this.#head(3, count);
    this.#length = start + size + count;
  }
  #bytesItem(value: Uint8Array): void {
    this.#head(2, value.length);
    const at = this.#reserve(value.length);
    this.#bytes.set(value, at);
  }

  #object(value: object, depth: number): void {
    this.#enter(depth - 1);
    if (Array.isArray(value)) {
      this.#head(4, value.length);
      // Not forEach(), which passes over holes.
      for (let i = 0; i < value.length; ++i) this.#element(value[i], depth);
      return;
    }
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) {
      if (this.isStored) return this.#storedInstance(value, depth);
      if (this.#sentInstance(value, depth)) return;
    } else if (!this.isStored && this.#toJson(value, depth)) {
      return;
    }
    this.#fields(value as Record<string, unknown>, depth);
  }
  /** Of what is within `depth`; a tag is a level of its own. */
  #enter(depth: number): void {
    if (depth + 1 < depthMax) return;
    throw new RangeError(
      `a value that is nested too deep, or that holds itself, cannot be ${this.#done}`,
    );
  }
  #element(value: unknown, depth: number): void {
    this.item(!this.isStored && isNothing(value) ? null : value, depth + 1);
  }
  #fields(fields: Record<string, unknown>, depth: number): void {
    const keys = Object.keys(fields);
    let count = keys.length;
    if (!this.isStored) {
      for (const key of keys) if (isNothing(fields[key])) --count;
    }
    this.#head(5, count);
    for (const key of keys) {
      const field = fields[key];
      if (!this.isStored && isNothing(field)) continue;
      this.#text(key);
      this.item(field, depth + 1);
    }
  }

  /** Whether it was written. */
  #sentInstance(value: object, depth: number): boolean {
    if (value instanceof Uint8Array) return (this.#bytesItem(value), true);
    if (ArrayBuffer.isView(value)) {
      return (
        this.#bytesItem(new Uint8Array(value.buffer, value.byteOffset, value.byteLength)),
        true
      );
    }
    if (value instanceof ArrayBuffer) return (this.#bytesItem(new Uint8Array(value)), true);
    if (this.#toJson(value, depth)) return true;
    if (value instanceof Map || value instanceof Set) {
      throw new TypeError("a Map or a Set cannot be sent: make an array or an object of it");
    }
    return false;
  }
  #toJson(value: object, depth: number): boolean {
    const { toJSON } = value as { toJSON?: unknown };
    if (typeof toJSON !== "function") return false;
    this.item(toJSON.call(value), depth + 1);
    return true;
  }

  #storedInstance(value: object, depth: number): void {
    if (value instanceof Uint8Array) return this.#bytesItem(value);
    if (value instanceof Date) {
      this.#head(6, tags.epoch);
      return this.#number(value.getTime() / 1000);
    }
    if (value instanceof Map) {
      this.#enter(depth);
      this.#head(6, tags.map);
      this.#head(5, value.size);
      for (const [key, each] of value) {
        this.item(key, depth + 2);
        this.item(each, depth + 2);
      }
      return;
    }
    if (value instanceof Set) {
      this.#enter(depth);
      this.#head(6, tags.set);
      this.#head(4, value.size);
      for (const each of value) this.item(each, depth + 2);
      return;
    }
    const tag = tagsOfViews.get(value.constructor);
    if (tag === undefined || !ArrayBuffer.isView(value)) {
      const name = (value.constructor as { name?: string } | undefined)?.name ?? "a class";
      throw new TypeError(`an instance of ${name} cannot be stored: it would come back as another`);
    }
    this.#head(6, tag);
    this.#bytesItem(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
  }
}

function logOf(count: number): number {
  return count < 0x100 ? 0 : count < 0x10000 ? 1 : count < 0x100000000 ? 2 : 3;
}
function headBytes(count: number): number {
  return count < 24 ? 1 : 1 + (1 << logOf(count));
}
/** What a sent object leaves out, and a sent array has null for. */
function isNothing(value: unknown): boolean {
  return value === undefined || typeof value === "function" || typeof value === "symbol";
}

/** Throws a SyntaxError for what is no CBOR, or more than one value. */
export function decode(bytes: Uint8Array): unknown {
  return new Reader(bytes).only();
}

/** What stands for the end of an indefinite length. */
const stop = Symbol();

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    // Of a Buffer slice() is no copy.
    this.#bytes = Buffer.isBuffer(bytes)
      ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      : bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  only(): unknown {
    const result = this.#value(0);
    return this.#at < this.#bytes.length ? this.#fail("something follows the value") : result;
  }

  #fail(what: string): never {
    throw new SyntaxError(`this is no CBOR: ${what} at byte ${this.#at}`);
  }
  #take(count: number): number {
    if (count > this.#bytes.length - this.#at) this.#fail("it ends too early");
    const start = this.#at;
    this.#at += count;
    return start;
  }
  #byte(): number {
    return this.#bytes[this.#take(1)]!;
  }
  #value(depth: number): unknown {
    const result = this.#item(depth);
    return result === stop ? this.#fail("an end where none can be") : result;
  }
  #item(depth: number): unknown {
    const first = this.#byte();
    const major = first >> 5;
    const info = first & 31;
    if (major === 7) return this.#simple(info);
    const isIndefinite = info === 31 && major >= 2 && major <= 5;
    const count = isIndefinite ? null : this.#argument(info);
    if (major === 3 && count !== null) return this.#text(this.#take(Number(count)));
    if (major === 5) return this.#object(count, depth);
    if (major === 4) return this.#array(count, depth);
    if (count === null) return this.#pieces(major);
    if (major === 0) return count;
    if (major === 1) return negative(count);
    if (major === 2) return this.#bytes.slice(this.#take(Number(count)), this.#at);
    if (depth >= depthMax) this.#fail("nested too deep");
    return this.#tagged(Number(count), depth + 1);
  }

  /** The number that follows a head's first byte. */
  #argument(info: number): number | bigint {
    if (info < 24) return info;
    if (info === 24) return this.#byte();
    if (info === 25) return this.#view.getUint16(this.#take(2));
    if (info === 26) return this.#view.getUint32(this.#take(4));
    if (info !== 27) return this.#fail("a reserved length");
    const value = this.#view.getBigUint64(this.#take(8));
    return value <= exactMax ? Number(value) : value;
  }
  #simple(info: number): unknown {
    if (info === 20 || info === 21) return info === 21;
    if (info === 22) return null;
    if (info === 23) return undefined;
    if (info === 25) return halfOf(this.#view.getUint16(this.#take(2)));
    if (info === 26) return this.#view.getFloat32(this.#take(4));
    if (info === 27) return this.#view.getFloat64(this.#take(8));
    return info === 31 ? stop : this.#fail("an unknown simple value");
  }

  /** What is said by a tag that is not known is passed over. */
  #tagged(tag: number, depth: number): unknown {
    if (tag === tags.map) return this.#map(depth);
    const value = this.#value(depth);
    if (tag === tags.epoch && typeof value === "number") {
      // The fraction for itself: the product would not be exact for the last years of all.
      const seconds = Math.floor(value);
      return new Date(seconds * 1000 + Math.round((value - seconds) * 1000));
    }
    if (tag === tags.set && Array.isArray(value)) return new Set<unknown>(value);
    if (value instanceof Uint8Array) {
      if (tag === tags.positive) return this.#bignum(value);
      if (tag === tags.negative) return -1n - this.#bignum(value);
      const type = viewTypes.get(tag);
      if (!type) return value;
      if (value.length % type.BYTES_PER_ELEMENT) this.#fail("an array with half an element");
      return new type(value.buffer as ArrayBuffer);
    }
    if (tag <= tags.negative && tag > 0) this.#fail("a tag on a value of another type");
    return value;
  }
  #bignum(bytes: Uint8Array): bigint {
    if (bytes.length > bigintBytesMax) this.#fail("too large an integer");
    return bytes.length === 0 ? 0n : BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
  }

  #array(count: number | bigint | null, depth: number): unknown[] {
    this.#enter(count, depth);
    const array: unknown[] = [];
    for (let i = 0; count === null || i < count; ++i) {
      const each = this.#entry(count, depth);
      if (each === stop) break;
      array.push(each);
    }
    return array;
  }
  #object(count: number | bigint | null, depth: number): Record<string, unknown> {
    this.#enter(count, depth);
    const object: Record<string, unknown> = {};
    for (let i = 0; count === null || i < count; ++i) {
      const key = this.#entry(count, depth);
      if (key === stop) break;
      setField(object, typeof key === "string" ? key : String(key), this.#value(depth + 1));
    }
    return object;
  }
  #map(depth: number): Map<unknown, unknown> {
    const first = this.#byte();
    if (first >> 5 !== 5) this.#fail("a tag on a value of another type");
    const count = (first & 31) === 31 ? null : this.#argument(first & 31);
    this.#enter(count, depth);
    const map = new Map<unknown, unknown>();
    for (let i = 0; count === null || i < count; ++i) {
      const key = this.#entry(count, depth);
      if (key === stop) break;
      map.set(key, this.#value(depth + 1));
    }
    return map;
  }
  #enter(count: number | bigint | null, depth: number): void {
    if (depth >= depthMax) this.#fail("nested too deep");
    // Each entry has a byte at least.
    if (count !== null && count > this.#bytes.length - this.#at) this.#fail("it ends too early");
  }
  #entry(count: number | bigint | null, depth: number): unknown {
    return count === null ? this.#item(depth + 1) : this.#value(depth + 1);
  }

  /** From `start` to where it stands now. */
  #text(start: number): string {
    if (this.#at - start <= shortText) {
      let text = "";
      let i = start;
      for (; i < this.#at; ++i) {
        const byte = this.#bytes[i]!;
        if (byte >= 0x80) break;
        text += String.fromCharCode(byte);
      }
      if (i === this.#at) return text;
    }
    const { buffer, byteOffset } = this.#bytes;
    const bytes = Buffer.from(buffer as ArrayBuffer, byteOffset + start, this.#at - start);
    return isUtf8(bytes) ? bytes.toString("utf8") : this.#fail("text that is no UTF-8");
  }
  /** A string in pieces, each of which has a length. */
  #pieces(major: number): Uint8Array | string {
    const bytes: Uint8Array[] = [];
    let text = "";
    for (let first = this.#byte(); first !== 0xff; first = this.#byte()) {
      if (first >> 5 !== major || (first & 31) === 31) this.#fail("a piece of another type");
      const start = this.#take(Number(this.#argument(first & 31)));
      if (major === 3) text += this.#text(start);
      else bytes.push(this.#bytes.subarray(start, this.#at));
    }
    return major === 3 ? text : new Uint8Array(Buffer.concat(bytes));
  }
}

function negative(count: number | bigint): number | bigint {
  if (typeof count === "number" && count < Number.MAX_SAFE_INTEGER) return -1 - count;
  return -1n - BigInt(count);
}

/** IEEE 754 binary16. */
function halfOf(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const sign = bits & 0x8000 ? -1 : 1;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
}

/** As `object[key] = value`, but "__proto__" is a key like others. */
export function setField(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__") {
    Object.defineProperty(object, key, {
      value,
      writable: true,
      enumerable: true,
      configurable: true,
    });
  } else {
    object[key] = value;
  }
}
