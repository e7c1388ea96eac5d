// The addon beside another copy of SQLite, as another package brings one: nothing of the two gets mixed up.

import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { afterAll, beforeAll, expect, test } from "vitest";

/** A process that does not end is a failure too. */
const run = (file: string, args: string[], options: { env?: NodeJS.ProcessEnv } = {}) =>
  promisify(execFile)(file, args, { timeout: 30_000, killSignal: "SIGKILL", ...options });
const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
const program = path("two_sqlites.mjs");
let folder: string;
let addon: string;

/** The version that the C++ build compiles in, as its source says it. */
async function sourceIdOfOurs(): Promise<string> {
  const source = await readFile(path("../../../node_modules/better-sqlite3/deps/sqlite3/sqlite3.h"), "utf8");
  return /SQLITE_SOURCE_ID +"([^"]+)"/.exec(source)![1]!;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "skep-two-"));
  addon = join(folder, "other.node");
  const headers = path("../../../node_modules/node-api-headers/include");
  const options = ["-shared", "-fPIC", "-DNAPI_VERSION=9", `-I${headers}`, "-o", addon];
  await run(process.env["CC"] ?? "cc", [...options, path("other_sqlite.c"), "-l:libsqlite3.so.0"]);
});
afterAll(() => rm(folder, { recursive: true }));

test.each([
  ["before", ["first"]],
  ["behind", ["last"]],
  ["before, with symbols for all", ["first", "globally"]],
  ["behind, with symbols for all", ["last", "globally"]],
])("another addon's SQLite, loaded %s, is another one", async (_how, how) => {
  const { stdout } = await run(process.execPath, [program, addon, ...how]);
  const { skep, other, words } = JSON.parse(stdout) as { skep: string; other: string; words: string[] };
  expect(skep).toBe(await sourceIdOfOurs());
  expect(other).not.toBe(skep);
  expect(words).toEqual(["abc"]);
});

test("a library that is there before everything else does not stand in for it", async () => {
  const env = { ...process.env, LD_PRELOAD: "libsqlite3.so.0" };
  const { stdout } = await run(process.execPath, [program, addon, "last"], { env });
  expect(JSON.parse(stdout)).toMatchObject({ skep: await sourceIdOfOurs(), words: ["abc"] });
});

test("the addon shows nothing but what Node.js looks for", async () => {
  const { stdout } = await run("nm", ["-D", "--defined-only", "--format=posix", process.env["SKEP_NATIVE"]!]);
  const names = stdout.trim().split("\n").map((line) => line.split(" ")[0]!);
  expect(names.filter((each) => !each.startsWith("node_api_module"))).toEqual(["napi_register_module_v1"]);
});
