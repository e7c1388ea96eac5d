// The command `skep` of the npm package: what it is asked to do.

import { readFileSync } from "node:fs";

import { dev, type DevOptions } from "./dev.ts";

const usage = `usage: skep dev [options] ENTRY [arguments of the program …]

Runs a TypeScript or JavaScript program with actors, and again whenever one of its files changes.
What it keeps in its store stays. It starts the registry that ENTRY exports, unless ENTRY does so itself.

For a program that does not say so itself:
  --store URL      where databases are kept (SKEP_STORE, embedded:./data)
  --listen WHERE   HOST:PORT or PORT (SKEP_LISTEN, 127.0.0.1:6420)

  --version
  --help
`;

/** Options stand before the entry; what stands behind it is the program's. */
function parse(args: readonly string[]): DevOptions {
  const env: Record<string, string> = {};
  const variables = new Map([
    ["--store", "SKEP_STORE"],
    ["--listen", "SKEP_LISTEN"],
  ]);
  let i = 0;
  for (; args[i]?.startsWith("-"); ++i) {
    const [name, inline] = args[i]!.split(/=(.*)/s) as [string, string?];
    const variable = variables.get(name);
    if (!variable) throw new UsageError(`unknown option ${name}`);
    const value = inline ?? args[++i];
    if (value === undefined) throw new UsageError(`${name} needs a value`);
    env[variable] = value;
  }
  const entry = args[i];
  if (entry === undefined) throw new UsageError("which program? Name its entry, like src/index.ts");
  return { entry, args: args.slice(i + 1), env };
}

class UsageError extends Error {}

async function main(args: readonly string[]): Promise<number> {
  const [command, ...rest] = args;
  if (command === "--help" || command === "help" || rest[0] === "--help") {
    process.stdout.write(usage);
    return 0;
  }
  if (command === "--version") {
    const file = new URL("../../package.json", import.meta.url);
    const { version } = JSON.parse(readFileSync(file, "utf8")) as { version: string };
    process.stdout.write(`skep ${version}\n`);
    return 0;
  }
  try {
    if (command !== "dev")
      throw new UsageError(command ? `unknown command ${command}` : "no command");
    return await dev(parse(rest));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`skep: ${error.message}\n\n${usage}`);
    return 2;
  }
}

process.exitCode = await main(process.argv.slice(2));
