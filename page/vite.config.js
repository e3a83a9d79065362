import { defineConfig } from "vite";

// The clips and their credits are the package's own; model/ is what `bscodec export` wrote.
export default defineConfig({
  base: "./", // any folder of any host
  assetsInclude: ["**/*.onnx", "**/*.flac"],
  worker: { format: "es" },
  build: {
    outDir: "../build/page",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1000,
  },
});
