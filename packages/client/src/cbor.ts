// CBOR (RFC 8949), as much of it as values of JSON, bytes and integers of 64 bits need.
//
//   number      an integer while it is one and at most 2^53 - 1, else a double; -0 is a double
//   bigint      an integer, from -2^63 to 2^64 - 1
//   Uint8Array  a byte string; so are other views, and ArrayBuffer
//   undefined   null; in an object, nothing
//   toJSON()    what it gives, as in JSON: a Date is its ISO text
//
// Read are all forms, also of indefinite length. Integers beyond 2^53 - 1 become bigint; tags are
// passed over, keys become text.

const depthMax = 200;
const textEncoder = new TextEncoder();
const textDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** Texts up to this length are mostly ASCII, and faster without the two above. */
const shortText = 48;
const exactMax = 0x1fffffffffffffn;

/** Throws a TypeError or a RangeError for what cannot be sent. */
export function encodeCbor(value: unknown): Uint8Array<ArrayBuffer> {
  // A toJSON() may encode something itself.
  const writer = spareWriter ?? new Writer();
  spareWriter = null;
  try {
    writer.item(value, 0);
    return writer.take();
  } finally {
    if (writer.isSmall) spareWriter = writer.clear();
  }
}

class Writer {
  #bytes = new Uint8Array(4096);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  get isSmall(): boolean {
    return this.#bytes.length <= 65_536;
  }
  clear(): this {
    this.#length = 0;
    return this;
  }
  take(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  item(value: unknown, depth: number): void {
    if (typeof value === "string") return this.#text(value);
    if (typeof value === "number") return this.#number(value);
    if (typeof value === "bigint") return this.#bigint(value);
    if (typeof value === "object" && value) return this.#object(value, depth);
    if (typeof value === "boolean") return this.#byte(value ? 0xf5 : 0xf4);
    if (value == null) return this.#byte(0xf6);
    throw new TypeError(`a ${typeof value} cannot be sent`);
  }

  /** Makes room, and gives the place where it is. `#bytes` and `#view` are others afterwards. */
  #reserve(count: number): number {
    const start = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return start;
  }
  #byte(value: number): void {
    const at = this.#reserve(1);
    this.#bytes[at] = value;
  }
  #head(major: number, count: number): void {
    const first = major << 5;
    if (count < 24) return this.#byte(first | count);
    const log = count < 0x100 ? 0 : count < 0x10000 ? 1 : count < 0x100000000 ? 2 : 3;
    this.#byte(first | (24 + log));
    const at = this.#reserve(1 << log);
    if (log === 0) this.#view.setUint8(at, count);
    else if (log === 1) this.#view.setUint16(at, count);
    else if (log === 2) this.#view.setUint32(at, count);
    else this.#view.setBigUint64(at, BigInt(count));
  }
  #number(value: number): void {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
      return value < 0 ? this.#head(1, -1 - value) : this.#head(0, value);
    }
    this.#byte(0xfb);
    const at = this.#reserve(8);
    this.#view.setFloat64(at, value);
  }
  #bigint(value: bigint): void {
    const major = value < 0n ? 1 : 0;
    const count = major ? -1n - value : value;
    if (count >> (major ? 63n : 64n)) {
      throw new RangeError("an integer of more than 64 bits cannot be sent");
    }
    if (count <= exactMax) return this.#head(major, Number(count));
    this.#byte((major << 5) | 27);
    const at = this.#reserve(8);
    this.#view.setBigUint64(at, count);
  }
  #text(value: string): void {
    const start = this.#length;
    if (value.length <= shortText && this.#ascii(value)) return;
    this.#length = start;
    this.#string(3, textEncoder.encode(value));
  }
  /** Whether it was; nothing else is written whole. */
  #ascii(value: string): boolean {
    this.#head(3, value.length);
    const at = this.#reserve(value.length);
    for (let i = 0; i < value.length; ++i) {
      const unit = value.charCodeAt(i);
      if (unit >= 0x80) return false;
      this.#bytes[at + i] = unit;
    }
    return true;
  }
  #string(major: number, value: Uint8Array): void {
    this.#head(major, value.length);
    const at = this.#reserve(value.length);
    this.#bytes.set(value, at);
  }
  #object(value: object, depth: number): void {
    if (depth >= depthMax) {
      throw new RangeError("a value that is nested too deep, or that holds itself, cannot be sent");
    }
    if (Array.isArray(value)) {
      this.#head(4, value.length);
      // Not forEach(), which passes over holes.
      for (let i = 0; i < value.length; ++i)
        this.item(isNothing(value[i]) ? null : value[i], depth + 1);
      return;
    }
    const bytes = bytesOf(value);
    if (bytes) return this.#string(2, bytes);
    const { toJSON } = value as { toJSON?: unknown };
    if (typeof toJSON === "function") return this.item(toJSON.call(value), depth + 1);
    refuseCollections(value);
    const fields = value as Record<string, unknown>;
    const keys = Object.keys(fields).filter((key) => !isNothing(fields[key]));
    this.#head(5, keys.length);
    for (const key of keys) {
      this.#text(key);
      this.item(fields[key], depth + 1);
    }
  }
}

