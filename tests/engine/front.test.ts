import { randomInt } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { request as requestHttp } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { type RequestOptions, request } from "node:https";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { stringify } from "yaml";
import { DockerEngine } from "../../engine/docker";
import { readSites } from "../../engine/sites";
import { FRONT, siteAlias, sitesNetwork } from "../../freshness/served/front";
import { TestApp } from "../support/app";
import { BareEdge } from "../support/bareEdge";
import { BareFront } from "../support/bareFront";
import { FULL, inMatrix, ofThisForm, timed } from "../support/matrix";
import { OpenLoad } from "../support/openLoad";
import { SshServer } from "../support/sshd";
import { freePort, leftovers, type Outcome, TestStack } from "../support/stack";

/** Answers with the headers and the size of the body that it got; echoes a WebSocket's bytes. */
const ECHO = `
const server = require("node:http").createServer(async (request, response) => {
  let size = 0;
  for await (const chunk of request) size += chunk.length;
  response.end(JSON.stringify({ size, headers: request.headers }));
});
server.on("upgrade", (request, socket) => {
  socket.write("HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n");
  socket.pipe(socket);
});
server.listen(process.env.PORT);
process.on("SIGTERM", () => process.exit());
`;

describe("a front with certificates", () => {
  const NAME = "a.party.test";
  let front: BareFront;
  let edge: BareEdge;

  beforeAll(async () => {
    front = await BareFront.start();
    edge = await BareEdge.start(ECHO, {
      isBehind: true,
      trustedProxies: ["private_ranges"],
      publicUrl: `https://${NAME}`,
    });
    await front.connect(edge.id, NAME, "www.party.test");
  });
  afterAll(async () => {
    await front?.remove();
    await edge?.remove();
  });

  const ask = (servername: string, options: RequestOptions = {}, body?: Buffer): Promise<string> =>
    new Promise((resolve, reject) => {
      const { address: host, ca } = front;
      const headers = { Host: servername, ...options.headers };
      const asked = request({ host, ca, servername, agent: false, ...options, headers }, (answer) => {
        let text = "";
        answer.setEncoding("utf8").on("data", (chunk) => {
          text += chunk;
        });
        answer.once("end", () => resolve(text));
      });
      asked.once("error", reject).end(body);
    });

  it("gets one for a name of a stack when it is first asked for, and none for another name", async () => {
    expect(JSON.parse(await ask(NAME)).headers.host).toBe(NAME);
    expect(JSON.parse(await ask("www.party.test")).headers.host).toBe("www.party.test");
    await expect(ask("other.party.test")).rejects.toThrow(/alert internal error/);
  });

  it("passes on who asked, the whole body, and what a client says of itself does not count", async () => {
    const headers = { "X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "http" };
    const body = Buffer.alloc(5_000_000);
    const { size, headers: got } = JSON.parse(await ask(NAME, { method: "POST", headers }, body));
    expect(size).toBe(body.length);
    expect(got).toMatchObject({
      "x-forwarded-proto": "https",
      "x-forwarded-host": NAME,
      // The client's address alone, as without a front.
      "x-forwarded-for": front.address.replace(/\.\d+$/, ".1"),
    });
  });

  it("speaks HTTP/2, and redirects plain HTTP", async () => {
    const client = connectHttp2(`https://${front.address}`, { ca: front.ca, servername: NAME });
    const status = await new Promise((resolve, reject) => {
      client.once("error", reject);
      const asked = client.request({ ":path": "/", ":authority": NAME });
      asked.once("response", (headers) => resolve(headers[":status"])).once("error", reject);
      asked.resume().end();
    });
    client.close();
    expect(status).toBe(200);
    const location = await new Promise((resolve, reject) => {
      const asked = requestHttp(
        { host: front.address, path: "/x?y=1", headers: { Host: NAME } },
        (answer) => {
          answer.resume();
          resolve([answer.statusCode, answer.headers.location]);
        },
      );
      asked.once("error", reject).end();
    });
    expect(location).toEqual([308, `https://${NAME}/x?y=1`]);
  });

  it("passes on WebSockets", async () => {
    const text = await new Promise((resolve, reject) => {
      const { address: host, ca } = front;
      const headers = { Host: NAME, Connection: "Upgrade", Upgrade: "websocket" };
      const asked = request({ host, ca, servername: NAME, agent: false, headers });
      asked.once("error", reject).once("upgrade", (_, socket) => {
        let echo = "";
        socket.setEncoding("utf8").on("data", (data) => {
          echo += data;
          if (echo.length < 5) return;
          resolve(echo);
          socket.destroy();
        });
        socket.write("hello");
      });
      asked.end();
    });
    expect(text).toBe("hello");
  });

  it("lets requests wait while the edge is replaced", async () => {
    await front.disconnect(edge.id);
    const answer = ask(NAME, { method: "POST" }, Buffer.from("later"));
    await front.connect(edge.id, NAME, "www.party.test");
    expect(JSON.parse(await answer).size).toBe(5);
  });
});

it("a front is deployed to a server and destroyed there", async () => {
  const server = await SshServer.start();
  const { port, user, hostKey } = server;
  const front = await TestStack.create({
    front: "http",
    listen: `127.0.0.1:${await freePort()}`,
    server: { host: "127.0.0.1", port, user, hostKey },
  });
  try {
    await front.configure({ serverKey: server.key }, true);
    const { status, stdout, stderr } = await front.command("up");
    expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toContain(`front ${front.name} answers on 127.0.0.1:`);
    expect(await leftovers(front.name)).not.toEqual([]);
    expect(await front.command("pulumi", "destroy", "--yes")).toMatchObject({ status: 0 });
    expect(await leftovers(front.name)).toEqual([]);
  } finally {
    await front.remove();
    await server.remove();
  }
});

/** Requests to each stack, a second, and how often each is deployed under them. */
const LOAD = FULL ? { rate: 200, deploys: 10 } : { rate: 50, deploys: 1 };

describe("a stack and the environment of a pull request behind one front", () => {
  let app: TestApp;
  let front: TestStack;
  let a: TestStack;
  /** Numbers of pull requests: the first one has an environment. */
  const [one, two] = [`${randomInt(1e6)}1`, `${randomInt(1e6)}2`];
  const names = { a: "a.localhost", pr: `pr-${one}.localhost` };
  const urlOf = (name: string) => `http://${name}:${front.port}`;
  const done = async (outcome: Promise<Outcome>) => {
    const found = await outcome;
    if (!found.ok) throw new Error(found.said);
    return found;
  };
  const get = (name: string, path = "/version"): Promise<string> =>
    new Promise((resolve, reject) => {
      const { port } = front;
      const asked = requestHttp({ host: "127.0.0.1", port, path, headers: { Host: name } }, (answer) => {
        let text = "";
        answer.setEncoding("utf8").on("data", (chunk) => {
          text += chunk;
        });
        answer.once("end", () => resolve(`${answer.statusCode} ${text}`));
      });
      asked.once("error", reject).end();
    });
  const load = (name: string) =>
    new OpenLoad(`http://127.0.0.1:${front.port}/version`, LOAD.rate, { Host: name });
  const failures = async (of: OpenLoad) =>
    (await of.stop()).filter(({ failure }) => failure !== "").map(({ failure }) => failure);
  const inNetwork = (verb: "connect" | "disconnect", ...more: string[]) =>
    execa("docker", ["network", verb, ...more]);

  /** Runs a command that is not told which stack to use. */
  const run = async (name: string, ...options: string[]) => {
    const { file, args, options: where } = front.commandLine(name);
    const line = [...args.slice(0, -2), ...options];
    const { exitCode, stdout, stderr } = await execa(file, line, { ...where, reject: false });
    return { status: exitCode, stdout, stderr };
  };
  const template = (more: object) => {
    const config = {
      source: app.folder,
      behind: front.name,
      publicUrl: urlOf("pr-N.localhost"),
      settleSeconds: 1,
      allowStandIns: true,
      ...more,
    };
    const own = Object.entries(config).map(([key, value]) => [`watch-party:${key}`, value]);
    writeFileSync(join(front.folder, "Pulumi.pr.yaml"), stringify({ config: Object.fromEntries(own) }));
  };
  /** The containers in the front's network, the front's own first. */
  const sites = async () => {
    const found = await readSites(new DockerEngine(), front.name);
    return found.sort((one, two) => Number(two.names.includes(FRONT)) - Number(one.names.includes(FRONT)));
  };
  const fileOf = (number: string) => join(front.folder, `Pulumi.pr-${number}.yaml`);
  /** What the workflow runs for a pull request. */
  const deployPr = async (version: string) => {
    template({ services: { frontend: { env: { N: version }, volumes: { data: "/data" } } } });
    for (const line of [
      ["pr", "add", one, "--most", "1"],
      ["up", "--stack", `pr-${one}`, "--allow-older"],
    ]) {
      const [name = "", ...options] = line;
      const { status, stdout, stderr } = await run(name, ...options);
      if (status !== 0) throw new Error(`${line.join(" ")}: ${stdout}\n${stderr}`);
    }
  };

  beforeAll(async () => {
    app = await TestApp.create();
    const port = await freePort();
    front = await TestStack.create({ front: "http", listen: `127.0.0.1:${port}` });
    Object.assign(front, { port });
    await done(front.up());
    const services = { frontend: { env: { N: "0" } } };
    a = await front.beside({ source: app.folder, behind: front.name, services, publicUrl: urlOf(names.a) });
    await done(a.up());
    await deployPr("0");
  });
  afterAll(async () => {
    if (existsSync(fileOf(one))) await run("pr", "remove", one);
    await a?.remove();
    await front?.remove();
    app?.remove();
  });

  it("each get the requests for their names, and publish no port", async () => {
    const commit = await app.git("rev-parse", "HEAD");
    for (const name of Object.values(names)) expect(await get(name)).toContain(commit);
    const { stdout } = await execa("docker", ["port", await a.container("edge")]);
    expect(stdout).toBe("");
    const { status, stdout: said } = await a.verify();
    expect(said).toMatch(/served +every service.*alone at a\.localhost/);
    expect(status).toBe(0);
    expect((await front.verify()).stderr).toMatch(/is a front and serves no commit/);
  });

  it("fail no request while each is deployed", async () => {
    const loads = Object.values(names).map(load);
    for (let n = 1; n <= LOAD.deploys; n++) {
      await a.configurePath("services.frontend.env.N", String(n));
      const { changes } = await done(a.up());
      expect(changes).toMatchObject({ "Container frontend": "create-replacement" });
      if (FULL) await deployPr(String(n));
    }
    for (const of of loads) {
      expect(await failures(of)).toEqual([]);
      expect(of.samples.length).toBeGreaterThan(LOAD.rate * LOAD.deploys);
    }
  });

  it("are refused a name that another stack answers for, before anything changes", () =>
    inMatrix(
      { into: "deploy", fault: "another stack behind the front answers for the name", link: "served" },
      async (row) => {
        await a.configure({ publicUrl: urlOf(names.pr) });
        const { ok, said, changes } = await timed(row, () => a.up());
        expect(said).toMatch(
          new RegExp(
            `freshness: served of every service: another container answers for pr-\\d+\\.localhost; expected stack ${a.name} alone behind front ${front.name}, found edge-\\w+ of stack pr-\\d+\\. Choose another name, or free it`,
          ),
        );
        expect([ok, changes]).toEqual([false, {}]);
        for (const name of Object.values(names)) expect(await get(name)).toMatch(/^200/);
        row.detected = true;
        row.twin = false;
        await a.configure({ publicUrl: urlOf(names.a) });
        expect((await done(a.up())).changes).toEqual({});
        row.twin = true;
      },
    ));

  const faults = [
    {
      fault: "another container has the name of a site behind the front",
      inject: async () => {
        const alias = ["--alias", siteAlias(names.a)];
        await inNetwork("connect", ...alias, sitesNetwork(front.name), await a.container("frontend"));
      },
      words:
        /another container answers for a\.localhost; expected edge-\w+ alone .*, found frontend-\w+ of stack/,
      // As the message says.
      mend: async (said: string) => {
        const [, command = ""] = /run "docker (network disconnect [^"]+)"/.exec(said) ?? [];
        await execa("docker", command.split(" "));
      },
    },
    {
      fault: "the edge has left the front's network",
      // The front waits for an edge, and so does the proof.
      onlyInFull: true,
      inject: async () => {
        await inNetwork("disconnect", sitesNetwork(front.name), await a.container("edge"));
      },
      words:
        /front \w+ finds no edge for a\.localhost; .*found no container at a\.localhost\.sites\.internal\. Deploy again/,
      mend: async () => void (await done(a.up())),
    },
  ];
  it.each(ofThisForm(faults))(
    "are refused by verify when $fault, and proven without it",
    ({ fault, inject, words, mend }) =>
      inMatrix({ into: "running", fault, link: "served" }, async (row) => {
        await inject();
        const { status, stderr } = await timed(row, () => a.verify());
        expect(stderr).toMatch(words);
        expect(status).toBe(1);
        row.detected = true;
        row.twin = false;
        await mend(stderr);
        const after = await a.verify();
        expect(after.stderr).toBe("");
        expect(after.status).toBe(0);
        row.twin = true;
      }),
  );

  it("get the front back that somebody has stopped or removed, by the command that the message names", async () => {
    for (const removal of [["stop", "--time", "1"], ...(FULL ? [["rm", "--force"]] : [])]) {
      const [{ id } = { id: "" }] = await sites();
      await execa("docker", [...removal, id]);
      const { status, stderr } = await a.verify();
      const remedy = /front \w+ does not run; .*Deploy it with "npm run up -- --stack (\w+)"/.exec(stderr);
      expect([status, remedy?.[1]]).toEqual([1, front.name]);
      const started = await front.command("up");
      expect([started.status, started.stdout]).toEqual([
        0,
        expect.stringContaining(`front ${front.name} answers on`),
      ]);
      expect(await get(names.a)).toMatch(/^200/);
    }
  });

  const lost = async () => {
    await done(front.destroy());
    const refused = await a.up();
    expect(refused.said).toMatch(/front \w+ does not run; .*Deploy it with "npm run up -- --stack \w+"/);
    expect(refused.ok).toBe(false);
    await done(front.up());
    expect((await done(a.up())).changes).toEqual({});
    expect((await done(front.up())).changes).toEqual({});
    expect(await get(names.a)).toMatch(/^200/);
    await deployPr("0");
  };
  if (FULL) it("lose and get back the front, as the message says, without a change of their own", lost);

  it("are no more environments than asked for, with a name for each", async () => {
    const tooMany = await run("pr", "add", two, "--most", "1");
    expect(tooMany.stderr).toMatch(
      /1 of 1 environments of pull requests exist: pr-\d+; remove one with "npm run pr -- remove/,
    );
    expect([tooMany.status, existsSync(fileOf(two))]).toEqual([1, false]);
    expect((await run("pr", "list")).stdout).toBe(`pr-${one}`);
    template({ publicUrl: urlOf("all.localhost") });
    const refused = await run("pr", "add", two);
    expect(refused.stderr).toMatch(/Pulumi\.pr\.yaml has the name all\.localhost for all; put pr-N into/);
    expect([refused.status, existsSync(fileOf(two))]).toEqual([2, false]);
    template({});
  });

  it("take their own names alone when one is destroyed, and an environment leaves nothing", async () => {
    const others = load(names.a);
    expect(await run("pr", "remove", one)).toMatchObject({ status: 0 });
    expect(await failures(others)).toEqual([]);
    expect([await leftovers(`pr-${one}`), existsSync(fileOf(one))]).toEqual([[], false]);
    const images = ["image", "ls", "--quiet", `watch-party-pr-${one}-*`];
    expect((await execa("docker", images)).stdout).toBe("");
    expect(await get(names.a)).toMatch(/^200/);
    const found = await readSites(new DockerEngine(), front.name);
    expect(found.filter((each) => each.names.includes(siteAlias(names.pr)))).toEqual([]);
    expect(await run("pr", "add", two, "--most", "1")).toMatchObject({ status: 0 });
    expect((await run("pr", "remove", two)).stdout).toBe(`there is no stack pr-${two}`);
  });
});
