import { defineConfig } from "vitest/config";

// One after the other, for they share a server and a browser.
export default defineConfig({
  test: {
    include: ["e2e/**/*.e2e.ts"],
    globalSetup: "e2e/support/shared.ts",
    fileParallelism: false,
    testTimeout: 150_000,
    hookTimeout: 240_000,
    maxConcurrency: 1,
    expect: { poll: { timeout: 40_000, interval: 100 } },
  },
});
