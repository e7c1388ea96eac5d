// Embeddings made here, by a small function that always gives the same: a text's letters, in groups
// of three and as words, are hashed into a vector of a fixed length. Texts that share words, or
// parts of words, are near to each other. A real application asks a model instead; what is stored
// and how it is searched stays as it is.

export const dimensions = 256;

/** Of length 1, so that the cosine of two is the sum of the products. */
export function embed(text: string): Float32Array {
  const vector = new Float32Array(dimensions);
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  for (const word of words) {
    if (common.has(word)) continue;
    add(vector, word, 2);
    const padded = ` ${word} `;
    for (let i = 0; i + 3 <= padded.length; ++i) add(vector, padded.slice(i, i + 3), 1);
  }
  const length = Math.hypot(...vector) || 1;
  return vector.map((each) => each / length);
}

/** As bytes, which sqlite-vec takes for a vector. */
export function toBytes(vector: Float32Array): Uint8Array {
  return new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
}

const common = new Set(
  (
    "a an and are as at be but by do does for from has have how i in is it me my of on or our so " +
    "that the this to was we what when where which who will with you your"
  ).split(" "),
);

/** FNV-1a; one of its bits is the sign, so that what collides does not only add up. */
function add(vector: Float32Array, token: string, weight: number): void {
  let hash = 0x811c9dc5;
  for (let i = 0; i < token.length; ++i) hash = Math.imul(hash ^ token.charCodeAt(i), 0x01000193);
  hash ^= hash >>> 15;
  vector[(hash >>> 1) % dimensions]! += hash & 1 ? weight : -weight;
}
