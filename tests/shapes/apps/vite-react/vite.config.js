import { readFileSync } from "node:fs";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const version = {
  name: "version",
  generateBundle() {
    const source = JSON.stringify({ commit: readFileSync("COMMIT", "utf8") });
    this.emitFile({ type: "asset", fileName: "version.json", source });
  },
};
export default defineConfig({ plugins: [react(), version] });
