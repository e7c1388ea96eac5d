// Bundles the page: the browser gets one script and one style sheet.

import { cp, mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** Gives the folder that the page is in. */
export async function buildPage(): Promise<string> {
  const folder = process.env["WORKSPACE_PAGES"] ?? path("./dist");
  await mkdir(folder, { recursive: true });
  await build({
    entryPoints: [path("./page/main.tsx"), path("./page/style.css")],
    bundle: true,
    minify: true,
    sourcemap: true,
    format: "esm",
    target: "es2022",
    jsx: "automatic",
    define: { "process.env.NODE_ENV": '"production"' },
    outdir: folder,
    logLevel: "warning",
  });
  for (const file of ["index.html", "icon.svg"])
    await cp(path(`./page/${file}`), `${folder}/${file}`);
  return folder;
}
