// CBOR (RFC 8949), as much of it as values of JSON, bytes and integers of 64 bits need.
//
//   number      an integer while it is one and at most 2^53 - 1, else a double; -0 is a double
//   bigint      an integer, from -2^63 to 2^64 - 1
//   Uint8Array  a byte string; so are other views, and ArrayBuffer
//   undefined   null; in an object, nothing
//   toJSON()    what it gives, as in JSON: a Date is its ISO text
//
// Read are all forms, also of indefinite length. Integers beyond 2^53 - 1 become bigint; tags are passed over, keys
// become text.

const depthMax = 200;
const textEncoder = new TextEncoder();
const textDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function encodeCbor(value: unknown): Uint8Array<ArrayBuffer> {
  let bytes = new Uint8Array(256);
  let view = new DataView(bytes.buffer);
  let length = 0;

  /** Makes room, and gives the place where it is. `bytes` and `view` are others afterwards. */
  function take(count: number): number {
    const start = length;
    length += count;
    if (length > bytes.length) {
      const larger = new Uint8Array(Math.max(length, bytes.length * 2));
      larger.set(bytes);
      bytes = larger;
      view = new DataView(bytes.buffer);
    }
    return start;
  }
  function byte(value: number): void {
    const at = take(1);
    bytes[at] = value;
  }
  function head(major: number, count: number): void {
    const first = major << 5;
    if (count < 24) return byte(first | count);
    const size = count < 0x100 ? 1 : count < 0x10000 ? 2 : count < 0x100000000 ? 4 : 8;
    byte(first | (24 + Math.log2(size)));
    const at = take(size);
    if (size === 1) view.setUint8(at, count);
    else if (size === 2) view.setUint16(at, count);
    else if (size === 4) view.setUint32(at, count);
    else view.setBigUint64(at, BigInt(count));
  }
  function number(value: number): void {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
      return value < 0 ? head(1, -1 - value) : head(0, value);
    }
    byte(0xfb);
    const at = take(8);
    view.setFloat64(at, value);
  }
  function bigint(value: bigint): void {
    const major = value < 0n ? 1 : 0;
    const count = major ? -1n - value : value;
    if (count >> (major ? 63n : 64n)) throw new RangeError("an integer of more than 64 bits cannot be sent");
    if (count <= 0x1fffffffffffffn) return head(major, Number(count));
    byte((major << 5) | 27);
    const at = take(8);
    view.setBigUint64(at, count);
  }
  function byteString(major: number, value: Uint8Array): void {
    head(major, value.length);
    const start = take(value.length);
    bytes.set(value, start);
  }
  function object(value: object, depth: number): void {
    if (depth >= depthMax) throw new RangeError("a value that is nested too deep, or that holds itself, cannot be sent");
    const asBytes = bytesOf(value);
    if (asBytes) return byteString(2, asBytes);
    const { toJSON } = value as { toJSON?: unknown };
    if (typeof toJSON === "function") return item(toJSON.call(value), depth + 1);
    if (Array.isArray(value)) {
      head(4, value.length);
      // Not forEach(), which passes over holes.
      for (let i = 0; i < value.length; ++i) item(isNothing(value[i]) ? null : value[i], depth + 1);
      return;
    }
    refuseCollections(value);
    const entries = Object.entries(value).filter(([, each]) => !isNothing(each));
    head(5, entries.length);
    for (const [key, each] of entries) {
      byteString(3, textEncoder.encode(key));
      item(each, depth + 1);
    }
  }
  function item(value: unknown, depth: number): void {
    if (typeof value === "string") return byteString(3, textEncoder.encode(value));
    if (typeof value === "number") return number(value);
    if (typeof value === "bigint") return bigint(value);
    if (typeof value === "object" && value) return object(value, depth);
    if (typeof value === "boolean") {
      byte(value ? 0xf5 : 0xf4);
    } else if (value == null) {
      byte(0xf6);
    } else {
      throw new TypeError(`a ${typeof value} cannot be sent`);
    }
  }

  item(value, 0);
  return bytes.slice(0, length);
}

