// What the package promises to frameworks that render on a server.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

const entry = fileURLToPath(new URL("../dist/index.js", import.meta.url));

test("the module that is imported says that it is for client components, before anything else", () => {
  expect(readFileSync(entry, "utf8")).toMatch(/^"use client";\n/);
});

test("the module loads where there is neither window nor WebSocket, opens nothing and lets the process end", () => {
  const program = `
    delete globalThis.WebSocket;
    const { createSkep } = await import(${JSON.stringify(entry)});
    createSkep("http://localhost:1");
    console.log(typeof window, typeof document);`;
  const output = execFileSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8", timeout: 30_000 });
  expect(output).toBe("undefined undefined\n");
});
