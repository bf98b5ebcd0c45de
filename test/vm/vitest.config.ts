import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/vm/**/*.test.ts"],
    globalSetup: ["test/vm/harness/global-setup.ts"],
    server: { deps: { external: [/\/dist\//] } },
    // A machine takes a processor; more than two at once make each other late.
    maxWorkers: 2,
    // Every wait in a machine has a shorter limit of its own, which says more.
    testTimeout: 240_000,
    hookTimeout: 400_000,
  },
});
