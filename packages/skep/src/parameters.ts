// Parameters of statements: as the addon takes them.

import type { SqlValue } from "./native.ts";

/** What a statement's parameter may be. Views of buffers are blobs. */
export type SqlParameter = SqlValue | boolean | undefined | ArrayBufferView;

/** Parameters by name, with or without the prefix that the statement has. */
export type NamedParameters = { readonly [name: string]: SqlParameter };

/** One object: by name. Anything else: by position. */
export function toNativeParameters(
  sql: string,
  args: readonly unknown[],
): readonly unknown[] | Record<string, unknown> | undefined {
  const { length } = args;
  if (length === 0) return undefined;
  for (let i = 0; i < length; ++i) {
    const each = args[i];
    if (typeof each === "object" && each !== null && !(each instanceof Uint8Array)) {
      return length === 1 && isPlain(each) ? named(sql, each) : args.map(toBlob);
    }
  }
  return args;
}

function isPlain(value: object): value is NamedParameters {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function toBlob(value: unknown): unknown {
  return ArrayBuffer.isView(value)
    ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    : value;
}

/** Those that the statement has; each needs a value, were it null. */
function named(sql: string, given: NamedParameters): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const name of namesIn(sql)) {
    const bare = name.slice(1);
    const key = Object.hasOwn(given, bare) ? bare : name;
    if (!Object.hasOwn(given, key)) {
      throw new TypeError(`no value is given for the parameter ${name} of: ${sql}`);
    }
    values[name] = toBlob(given[key]);
  }
  return values;
}

const namesMax = 1_000;
const known = new Map<string, readonly string[]>();

function namesIn(sql: string): readonly string[] {
  let names = known.get(sql);
  if (!names) {
    names = scan(sql);
    // Texts that are never the same twice must not gather here.
    if (known.size >= namesMax) known.clear();
    known.set(sql, names);
  }
  return names;
}

/** Strings, quoted names and comments are stepped over; group 1 is a parameter. */
const tokens =
  /'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|\/\*[^]*?\*\/|([:@$][\p{L}_][\p{L}\p{N}_$]*)/gu;

function scan(sql: string): readonly string[] {
  const names = new Set<string>();
  for (const [, name] of sql.matchAll(tokens)) if (name) names.add(name);
  return [...names];
}