/** Not in use; keeps its buffer from message to message. */
let spareWriter: Writer | null = null;

/** The bytes of a view or a buffer, without copying; null for everything else. */
export function bytesOf(value: unknown): Uint8Array | null {
  if (value instanceof Uint8Array) return value;
  if (ArrayBuffer.isView(value))
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return value instanceof ArrayBuffer ? new Uint8Array(value) : null;
}

/** What objects leave out, and arrays have null for. */
export function isNothing(value: unknown): boolean {
  return value === undefined || typeof value === "function" || typeof value === "symbol";
}

/** JSON would make `{}` of them. */
export function refuseCollections(value: unknown): void {
  if (value instanceof Map || value instanceof Set) {
    throw new TypeError("a Map or a Set cannot be sent: make an array or an object of it");
  }
}

/** Throws a SyntaxError for what is no CBOR, or more than one value. */
export function decodeCbor(bytes: Uint8Array): unknown {
  return new Reader(bytes).only();
}

/** What stands for the end of an indefinite length. */
const end = Symbol();

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
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
    return this.#view.getUint8(this.#take(1));
  }
  #value(depth: number): unknown {
    const result = this.#item(depth);
    return result === end ? this.#fail("an end where none can be") : result;
  }
  #item(depth: number): unknown {
    const first = this.#byte();
    const major = first >> 5;
    const info = first & 31;
    if (major === 7) return this.#simple(info);
    const isIndefinite = info === 31 && major >= 2 && major <= 5;
    const count = isIndefinite ? null : this.#argument(info);
    if (major === 4) return this.#array(count, depth);
    if (major === 5) return this.#map(count, depth);
    if (count === null) return this.#pieces(major);
    if (major === 0) return count;
    if (major === 1) return negative(count);
    if (major !== 6) return this.#piece(major, count);
    // A tag: what it says about the value is passed over.
    return depth < depthMax ? this.#value(depth + 1) : this.#fail("nested too deep");
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
    return info === 31 ? end : this.#fail("an unknown simple value");
  }
  #array(count: number | bigint | null, depth: number): unknown[] {
    this.#enter(count, depth);
    const array: unknown[] = [];
    for (let i = 0; count === null || i < count; ++i) {
      const each = this.#entry(count, depth);
      if (each === end) break;
      array.push(each);
    }
    return array;
  }
  #map(count: number | bigint | null, depth: number): Record<string, unknown> {
    this.#enter(count, depth);
    const object: Record<string, unknown> = {};
    for (let i = 0; count === null || i < count; ++i) {
      const key = this.#entry(count, depth);
      if (key === end) break;
      setField(object, String(key), this.#value(depth + 1));
    }
    return object;
  }
  #enter(count: number | bigint | null, depth: number): void {
    if (depth >= depthMax) this.#fail("nested too deep");
    // Each entry has a byte at least.
    if (count !== null && count > this.#bytes.length - this.#at) this.#fail("it ends too early");
  }
  #entry(count: number | bigint | null, depth: number): unknown {
    return count === null ? this.#item(depth + 1) : this.#value(depth + 1);
  }

  #piece(major: number, count: number | bigint): Uint8Array | string {
    const start = this.#take(Number(count));
    if (major === 2) return this.#bytes.slice(start, this.#at);
    return this.#text(start);
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
    try {
      return textDecoder.decode(this.#bytes.subarray(start, this.#at));
    } catch {
      return this.#fail("text that is no UTF-8");
    }
  }
  /** A string in pieces, each of which has a length. */
  #pieces(major: number): Uint8Array | string {
    const pieces: (Uint8Array | string)[] = [];
    for (let first = this.#byte(); first !== 0xff; first = this.#byte()) {
      if (first >> 5 !== major || (first & 31) === 31) this.#fail("a piece of another type");
      pieces.push(this.#piece(major, this.#argument(first & 31)));
    }
    return major === 3 ? pieces.join("") : joined(pieces as Uint8Array[]);
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

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, each) => sum + each.length, 0));
  let length = 0;
  for (const each of parts) {
    all.set(each, length);
    length += each.length;
  }
  return all;
}

/** As `object[key] = value`, but "__proto__" is a key like others. */
function setField(object: Record<string, unknown>, key: string, value: unknown): void {
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
