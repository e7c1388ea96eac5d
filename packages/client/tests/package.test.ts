// What the package promises about itself.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";
import { expect, test } from "vitest";

import { delayMs } from "../src/backoff.ts";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

test("the whole client has at most 12 KB, minified and compressed, and needs nothing else", async () => {
  const { outputFiles, metafile } = await build({
    entryPoints: [path("../dist/index.js")],
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    write: false,
    metafile: true,
  });
  const imports = Object.values(metafile.outputs).flatMap((output) => output.imports);
  expect(imports).toEqual([]);
  expect(gzipSync(outputFiles[0]!.contents, { level: 9 }).length).toBeLessThanOrEqual(12 * 1024);
});

test("the codes after which a call is made again are those of the server", () => {
  const made = execFileSync(process.execPath, [path("../../../scripts/failure_codes.mjs")], {
    encoding: "utf8",
  });
  expect(
    readFileSync(path("../src/failure_codes.ts"), "utf8"),
    "run scripts/failure_codes.mjs",
  ).toBe(made);
});

test("tries come less and less often, and never at the same time", () => {
  const ranges = [0, 1, 2, 6, 7, 8, 100, 10_000].map((tries) => {
    const delays = Array.from({ length: 1_000 }, () => delayMs({}, tries));
    expect(new Set(delays).size).toBeGreaterThan(900);
    return [Math.min(...delays), Math.max(...delays)] as const;
  });
  const longest = [250, 500, 1_000, 16_000, 30_000, 30_000, 30_000, 30_000];
  ranges.forEach(([least, most], i) => {
    expect(least).toBeGreaterThanOrEqual(longest[i]! / 2);
    expect(most).toBeLessThanOrEqual(longest[i]!);
  });
});
