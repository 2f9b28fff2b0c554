import { attach, exitOf } from "../engine/attached";
import { owner } from "../engine/orphans";
import { ignoreMissing } from "../engine/problems";
import { OWNER_LABEL, RUN_LABEL } from "../freshness/labels";
import { ProjectCommand } from "./command";
import { containerOf, type OpenStack, openStack } from "./openStack";
import { run } from "./project";

const command = new ProjectCommand("run")
  .description(
    "Runs a command in a container of its own, of the served release's image, environment, volumes and network, which is removed afterwards. The exit status is the command's own.",
  )
  .argument("<service>", "a service")
  .argument("<command...>", "the command, behind --")
  .ofStack()
  .option("--entrypoint <program>", "in place of the service's entrypoint");

run(async () => {
  const { stack, entrypoint } = command.parse().opts<{ stack: string; entrypoint?: string }>();
  const [service, program] = command.processedArgs as [string, string[]];
  const open = await openStack(stack);
  const { engine } = open;
  const like = await containerOf(open, service);
  const terminal = process.stdin.isTTY === true && process.stdout.isTTY === true;
  // It has an owner and no stack's label, so deploys ignore it.
  const labels = { [OWNER_LABEL]: owner(), [RUN_LABEL]: `${open.stack}/${service}` };
  const container = await engine.createLike(like, {
    command: program,
    entrypoint: entrypoint === undefined ? ownEntrypoint(open, service) : [entrypoint],
    terminal,
    labels,
  });
  const remove = () =>
    engine.docker(["container", "rm", "--force", "--volumes", container]).catch(ignoreMissing);
  for (const signal of ["SIGTERM", "SIGHUP"] as const)
    process.once(signal, () => void remove().finally(() => process.exit(1)));
  const args = ["start", "--attach", "--interactive", container];
  try {
    return await exitOf(attach(engine, args, { stdio: "inherit", terminal }));
  } finally {
    // The engine removes it when it ends; one that the connection left behind does not end.
    await remove();
  }
});

/** A container with a schedule starts the loop, which starts the service's entrypoint. Otherwise the container's own. */
function ownEntrypoint(
  { record }: Pick<OpenStack, "record">,
  name: string,
): readonly string[] | null | undefined {
  const of = record.deployment.services.find(({ service }) => service.name === name)?.service;
  return of?.schedule === undefined ? undefined : (of.entrypoint ?? null);
}
