// Whether a program compiles, and of which files it is made.

import { dirname, resolve } from "node:path";

import { build, type BuildFailure, formatMessages, type Plugin } from "esbuild";

/** What is known of a program's sources. */
export interface Check {
  /** For a person; empty when it compiles. Types are not checked. */
  readonly errors: string;
  /** All that were read, also of a program that does not compile. */
  readonly files: ReadonlySet<string>;
  /** Where it was looked for others, that may not be there yet. */
  readonly folders: ReadonlySet<string>;
}

/** Reads the program from its entry on, without what is in node_modules. */
export async function check(entry: string): Promise<Check> {
  const files = new Set<string>([entry]);
  const folders = new Set<string>();
  const record: Plugin = {
    name: "record",
    setup({ onLoad, onResolve }) {
      onResolve({ filter: /^\.{1,2}\// }, ({ path, resolveDir }) => {
        folders.add(dirname(resolve(resolveDir, path)));
        return undefined;
      });
      onLoad({ filter: /./, namespace: "file" }, ({ path }) => {
        files.add(path);
        return undefined;
      });
    },
  };
  let errors = "";
  try {
    await build({
      entryPoints: [entry],
      bundle: true,
      write: false,
      packages: "external",
      platform: "node",
      format: "esm",
      target: `node${process.versions.node}`,
      logLevel: "silent",
      plugins: [record],
    });
  } catch (failure) {
    const messages = (failure as Partial<BuildFailure>).errors;
    if (!messages) throw failure;
    const color = process.stderr.isTTY === true;
    errors = (await formatMessages(messages, { kind: "error", color })).join("");
  }
  for (const file of files) folders.add(dirname(file));
  return { errors, files, folders };
}
