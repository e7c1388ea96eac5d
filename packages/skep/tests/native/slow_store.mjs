// A thread of its own that stands between a store and its server, and can keep the answers back. What it is told, and what
// it tells, is in memory that it shares with the thread of the actors: which may be blocked.

import { connect, createServer } from "node:net";
import { parentPort, workerData } from "node:worker_threads";

const { from, to, shared } = workerData;
const state = new Int32Array(shared);
/** Indexes of `state`: as in slow_store.ts. */
const [MODE, TICKS, HELD, TICKS_MEANWHILE] = [0, 1, 2, 3];
/** Values of MODE. */
const [OPEN, UNTIL_TICKS, FOR_A_WHILE] = [0, 1, 2];

const pause = () => new Promise((resolve) => setTimeout(resolve, 2));

/** While answers are kept back: until it is over. */
let holding;

/** Keeps answers back, as it was told. */
async function hold(mode) {
  const before = Atomics.load(state, TICKS);
  const ticks = () => Atomics.load(state, TICKS) - before;
  if (mode === UNTIL_TICKS) {
    while (ticks() < 5) await pause();
  } else if (mode === FOR_A_WHILE) {
    for (let i = 0; i < 50; ++i) await pause();
  }
  Atomics.add(state, HELD, 1);
  Atomics.add(state, TICKS_MEANWHILE, ticks());
  // Once is enough.
  Atomics.store(state, MODE, OPEN);
  holding = undefined;
}

const server = createServer((near) => {
  const far = connect(to);
  const end = () => (near.destroy(), far.destroy());
  near.on("error", end).on("close", end).on("data", (bytes) => far.write(bytes));
  far.on("error", end).on("close", end);
  let last = Promise.resolve();
  far.on("data", (bytes) => {
    const mode = Atomics.load(state, MODE);
    if (mode !== OPEN) holding ??= hold(mode);
    const held = holding;
    if (held) last = last.then(() => held);
    last = last.then(() => void near.write(bytes));
  });
});
server.listen(from, () => parentPort.postMessage("ready"));
