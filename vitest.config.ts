import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // These have a set-up of their own: `npm run test:vm`.
    exclude: ["test/vm/**"],
    // The tests run what ships: `#src/x.ts` is `dist/x.js`, loaded by Node itself.
    server: { deps: { external: [/\/dist\//] } },
    testTimeout: 30_000,
  },
});
