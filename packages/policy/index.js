const path = require("node:path");

// Language hosts start a pack in one folder or another; the SDK reads the pack's version from the current one.
process.chdir(__dirname);
// The SDK registers a compiler that type-checks at each start. As for the program, swc strips the types instead.
delete require.extensions[".ts"];
process.env.TS_NODE_PROJECT = path.join(__dirname, "..", "..", "tsconfig.json");
require("@swc-node/register");
require("./pack.ts");
