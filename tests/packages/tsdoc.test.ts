// What the packages export says what it is, where an editor shows it.

import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

const packages = fileURLToPath(new URL("../../packages", import.meta.url));

/** The files of types that a package's users see. */
function entriesOf(name: string): string[] {
  const manifest = JSON.parse(readFileSync(join(packages, name, "package.json"), "utf8")) as {
    exports: Record<string, { types?: string } | string>;
  };
  const all = Object.values(manifest.exports).map((each) => (typeof each === "string" ? undefined : each.types));
  return all.filter((each) => each !== undefined).map((each) => join(packages, name, each));
}

/** What stands in a file of types behind a name: "doc" when it is described, else the line. Null: it is not declared there. */
function declaration(text: string, name: string): string | null {
  const kinds = "const|let|function|class|abstract class|interface|type|enum";
  const pattern = new RegExp(`^(?:export )?(?:declare )?(?:${kinds}) ${name.replace(/\$/g, "\\$")}\\b.*$`, "m");
  const found = pattern.exec(text);
  if (!found) return null;
  return text.slice(0, found.index).trimEnd().endsWith("*/") ? "doc" : found[0];
}

/** Exported names without a description, and where they are. */
function undescribed(file: string, only?: ReadonlySet<string>, seen = new Set<string>()): string[] {
  if (seen.has(file + [...(only ?? [])].join())) return [];
  seen.add(file + [...(only ?? [])].join());
  const text = readFileSync(file, "utf8");
  const missing: string[] = [];
  const check = (name: string): void => {
    const described = declaration(text, name);
    if (described !== "doc") missing.push(`${name} (${file.slice(packages.length + 1)}): ${described ?? "not found"}`);
  };
  const own = text.matchAll(/^export (?:declare )?(?:const|function|class|abstract class|interface|type|enum) ([\w$]+)/gm);
  const names = new Set([...own].map((each) => each[1]!));
  for (const name of names) if (!only || only.has(name)) check(name);
  for (const [, list, from] of text.matchAll(/^export (?:type )?\{([^}]*)\}(?: from "([^"]+)")?/gm)) {
    const pairs = list!.split(",").map((each) => each.trim().replace(/^type /, "").split(" as "));
    const wanted = pairs.filter(([name, as]) => name && (!only || only.has(as ?? name))).map(([name]) => name!);
    if (!from) wanted.filter((name) => !names.has(name)).forEach(check);
    // Those of other packages are described there.
    else if (from.startsWith(".")) missing.push(...undescribed(typesOf(file, from), new Set(wanted), seen));
  }
  for (const [, from] of text.matchAll(/^export \* from "(\.[^"]+)"/gm)) missing.push(...undescribed(typesOf(file, from!), only, seen));
  return missing;
}

function typesOf(file: string, from: string): string {
  const found = join(dirname(file), from.replace(/\.(ts|js)$/, ".d.ts"));
  if (!existsSync(found)) throw new Error(`${file} speaks of ${from}, which is not there`);
  return found;
}

test.each(["client", "react", "skep"])("everything that %s exports is described", (name) => {
  const entries = entriesOf(name);
  expect(entries.length).toBeGreaterThan(0);
  expect(entries.flatMap((entry) => undescribed(entry))).toEqual([]);
});
