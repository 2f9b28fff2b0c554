import * as pulumi from "@pulumi/pulumi";

/** One resource that a program declared. */
export interface Recorded {
  readonly type: string;
  readonly name: string;
  // biome-ignore lint/suspicious/noExplicitAny: what a test asserts on is known to the test alone
  readonly inputs: Record<string, any>;
}

/** Runs a program under mocks and returns every resource that it declared, with the values of its outputs. */
export async function recordResources(
  options: {
    stack: string;
    config: Record<string, string>;
    secretKeys?: string[];
    lastDeploy?: Record<string, unknown>;
  },
  program: () => Promise<Record<string, unknown>>,
): Promise<{ resources: Recorded[]; outputs: Record<string, unknown> }> {
  const resources: Recorded[] = [];
  await pulumi.runtime.setMocks(
    {
      call: () => ({}),
      newResource: ({ type, name, inputs }) => {
        resources.push({ type, name, inputs });
        if (type === "pulumi:pulumi:StackReference")
          return {
            id: name,
            state: { name: inputs.name, outputs: options.lastDeploy ?? {}, secretOutputNames: [] },
          };
        const made: Record<string, unknown> = { ...inputs };
        if (type === "docker:index/image:Image") made.repoDigest = `sha256:${name}`;
        if (type.startsWith("command:")) made.stdout = "Total reclaimed space: 1.5GB";
        if (made.name === undefined) made.name = `${name}-0000000`;
        return { id: `${name}-id`, state: made };
      },
    },
    "watch-party",
    options.stack,
    true,
    "organization",
  );
  pulumi.runtime.setAllConfig(options.config, options.secretKeys ?? []);
  const exported = await program();
  const outputs: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(exported))
    outputs[name] = await new Promise((resolve) =>
      (pulumi.output(value) as pulumi.Output<unknown>).apply(resolve),
    );
  // Registrations of outputs may still be under way; the next program's mocks know nothing of them.
  await pulumi.runtime.disconnect();
  return {
    resources: resources.sort((a, b) => `${a.type} ${a.name}`.localeCompare(`${b.type} ${b.name}`)),
    outputs,
  };
}
