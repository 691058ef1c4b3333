import { svelte } from "@sveltejs/vite-plugin-svelte";
import tailwindcss from "@tailwindcss/vite";
import { compression, defineAlgorithm } from "vite-plugin-compression2";
import { defineConfig, type Plugin } from "vite";

/** Every browser that runs this page reads woff2: KaTeX's older fonts stay out of the build. */
const onlyWoff2: Plugin = {
  name: "only-woff2",
  enforce: "pre",
  transform(code, id) {
    if (!id.includes("katex.min.css")) return null;
    return code.replaceAll(/,url\([^)]+\.(?:woff|ttf)\) format\("\w+"\)/g, "");
  },
};

const server = process.env.CORRAL_URL ?? "http://127.0.0.1:11434";

export default defineConfig({
  base: "./",
  resolve: { alias: { $lib: new URL("./src/lib", import.meta.url).pathname } },
  plugins: [
    onlyWoff2,
    svelte(),
    tailwindcss(),
    compression({
      algorithms: [defineAlgorithm("gzip"), defineAlgorithm("brotliCompress")],
      include: /\.(js|css|html|svg|webmanifest)$/,
      threshold: 512,
    }),
  ],
  build: {
    target: "es2022",
    cssTarget: ["chrome123", "firefox120", "safari17.5"], // the first with light-dark()
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rolldownOptions: { checks: { pluginTimings: false } },
  },
  server: { proxy: { "/v1": server, "/admin": server, "/readyz": server } },
});
