import { defineConfig } from "vitest/config";

// One after the other: each file starts servers and a browser of its own.
export default defineConfig({
  test: {
    include: ["e2e/**/*.e2e.ts"],
    fileParallelism: false,
    testTimeout: 150_000,
    hookTimeout: 240_000,
    maxConcurrency: 1,
    expect: { poll: { timeout: 40_000, interval: 100 } },
  },
});
