import { pulumi, readStackConfig, run } from "./project";

/** Passes everything on to the pulumi CLI; a stack that is deployed or previewed by name has to be configured rightly. */
run(async () => {
  const args = process.argv.slice(2);
  const flag = args.findIndex((arg) => arg === "--stack" || arg === "-s");
  const stack =
    flag >= 0 ? args[flag + 1] : args.find((arg) => arg.startsWith("--stack="))?.slice("--stack=".length);
  if (stack && /^(up|update|preview|pre)$/.test(args[0] ?? "")) readStackConfig(stack);
  return pulumi(args);
});
