#!/usr/bin/env node
// Writes the codes of src/call/failure_codes.def that the TypeScript client must know to standard output.
//
//   node scripts/failure_codes.mjs > packages/client/src/failure_codes.ts

import { readFileSync } from "node:fs";

const text = readFileSync(new URL("../src/call/failure_codes.def", import.meta.url), "utf8");
const line = /^SKEP_FAILURE\(\w+,\s*"(\w+)",\s*"(\w+)",\s*\d+,\s*(true|false)\)/gm;
const retryable = [...text.matchAll(line)]
  .filter(([, , , isRetryable]) => isRetryable === "true")
  .map(([, group, code]) => `  "${group}.${code}",\n`);

process.stdout.write(`// Made by scripts/failure_codes.mjs of src/call/failure_codes.def.

/** Failures that mean: not done; the same call may succeed later. */
export const retryableCodes: ReadonlySet<string> = new Set([
${retryable.join("")}]);
`);
