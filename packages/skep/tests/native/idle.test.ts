// A process with actors that do nothing does nothing.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { createClient, type RegistryTypes } from "@skep/client";
import { expect, test } from "vitest";

const program = fileURLToPath(new URL("idle.mjs", import.meta.url));

type Program = RegistryTypes<{ room: { actions: { work(): void } } }>;

test("actors that are awake and idle have no timer in JavaScript, and none of it runs", async () => {
  // Longer than anything would wait that looks now and then.
  const child = spawn(process.execPath, [program, "2500"], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const client = createClient<Program>((await lines.next()).value as string);
  const all = Array.from({ length: 50 }, (_, i) => client.room.getOrCreate(`k${i}`));
  await Promise.all(all.map((one) => one.work()));
  child.stdin.write("go on");
  expect(JSON.parse((await lines.next()).value as string)).toEqual({ timers: [], ran: [] });
  client.dispose();
});
