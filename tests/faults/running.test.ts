import { createServer, type RequestListener, type Server } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { TestApp } from "../support/app";
import { inMatrix, type OriginalAnswer, ofThisForm, timed } from "../support/matrix";
import { TestStack } from "../support/stack";

/** A fault of what runs or answers: how it is brought about, how it is taken away, and what has to be said of it. */
interface Fault {
  /** Injected in the full form alone: another row, or a unit test of the rule, stands for it in CI. */
  readonly onlyInFull?: boolean;
  readonly fault: string;
  readonly link: "image" | "container" | "served";
  readonly service: "frontend" | "backend" | "worker";
  readonly inject: () => Promise<() => Promise<unknown>>;
  readonly found: RegExp;
}

describe("a running deployment", () => {
  let app: TestApp;
  let stack: TestStack;
  let commit: string;
  let before: string;

  beforeAll(async () => {
    app = await TestApp.create();
    const services = {
      frontend: { startSeconds: 10, pages: ["/"] },
      backend: { startSeconds: 10 },
      worker: { context: "backend" },
    };
    stack = await TestStack.create({ source: app.folder, services });
    for (const text of ["hello v1\n", "hello v2\n"]) {
      before = commit;
      commit = await app.commit({ "backend/message.txt": text });
      const outcome = await stack.up();
      if (!outcome.ok) throw new Error(outcome.said);
    }
  });
  afterAll(async () => {
    await stack?.remove();
    app?.remove();
  });

  const docker = (...args: string[]) => execa("docker", args);
  const inContainer = async (service: string, script: string) =>
    docker("exec", "--user", "0", await stack.container(service), "sh", "-c", script);
  const edge = async (script: string) => docker("exec", await stack.container("edge"), "sh", "-c", script);

  const faults: Fault[] = [
    {
      fault: "a file of the code is changed inside a container",
      link: "container",
      service: "backend",
      inject: async () => {
        await inContainer(
          "backend",
          "cp -a /app/src/message.txt /tmp/kept && echo 'hello v1' > /app/src/message.txt",
        );
        return recreate;
      },
      found: /1 others: changed \/app\/src\/message\.txt/,
    },
    {
      onlyInFull: true,
      fault: "a file is added beside the code inside a container",
      link: "container",
      service: "frontend",
      inject: async () => {
        await inContainer("frontend", "echo x > /app/src/route.py");
        return recreate;
      },
      found: /1 others: added \/app\/src\/route\.py/,
    },
    {
      fault: "a container is stopped by hand",
      link: "container",
      service: "backend",
      inject: async () => {
        const container = await stack.container("backend");
        await docker("stop", container);
        return deployAgain;
      },
      found: /a container that is not running/,
    },
    {
      onlyInFull: true,
      fault: "a container is paused by hand",
      link: "container",
      service: "backend",
      inject: async () => {
        await docker("pause", await stack.container("backend"));
        return deployAgain;
      },
      found: /found a paused container/,
    },
    {
      fault: "a container is disconnected from its network by hand",
      link: "container",
      service: "backend",
      inject: async () => {
        await docker("network", "disconnect", await network(), await stack.container("backend"));
        return deployAgain;
      },
      found: /no network has the container at its name/,
    },
    {
      onlyInFull: true,
      fault: "the edge is disconnected from its network by hand",
      link: "container",
      service: "backend",
      inject: async () => {
        await docker("network", "disconnect", await network(), await stack.container("edge"));
        return deployAgain;
      },
      found: /the container is unhealthy; .* deploy again/,
    },
    {
      fault: "a program becomes unhealthy long after it was deployed",
      link: "container",
      service: "backend",
      inject: async () => {
        await inContainer("backend", "touch /dev/shm/UNHEALTHY");
        // As the message says.
        return async () => docker("restart", await stack.container("backend"));
      },
      found:
        /the container is unhealthy; .* found no such answer \(.*503.*\)\. See .* restart it \(docker restart backend-/,
    },
    {
      onlyInFull: true,
      fault: "a container is removed by hand",
      link: "container",
      service: "backend",
      inject: async () => {
        await docker("rm", "--force", await stack.container("backend"));
        return deployAgain;
      },
      found: /no such container/,
    },
    {
      onlyInFull: true,
      fault: "a container without a route is stopped by hand",
      link: "container",
      service: "worker",
      inject: async () => {
        const container = await stack.container("worker");
        await docker("stop", container);
        return () => docker("start", container);
      },
      found: /a container that is not running/,
    },
    {
      fault: "a program without a route has crashed since the deploy",
      link: "container",
      service: "worker",
      inject: async () => {
        const container = await stack.container("worker");
        // Process 1 is Docker's init; it ends as the program does.
        const kill =
          "import os, signal; os.kill(int(open('/proc/1/task/1/children').read().split()[0]), signal.SIGKILL)";
        // The container takes with it what runs in it; the restart that is waited for tells that it ended.
        await execa("docker", ["exec", container, "python3", "-c", kill], { reject: false });
        await until(
          async () => (await inspect(container, "{{.RestartCount}} {{.State.Running}}")) === "1 true",
        );
        return deployAgain;
      },
      found:
        /found it ended by itself 1 time, with exit code 137 \(not OOM-killed\)\. See "docker logs worker-/,
    },
    {
      fault: "a container outside the served release runs",
      link: "container",
      service: "worker",
      inject: async () => {
        const labels = [`watch-party.stack=${stack.name}`, "watch-party.service=worker"];
        const { stdout: id } = await docker(
          "run",
          "--detach",
          "--restart",
          "always",
          ...labels.flatMap((label) => ["--label", label]),
          tag("backend", before),
        );
        return async () => {
          await runRemedy(/Stop it: (.*)\. The next deploy removes it\./);
          expect(await inspect(id, "{{.State.Running}} {{.HostConfig.RestartPolicy.Name}}")).toBe("false no");
        };
      },
      found:
        /a container or service of this stack does not belong to the served release; .* Stop it: docker update --restart=no /,
    },
    {
      fault: "an older container answers to a container's name too",
      link: "container",
      service: "backend",
      inject: async () => {
        const { stdout: old } = await docker("run", "--detach", tag("backend", before));
        await docker("network", "connect", "--alias", await hostName("backend"), await network(), old);
        return async () => {
          await runRemedy(/Disconnect it with "([^"]+)"/);
          await docker("rm", "--force", old);
        };
      },
      found: /alone at backend-.* found \S+ there too/,
    },
    {
      fault: "the deploy's tag is moved to an older image",
      link: "image",
      service: "frontend",
      inject: async () => {
        await docker("tag", tag("frontend", before), tag("frontend", commit));
        return () => runRemedy(/Name it again with "([^"]+)"/);
      },
      found: /found sha256:[0-9a-f]{12} under that name/,
    },
    {
      onlyInFull: true,
      fault: "the deploy's tag is removed",
      link: "image",
      service: "worker",
      inject: async () => {
        const id = await image("worker");
        await docker("image", "rm", "--force", tag("worker", commit));
        return () => docker("tag", id, tag("worker", commit));
      },
      found: /no image of that name/,
    },
    {
      fault: "the image of a running container is removed",
      link: "image",
      service: "frontend",
      inject: async () => {
        const container = await stack.container("frontend");
        const id = await image("frontend");
        // The engine keeps the image of a container that runs, whatever the force.
        await docker("stop", container);
        await docker("image", "rm", "--force", id);
        await docker("start", container);
        return rebuild;
      },
      found: /is gone from the engine; .* found no such image/,
    },
    {
      fault: "the edge is switched to another release by hand",
      link: "served",
      service: "frontend",
      inject: async () => {
        const old = await docker(
          "run",
          "--detach",
          "--network-alias",
          "frontend-old",
          "--network",
          await network(),
          await image("frontend"),
        );
        const backend = await docker(
          "run",
          "--detach",
          "--network-alias",
          "backend-old",
          "--network",
          await network(),
          await image("backend"),
        );
        const { stdout: release } = await edge("cat /edge/release-*");
        await edge("for f in /edge/release-*; do printf old > $f.new && mv $f.new $f; done");
        return async () => {
          await edge(`for f in /edge/release-*; do printf '%s' '${release}' > $f.new && mv $f.new $f; done`);
          await docker("rm", "--force", old.stdout, backend.stdout);
        };
      },
      found: /is not answered by this deploy's container; .* found frontend-old:3000/,
    },
    {
      fault: "another program answers at the public address, with the right commit",
      link: "served",
      service: "frontend",
      inject: () => inFront((_, response) => void response.end(JSON.stringify({ commit }))),
      found: /found an answer that did not come through the edge/,
    },
    {
      fault: "a cache is in front of the edge",
      link: "served",
      service: "frontend",
      inject: () => inFront(proxied({ age: "3600" })),
      found: /is answered by a cache; .* found Age: 3600/,
    },
    {
      onlyInFull: true,
      fault: "a proxy in front of the edge still answers with the old commit",
      link: "served",
      service: "frontend",
      inject: () => inFront((_, response) => void response.end(JSON.stringify({ commit: "0".repeat(40) }))),
      found: /found commit 0{40}/,
    },
    {
      fault: "a proxy in front of the edge still answers with the old page",
      link: "served",
      service: "frontend",
      inject: () => inFront(proxied({}, (text) => text.replaceAll(commit, before))),
      found: /\/ at 127\.0\.0\.1 names another commit; .* found commit [0-9a-f]{40}/,
    },
    {
      onlyInFull: true,
      fault: "nothing answers at the public address",
      link: "served",
      service: "frontend",
      inject: async () => {
        const undo = await inFront(() => undefined);
        await undo();
        await publish(frontUrl);
        return () => publish(stack.url);
      },
      found: /no answer \(/,
    },
  ];

  it.each(ofThisForm(faults))("is refused when $fault, and proven again without it", (fault) =>
    inMatrix({ into: "running", ...fault }, async (row) => {
      const { link, service, inject, found } = fault;
      const undo = await inject();
      try {
        const { status, stderr } = await timed(row, () => stack.verify());
        expect(stderr).toMatch(
          new RegExp(`^error: freshness: ${link} of ${service}: .*; expected .*, found .*\\. `),
        );
        expect(stderr).toMatch(found);
        expect(status).toBe(1);
        row.detected = true;
        row.original = await healthCheck();
      } finally {
        await undo();
      }
      row.twin = false;
      const twin = await stack.verify("--json");
      expect(twin.stderr).toBe("");
      expect(twin.status).toBe(0);
      expect(JSON.parse(twin.stdout)).toMatchObject({ schema: "watch-party/certificate/1", commit });
      row.twin = true;
    }),
  );

  /** What the public address is configured to be. */
  let publicUrl = "";

  async function publish(url: string): Promise<void> {
    publicUrl = url;
    await stack.configure({ publicUrl: url });
  }

  /** The original flow cannot prove a deployment again; it has only a health check. */
  async function healthCheck(): Promise<OriginalAnswer> {
    const asked = ["/", "/api/hello"].map(async (path) => {
      const signal = AbortSignal.timeout(5_000);
      const status = await fetch(`${publicUrl || stack.url}${path}`, { signal }).then(
        ({ status }) => `status ${status}`,
        () => "no answer",
      );
      return { path, status };
    });
    const bad = (await Promise.all(asked)).filter(({ status }) => status !== "status 200");
    return {
      caught: bad.length > 0,
      saw: bad.map(({ path, status }) => `${path}: ${status}`).join(", ") || "healthy",
    };
  }

  let frontUrl = "";

  /** Puts a server of one's own at the public address. */
  async function inFront(listener: RequestListener): Promise<() => Promise<unknown>> {
    const server: Server = createServer(listener);
    await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
    frontUrl = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
    await publish(frontUrl);
    return async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
      await publish(stack.url);
    };
  }

  /** Passes requests on, and changes what comes back: headers, and the text of pages. */
  function proxied(headers: Record<string, string>, change = (page: string) => page): RequestListener {
    return async (request, response) => {
      const answer = await fetch(`${stack.url}${request.url}`);
      const isPage = answer.headers.get("content-type")?.startsWith("text/html");
      response.writeHead(answer.status, { ...Object.fromEntries(answer.headers), ...headers });
      response.end(isPage ? change(await answer.text()) : await answer.text());
    };
  }

  /** Does as the message of `verify` says, and nothing else. */
  async function runRemedy(command: RegExp): Promise<void> {
    const { stderr } = await stack.verify();
    const [, remedy = "false"] = command.exec(stderr) ?? [];
    await execa("sh", ["-euc", remedy]);
  }

  async function inspect(container: string, format: string): Promise<string> {
    return (await docker("inspect", "--format", format, container)).stdout.trim();
  }

  async function until(good: () => Promise<boolean>): Promise<void> {
    while (!(await good())) await new Promise((resume) => setTimeout(resume, 100));
  }

  async function deployAgain(): Promise<void> {
    const outcome = await stack.up();
    if (!outcome.ok) throw new Error(outcome.said);
  }

  async function recreate(): Promise<void> {
    await runRemedy(/Remove the container \((docker rm -f [^)]+)\)/);
    const outcome = await stack.up({ refresh: true });
    if (!outcome.ok) throw new Error(outcome.said);
  }

  async function rebuild(): Promise<void> {
    process.env.WATCH_PARTY_REBUILD = "1";
    const outcome = await stack.up().finally(() => delete process.env.WATCH_PARTY_REBUILD);
    if (!outcome.ok) throw new Error(outcome.said);
  }

  /** What the deploy of a commit named its image. */
  function tag(service: string, of: string): string {
    return `watch-party-${stack.name}-${service}:${of.slice(0, 12)}`;
  }

  /** The name by which the edge asks a service's container. */
  async function hostName(service: string): Promise<string> {
    const { stdout } = await docker(
      "inspect",
      "--format",
      "{{range .NetworkSettings.Networks}}{{json .Aliases}}{{end}}",
      await stack.container(service),
    );
    return (JSON.parse(stdout) as string[]).find((alias) => alias.startsWith(`${service}-`))!;
  }

  async function network(): Promise<string> {
    const { stdout } = await docker(
      "inspect",
      "--format",
      "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}",
      await stack.container("edge"),
    );
    return stdout.trim();
  }

  async function image(service: string): Promise<string> {
    return (await docker("inspect", "--format", "{{.Image}}", await stack.container(service))).stdout.trim();
  }
});
