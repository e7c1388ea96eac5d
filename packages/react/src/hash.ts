/** A text that is the same for equal values, whatever the order of their fields. */
export function hashOf(value: unknown): string {
  return JSON.stringify(value, function (this: Record<string, unknown>, key, given: unknown) {
    const raw = this[key];
    if (typeof given === "bigint") return { "~bigint": String(given) };
    if (ArrayBuffer.isView(raw)) {
      return { "~bytes": [...new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength)] };
    }
    if (typeof given !== "object" || given === null || Array.isArray(given)) return given;
    return Object.fromEntries(Object.entries(given).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
