// Random numbers that can be had again: SKEP_TEST_SEED replays a run whose test named its seed.

export const seed: number = Number(
  process.env["SKEP_TEST_SEED"] ?? Math.floor(Math.random() * 2 ** 32),
);

/** mulberry32: a number from 0 to below 1 with each call. */
export function randomOf(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
