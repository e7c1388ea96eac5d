// The package as it is published: installed from a tarball in an empty folder, and used there.

import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { afterAll, beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../../..", import.meta.url));
const run = promisify(execFile);

let folder: string;

beforeAll(async () => {
  // Not $TMPDIR, which may be inside the repository: from there Node.js would find what is
  // installed here.
  folder = await mkdtemp("/tmp/skep-pack-");
  const args = ["pack", "--silent", "--ignore-scripts", "--pack-destination", folder];
  const sources = ["packages/client", "packages/skep", "node_modules/@types/node"];
  const needed = ["node_modules/undici-types"];
  await run("npm", [...args, ...[...sources, ...needed].map((each) => `./${each}`)], { cwd: root });
  const tarballs = (await readdir(folder)).map((each) => join(folder, each));
  await writeFile(join(folder, "package.json"), '{"private": true, "type": "module"}');
  const options = ["--offline", "--no-audit", "--no-fund", "--ignore-scripts", "--omit=peer"];
  await run("npm", ["install", ...options, ...tarballs], { cwd: folder });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const program = (action: string): string => `
  import { createClient } from "@skep/client";
  import { actor, event, setup } from "skep";

  const counter = actor({
    state: { count: 0 },
    events: { changed: event<number>() },
    actions: {
      add: async (c, by: number) => {
        c.state.count += by;
        c.broadcast("changed", c.state.count);
        const [row] = await c.db.execute<{ twice: number }>("SELECT ? * 2 AS twice", c.state.count);
        return row!.twice;
      },
    },
  });
  const registry = setup({ use: { counter } });
  const server = await registry.start({ store: "memory:", listen: 0, logLevel: "error" });
  const client = createClient<typeof registry>(server.url);
  const twice: number = await client.counter.getOrCreate("a").${action}(21);
  console.log(twice);
  await server.stop();`;

const compile = (file: string, moduleResolution: string, module: string): Promise<string> => {
  const options = ["--strict", "--target", "ES2022", "--lib", "ES2022,DOM,DOM.Iterable"];
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const args = [...options, "--module", module, "--moduleResolution", moduleResolution, file];
  return run(process.execPath, [compiler, ...args], { cwd: folder }).then(
    () => "",
    (error: { stdout: string }) => error.stdout,
  );
};

test("a program is compiled and runs, with nothing else than the packages and the addon", async () => {
  await writeFile(join(folder, "program.ts"), program("add"));
  expect(await compile("program.ts", "NodeNext", "NodeNext")).toBe("");
  const { stdout } = await run(process.execPath, ["program.js"], { cwd: folder });
  expect(stdout).toBe("42\n");
});

test("a wrong program does not compile, whatever the resolution of modules", async () => {
  await writeFile(join(folder, "wrong.ts"), program("ad"));
  for (const [resolution, module] of [
    ["NodeNext", "NodeNext"],
    ["Bundler", "ESNext"],
  ] as const) {
    const errors = await compile("wrong.ts", resolution, module);
    expect(errors.match(/error TS\d+: .*/g)).toEqual([
      expect.stringMatching("Property 'ad' does not exist"),
    ]);
  }
});