/** The bytes of a view or a buffer, without copying; null for everything else. */
export function bytesOf(value: unknown): Uint8Array | null {
  if (value instanceof Uint8Array) return value;
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
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
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = Symbol();
  let at = 0;

  function fail(what: string): never {
    throw new SyntaxError(`this is no CBOR: ${what} at byte ${at}`);
  }
  function take(count: number): number {
    if (count > bytes.length - at) fail("it ends too early");
    const start = at;
    at += count;
    return start;
  }
  /** The number that follows a head's first byte. */
  function argument(info: number): number | bigint {
    if (info < 24) return info;
    if (info === 24) return view.getUint8(take(1));
    if (info === 25) return view.getUint16(take(2));
    if (info === 26) return view.getUint32(take(4));
    if (info !== 27) return fail("a reserved length");
    const value = view.getBigUint64(take(8));
    return value <= 0x1fffffffffffffn ? Number(value) : value;
  }
  function negative(value: number | bigint): number | bigint {
    const result = -1n - BigInt(value);
    return result >= -0x1fffffffffffffn ? Number(result) : result;
  }
  function half(): number {
    const bits = view.getUint16(take(2));
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    const size =
      exponent === 31
        ? fraction
          ? NaN
          : Infinity
        : exponent
          ? (1 + fraction / 1024) * 2 ** (exponent - 15)
          : fraction * 2 ** -24;
    return bits & 0x8000 ? -size : size;
  }
  function simple(info: number): unknown {
    if (info === 20 || info === 21) return info === 21;
    if (info === 22) return null;
    if (info === 23) return undefined;
    if (info === 25) return half();
    if (info === 26) return view.getFloat32(take(4));
    if (info === 27) return view.getFloat64(take(8));
    return info === 31 ? end : fail("an unknown simple value");
  }
  function chunk(major: number, count: number | bigint): Uint8Array | string {
    const start = take(Number(count));
    if (major === 2) return bytes.slice(start, at);
    try {
      return textDecoder.decode(bytes.subarray(start, at));
    } catch {
      return fail("text that is no UTF-8");
    }
  }
  /** A string in pieces, each of which has a length. */
  function chunks(major: number): Uint8Array | string {
    const pieces: (Uint8Array | string)[] = [];
    for (;;) {
      const first = view.getUint8(take(1));
      if (first === 0xff) break;
      if (first >> 5 !== major || (first & 31) === 31) fail("a piece of another type");
      pieces.push(chunk(major, argument(first & 31)));
    }
    if (major === 3) return pieces.join("");
    const parts = pieces as Uint8Array[];
    const all = new Uint8Array(parts.reduce((sum, each) => sum + each.length, 0));
    let length = 0;
    for (const each of parts) {
      all.set(each, length);
      length += each.length;
    }
    return all;
  }
  /** Calls `each` as often as there are entries: `count` of them, or until the end of an indefinite length. */
  function entries(count: number | bigint | null, depth: number, each: (first: unknown) => void): void {
    if (depth >= depthMax) fail("nested too deep");
    if (count !== null && count > bytes.length - at) fail("it ends too early");
    for (let i = 0; count === null || i < count; ++i) {
      const first = item(depth + 1);
      if (first === end) {
        if (count !== null) fail("an end where none can be");
        return;
      }
      each(first);
    }
  }
  function value(depth: number): unknown {
    const result = item(depth);
    return result === end ? fail("an end where none can be") : result;
  }
  function item(depth: number): unknown {
    const first = view.getUint8(take(1));
    const major = first >> 5;
    const info = first & 31;
    if (major === 7) return simple(info);
    const isIndefinite = info === 31 && major >= 2 && major <= 5;
    const count = isIndefinite ? null : argument(info);
    if (major === 4) {
      const array: unknown[] = [];
      entries(count, depth, (each) => array.push(each));
      return array;
    }
    if (major === 5) {
      const object: Record<string, unknown> = {};
      entries(count, depth, (key) => setField(object, String(key), value(depth + 1)));
      return object;
    }
    if (count === null) return chunks(major);
    if (major === 0) return count;
    if (major === 1) return negative(count);
    if (major !== 6) return chunk(major, count);
    // A tag: what it says about the value is passed over.
    return depth < depthMax ? value(depth + 1) : fail("nested too deep");
  }

  const result = value(0);
  if (at < bytes.length) fail("something follows the value");
  return result;
}

/** As `object[key] = value`, but "__proto__" is a key like others. */
function setField(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__") {
    Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
  } else {
    object[key] = value;
  }
}
