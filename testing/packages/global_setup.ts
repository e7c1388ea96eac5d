// One server for all tests of a project that do not stop it.

import type { TestProject } from "vitest/node";

import { TestServer } from "./server.ts";

declare module "vitest" {
  export interface ProvidedContext {
    serverUrl: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await TestServer.start();
  project.provide("serverUrl", server.url);
  return () => server.stop();
}
