/**
 * The layers of the program, the upper first. A file imports from its own layer and from those below; each layer that stands
 * alone in a row is listed alone, engine and source stand side by side.
 */
const LAYERS = [
  ["cli"],
  ["components"],
  ["release"],
  ["edge"],
  ["proof"],
  ["engine", "source"],
  ["config"],
  ["freshness"],
];

const folder = (names) => `^(${names.join("|")})/`;

/** One rule for each layer: it imports nothing that lies above it. */
const upwards = LAYERS.slice(1).map((layer, index) => ({
  name: `${layer.join("-and-")}-imports-upwards`,
  severity: "error",
  from: { path: folder(layer) },
  to: { path: `${folder(LAYERS.slice(0, index + 1).flat())}|^index\\.ts$` },
}));

/** @type {import("dependency-cruiser").IConfiguration} */
module.exports = {
  forbidden: [
    { name: "circle", severity: "error", from: {}, to: { circular: true } },
    ...upwards,
    {
      name: "product-imports-a-package",
      severity: "error",
      from: { path: folder(LAYERS.flat().filter((name) => name !== "cli")) },
      to: { path: "^packages/" },
    },
    {
      name: "stand-in-imports-the-product",
      severity: "error",
      from: { path: "^packages/stand-ins/" },
      // How a socket or a process is dialled is the same for both.
      to: { path: folder(LAYERS.flat()), pathNot: "^engine/(dial|context)\\.ts$" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^(node_modules|\\.toolchain|\\.work|examples|tests/fixtures)/" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { extensions: [".ts", ".js", ".json"] },
  },
};
