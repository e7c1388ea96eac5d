// A process with actors that do nothing does nothing.

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { expect, test } from "vitest";

const program = fileURLToPath(new URL("idle.mjs", import.meta.url));

test("actors that are awake and idle have no timer in JavaScript, and none of it runs", async () => {
  // The connections of the client that woke them are closed within this time or before it; what ticks does so more often.
  const { stdout } = await promisify(execFile)(process.execPath, [program, "2500"]);
  expect(JSON.parse(stdout)).toEqual({ actors: 50, timers: [], ran: [] });
});
