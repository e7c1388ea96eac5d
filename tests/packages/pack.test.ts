// The packages as they are published: installed from tarballs in an empty folder, and used there.

import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { afterAll, beforeAll, expect, inject, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const run = promisify(execFile);

let folder: string;
let tarballs: Record<string, string>;

beforeAll(async () => {
  // Not $TMPDIR, which may be inside the repository: from there Node.js would find what is
  // installed here.
  folder = await mkdtemp("/tmp/skep-pack-");
  const sources = [
    "packages/client",
    "packages/react",
    ...["react", "react-dom", "scheduler", "ws"].map((each) => `node_modules/${each}`),
  ];
  const args = ["pack", "--silent", "--ignore-scripts", "--pack-destination", folder];
  await run("npm", [...args, ...sources.map((each) => `./${each}`)], { cwd: root });
  tarballs = Object.fromEntries(
    (await readdir(folder)).map((each) => [each.replace(/-\d.*$/, ""), join(folder, each)]),
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** As a person does it who has never seen the repository; from the tarballs alone. */
async function install(...names: string[]): Promise<void> {
  await writeFile(join(folder, "package.json"), '{"private": true, "type": "module"}');
  const files = names.map((name) => tarballs[name] ?? `no ${name}`);
  await run(
    "npm",
    ["install", "--offline", "--no-audit", "--no-fund", "--ignore-scripts", ...files],
    { cwd: folder },
  );
}
async function node(name: string, program: string): Promise<string> {
  await writeFile(join(folder, name), program);
  return (await run(process.execPath, [name, inject("serverUrl")], { cwd: folder })).stdout;
}

test("tarballs have what is needed, and nothing else", async () => {
  for (const name of ["skep-client", "skep-react"]) {
    const { stdout } = await run("tar", ["-tzf", tarballs[name]!]);
    const files = stdout.trim().split("\n");
    for (const file of files)
      expect(file).toMatch(
        /^package\/(package\.json|README\.md|LICENSE|(src|dist)\/\w+\.(ts|tsx|js|d\.ts|d\.ts\.map|js\.map))$/,
      );
    expect(files).toEqual(
      expect.arrayContaining([
        "package/package.json",
        "package/LICENSE",
        "package/README.md",
        "package/dist/index.js",
        "package/dist/index.d.ts",
      ]),
    );
  }
});

test("the client works alone; for connections it says what it lacks", async () => {
  await install("skep-client");
  const output = await node(
    "alone.js",
    `import { ActorError, createClient } from "@skep/client";
     const client = createClient(process.argv[2]);
     const values = client.values.getOrCreate("alone");
     console.log(await values.add(9007199254740993n, 1));
     const outcome = await values.connect().add(1, 1).catch((error) => error);
     console.log(outcome === 2 || (outcome instanceof ActorError && outcome.code === "no_websocket"));
     client.dispose();`,
  );
  expect(output).toBe("9007199254740994n\ntrue\n");
});

test("both packages work together with React, also on a server", async () => {
  await install("skep-client", "skep-react", "react", "react-dom", "scheduler", "ws");
  const output = await node(
    "both.js",
    `import { createClient } from "@skep/client";
     import { createSkep } from "@skep/react";
     import { createElement } from "react";
     import { renderToString } from "react-dom/server";
     const client = createClient(process.argv[2]);
     const room = client.chat.getOrCreate("pack").connect();
     room.on("message", ({ text }) => console.log("event", text));
     console.log((await room.send("ada", "hello")).sender);
     const { useActor } = createSkep(client);
     const Room = () => createElement("b", null, useActor({ name: "chat", key: "pack" }).connStatus);
     console.log(renderToString(createElement(Room)));
     room.dispose();`,
  );
  expect(output).toBe("event hello\nada\n<b>idle</b>\n");
});

test.each([
  ["NodeNext", "NodeNext"],
  ["ESNext", "Bundler"],
])(
  "types are found with module %s and resolution %s, and errors are found by them",
  async (module, moduleResolution) => {
    const program = (action: string): string =>
      `import { createClient, type RegistryTypes } from "@skep/client";
     import { createSkep } from "@skep/react";
     type Registry = RegistryTypes<{ counter: { actions: { increment(by: number): number } } }>;
     const client = createClient<Registry>("http://localhost:6420");
     export const value: Promise<number> = client.counter.get("k").${action}(5);
     export const { useActor } = createSkep(client);
     export const hook = () => useActor({ name: "counter", key: "k" }).connection?.${action}(5);`;
    const compile = async (action: string): Promise<string> => {
      await writeFile(join(folder, "typed.ts"), program(action));
      const options = [
        "--strict",
        "--noEmit",
        "--types",
        "",
        "--lib",
        "ES2022,DOM,DOM.Iterable",
        "--module",
        module,
        "--moduleResolution",
        moduleResolution,
      ];
      const compiler = join(root, "node_modules/typescript/bin/tsc");
      return run(process.execPath, [compiler, ...options, "typed.ts"], { cwd: folder }).then(
        () => "",
        (error: { stdout: string }) => error.stdout,
      );
    };
    expect(await compile("increment")).toBe("");
    expect(
      (await compile("incremnt")).match(/error TS2551: Property 'incremnt' does not exist/g),
    ).toHaveLength(2);
  },
);
