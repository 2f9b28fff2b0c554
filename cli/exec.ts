import { attach, exitOf } from "../engine/attached";
import { ProjectCommand } from "./command";
import { containerOf, openStack } from "./openStack";
import { run } from "./project";

const command = new ProjectCommand("exec")
  .description(
    "Runs a command in the running container of a service; its exit status is the command's own. Output is passed on as it is, secrets too.",
  )
  .argument("<service>", "a service")
  .argument("[command...]", "the command, behind --", ["sh"])
  .ofStack()
  .option("--user <user>", "as this user (default: the container's own)");

run(async () => {
  const { stack, user } = command.parse().opts<{ stack: string; user?: string }>();
  const [service, program] = command.processedArgs as [string, string[]];
  const open = await openStack(stack);
  const container = await containerOf(open, service);
  const terminal = process.stdin.isTTY === true && process.stdout.isTTY === true;
  const flags = [...(terminal ? ["--tty"] : []), ...(user === undefined ? [] : ["--user", user])];
  const args = ["exec", "--interactive", ...flags, container, ...program];
  return exitOf(attach(open.engine, args, { stdio: "inherit", terminal }));
});
