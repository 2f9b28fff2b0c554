/** One transform for all: the project is CommonJS, some of its dependencies are ESM only. */
module.exports = {
  testTimeout: 180_000,
  testEnvironment: "node",
  transform: { "\\.[cm]?[jt]s$": ["@swc/jest", { jsc: { target: "es2024" }, module: { type: "commonjs" } }] },
  transformIgnorePatterns: [
    "/node_modules/(?!(htmlparser2|entities|domelementtype|domhandler|domutils|dom-serializer|execa|@sindresorhus|@sec-ant|commander|simple-git|figures|human-signals|is-plain-obj|is-stream|is-unicode-supported|npm-run-path|path-key|parse-ms|pretty-ms|strip-final-newline|unicorn-magic|yoctocolors|get-stream|signal-exit)/)",
  ],
  testMatch: ["<rootDir>/tests/**/*.test.ts"],
  testPathIgnorePatterns: ["/node_modules/", "/tests/fixtures/"],
  modulePathIgnorePatterns: ["<rootDir>/.toolchain", "<rootDir>/.work", "<rootDir>/examples"],
};
