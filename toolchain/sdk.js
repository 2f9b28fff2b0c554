"use strict";
// Preloaded before the Pulumi SDK: leaves out what a deploy does not use of it, and its search for source maps.

const Module = require("node:module");
const path = require("node:path");

// The SDK takes a stack trace for each property of each resource, a second of them in a deploy. One frame says where, and no source
// map is read and searched for it.
if (process.argv[1]?.includes(path.join("@pulumi", "pulumi", "cmd", "run"))) {
  Error.stackTraceLimit = 1;
  Object.assign(Error, { prepareStackTrace: undefined });
}

/** A span that nobody records: whatever is told to it. */
const span = new Proxy({}, { get: () => () => undefined });

/**
 * What the SDK loads at each start and only some programs use: npm's own dependency resolver, TypeScript and a session with
 * Node's debugger, to send functions to a cloud; tracing; the Automation API. They are three quarters of the SDK's load,
 * 0.2 s, and come with their first use. Beside each, what it answers until then.
 */
const DEFERRED = new Map([
  ["@npmcli/arborist", {}],
  ["normalize-package-data", {}],
  ["typescript", {}],
  ["../../runtime/closure/v8Hooks", { isInitializedAsync: async () => undefined }],
  ["./automation", {}],
  ["./tracing", { newSpan: () => span }],
]);
const SDK = /[\\/]@pulumi[\\/]pulumi[\\/]/;

const load = Module._load;
Module._load = function (request, parent, ...rest) {
  const now = () => load.call(this, request, parent, ...rest);
  // The bundle has no source map; the SDK's own would be read and searched for each property's stack trace.
  if (request === "source-map-support/register") return {};
  const until = SDK.test(parent?.filename) && DEFERRED.get(request);
  return until ? deferred(now, until) : now();
};

/** Stands for a module that is loaded when something is asked of it that `until` has not. */
function deferred(now, until) {
  let loaded;
  const module = () => {
    loaded ??= now();
    return loaded;
  };
  // The SDK's importer asks whether it is to copy the properties.
  const known = { ...until, __esModule: true };
  return new Proxy(
    {},
    {
      get: (_, key) => (loaded ?? (Object.hasOwn(known, key) ? known : module()))[key],
      has: (_, key) => key in module(),
      ownKeys: () => Reflect.ownKeys(module()),
      getOwnPropertyDescriptor: (_, key) => {
        const found = Object.getOwnPropertyDescriptor(module(), key);
        return found && { ...found, configurable: true };
      },
    },
  );
}
