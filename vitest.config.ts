// The tests of packages/. `npm test` builds the packages before: tests import them as users do, from dist/.
//
//   npx vitest run --project client

import { fileURLToPath } from "node:url";

import { defineConfig } from "vitest/config";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** The tests of hooks, on one version of React. */
function reactProject(major: number, alias: Record<string, string>) {
  return {
    resolve: { alias },
    test: {
      name: `react-${major}`,
      env: { REACT_MAJOR: String(major) },
      include: ["packages/react/tests/*.test.{ts,tsx}"],
      globalSetup: "testing/packages/global_setup.ts",
      setupFiles: "packages/react/tests/dom.ts",
    },
  };
}

export default defineConfig({
  esbuild: { target: "es2022", jsx: "automatic" },
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    minWorkers: 1,
    projects: [
      {
        extends: true,
        test: {
          name: "client",
          include: ["packages/client/tests/*.test.ts"],
          globalSetup: "testing/packages/global_setup.ts",
        },
      },
      { extends: true, ...reactProject(19, {}) },
      {
        extends: true,
        ...reactProject(18, {
          react: path("testing/react-18/node_modules/react"),
          "react-dom": path("testing/react-18/node_modules/react-dom"),
        }),
      },
      {
        extends: true,
        test: {
          name: "packages",
          include: ["tests/packages/*.test.ts"],
          globalSetup: "testing/packages/global_setup.ts",
        },
      },
      {
        extends: true,
        test: {
          name: "addon",
          include: ["bindings/node/tests/*.test.ts"],
          pool: "forks",
          env: { SKEP_NATIVE: path(`./${process.env.SKEP_BUILD ?? "build"}/bindings/node/skep.node`) },
        },
      },
      {
        extends: true,
        test: {
          name: "skep-native",
          include: ["packages/skep/tests/native/*.test.ts"],
          pool: "forks",
          env: { SKEP_NATIVE: path(`./${process.env.SKEP_BUILD ?? "build"}/bindings/node/skep.node`) },
        },
      },
      {
        extends: true,
        test: {
          name: "examples",
          include: ["examples/*/tests/*.test.ts"],
          pool: "forks",
          env: { SKEP_NATIVE: path(`./${process.env.SKEP_BUILD ?? "build"}/bindings/node/skep.node`) },
        },
      },
      {
        extends: true,
        test: {
          name: "skep",
          include: ["packages/skep/tests/*.test.ts"],
        },
      },
      {
        extends: true,
        test: {
          name: "types",
          include: [],
          typecheck: {
            enabled: true,
            only: true,
            include: ["packages/*/tests/*.test-d.{ts,tsx}"],
            tsconfig: "tsconfig.tests.json",
          },
        },
      },
    ],
  },
});
