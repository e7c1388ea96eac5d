// What the guide shows compiles.

import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const run = promisify(execFile);

/** What the pages take for granted. */
const server = `
  import type { EventType } from "@skep/client";
  export interface Message { sender: string; text: string }
  export interface Registry {
    use: {
      chatRoom: {
        actions: {
          send: (c: object, sender: string, text: string) => Promise<Message>;
          history: (c: object) => Promise<Message[]>;
        };
        events: { newMessage: EventType<Message> };
        "~types"?: { params: { name: string }; input: { topic: string } };
      };
    };
  }
  export declare const registry: Registry;`;
const known = `
  import type { Client } from "@skep/client";
  import type { Message, Registry } from "./server.ts";
  import type { createClient as create } from "@skep/client";
  declare global {
    const createClient: typeof create;
    const registry: import("./server.ts").Registry;
    const client: Client<Registry>;
    const room: ReturnType<typeof client.chatRoom.get>;
    const connection: ReturnType<typeof room.connect>;
    function show(text: string): void;
    const createSkep: typeof import("@skep/react").createSkep;
    function setMessages(next: (all: Message[]) => Message[]): void;
    function showAll(messages: Message[]): void;
    function session(): Promise<{ token: string; name: string }>;
  }
  export {};`;

test("every example of the guide compiles", async () => {
  // Inside of the repository, from where the packages are found.
  const folder = resolve(root, process.env["SKEP_BUILD"] ?? "build", "guide-examples");
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  let count = 0;
  const guide = (await readdir(join(root, "docs/guide"), { recursive: true }))
    .filter((page) => page.endsWith(".md"))
    .map((page) => `docs/guide/${page}`);
  const packages = ["client", "react", "skep"].map((each) => `packages/${each}/README.md`);
  for (const [number, page] of ["README.md", ...guide, ...packages].entries()) {
    const text = await readFile(join(root, page), "utf8");
    // An example whose name stands above it is found by others of its page.
    for (const [, name, kind, example] of text.matchAll(
      /(?:^`([\w./]+)`\n\n)?^```(tsx?)\n(.*?)^```$/gms,
    )) {
      ++count;
      const file = join(folder, name ? `page_${number}/${name}` : `example_${count}.${kind}`);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, `${example}\nexport {};\n`);
    }
  }
  expect(count).toBeGreaterThan(20);
  await writeFile(join(folder, "server.ts"), server);
  await writeFile(join(folder, "known.ts"), known);
  const options = {
    extends: join(root, "tsconfig.tests.json"),
    compilerOptions: { module: "ESNext", moduleResolution: "Bundler", noUnusedLocals: false },
    include: ["."],
    exclude: [],
  };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(options));
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const errors = await run(process.execPath, [compiler, "-p", folder]).then(
    () => "",
    (error: { stdout: string }) => error.stdout,
  );
  expect(errors).toBe("");
  await rm(folder, { recursive: true, force: true });
});

test("the examples compile", async () => {
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const errors = await run(process.execPath, [
    compiler,
    "-p",
    join(root, "examples/workspace"),
  ]).then(
    () => "",
    (error: { stdout: string }) => error.stdout,
  );
  expect(errors).toBe("");
});
