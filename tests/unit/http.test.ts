import { createServer, type RequestListener, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { afterEach, describe, expect, it } from "@jest/globals";
import { ask, askPage, MOST_BYTES } from "../../proof/http";

const closing: (() => unknown)[] = [];
afterEach(() => Promise.all(closing.splice(0).map((close) => close())));

async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  closing.push(() => server.close().closeAllConnections());
  return urlOf(server);
}

/** What a server sends that is no server of HTTP. */
async function serveRaw(talk: (socket: Socket) => void): Promise<string> {
  const sockets: Socket[] = [];
  const server = createTcpServer((socket) => {
    sockets.push(socket.on("error", () => socket.destroy()));
    talk(socket);
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return urlOf(server as unknown as Server);
}

function urlOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

/** Writes until the client disconnects. */
function flood(to: NodeJS.WritableStream, chunk: Uint8Array): void {
  const more = () => {
    while (to.writable && to.write(chunk));
  };
  to.on("drain", more);
  more();
}

const QUICK = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } };
const CHUNK = Buffer.alloc(1 << 20, "<!--");

describe("an answer is read", () => {
  it("up to its limit if it is endless, and then does not count", async () => {
    const url = await serve((_, response) => flood(response, CHUNK));
    const before = process.memoryUsage.rss();
    const answer = await ask(url);
    expect(answer).toMatchObject({
      status: 0,
      body: "",
      endless: true,
      error: "the answer did not end within 32 MiB",
    });
    expect(process.memoryUsage.rss() - before).toBeLessThan(200 << 20);
  });

  it("up to its limit if it declares its length", async () => {
    const url = await serve((_, response) => {
      response.setHeader("content-length", MOST_BYTES + 5);
      response.end(Buffer.alloc(MOST_BYTES + 5, "x"));
    });
    const answer = await ask(url);
    expect(answer).toMatchObject({ status: 200, error: "" });
    expect(answer.body).toHaveLength(MOST_BYTES);
  });

  it("completely if it is large and valid", async () => {
    const page = `<!doctype html>${"<p>word</p>".repeat(1_000_000)}`;
    const url = await serve((_, response) => response.end(page));
    expect((await ask(url)).body === page).toBe(true);
  });

  it.each<[string, (response: ServerResponse) => void]>([
    ["headers and then nothing", (response) => response.writeHead(200).flushHeaders()],
    ["a byte now and then", (response) => void setInterval(() => response.write("x"), 10).unref()],
  ])("until its timeout if it is %s", async (_, answer) => {
    const url = await serve((_, response) => answer(response));
    const answered = await ask(url, { timeoutMs: 300 });
    expect(answered).toMatchObject({ status: 0, error: "the answer did not end within 0.3 s" });
  });

  it.each<[string, (socket: Socket) => void, RegExp]>([
    [
      "headers without end",
      (socket) => {
        socket.write("HTTP/1.1 200 OK\r\n");
        flood(socket, Buffer.from(`X-More: ${"x".repeat(1000)}\r\n`));
      },
      /overflow/i,
    ],
    [
      "one header without end",
      (socket) => {
        socket.write("HTTP/1.1 200 OK\r\nX-More: ");
        flood(socket, CHUNK);
      },
      /overflow|invalid header/i,
    ],
    [
      "interim answers without end",
      (socket) => flood(socket, Buffer.from("HTTP/1.1 103 Early\r\n\r\n")),
      /did not end/,
    ],
    ["no answer at all", () => undefined, /the answer did not end within 0\.5 s/],
    [
      "a connection that breaks off",
      (socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"),
      /aborted/,
    ],
    ["no HTTP", (socket) => socket.end("\0\0\0"), /Parse Error/],
  ])("and refused if it is %s", async (_, talk, error) => {
    const url = await serveRaw(talk);
    const answered = await ask(url, { timeoutMs: 500 });
    expect(answered).toMatchObject({ status: 0, error: expect.stringMatching(error) });
  });

  it.each([
    ["gzip", gzipSync],
    ["br", (text: Buffer | string) => brotliCompressSync(text, QUICK)],
  ])("decoded from %s, up to its limit", async (encoding, compress) => {
    const bomb = compress(Buffer.alloc(64 << 20));
    const url = await serve((request, response) => {
      response.setHeader("content-encoding", encoding);
      response.write(request.url === "/bomb" ? bomb : compress("<p>hello</p>"));
      response.end();
    });
    expect(await ask(url)).toMatchObject({ status: 200, body: "<p>hello</p>" });
    expect(await ask(`${url}bomb`)).toMatchObject({ status: 0, endless: true });
  });

  it("in its charset, and as UTF-8 for an unknown one", async () => {
    const types: Record<string, string> = {
      "/latin": "text/html; charset=ISO-8859-1",
      "/none": 'text/html; charset="no such"',
      "/proto": "text/html; charset=__proto__",
    };
    const url = await serve((request, response) => {
      response.writeHead(200, { "content-type": types[request.url!]! });
      response.end(Buffer.from("é", request.url === "/latin" ? "latin1" : "utf8"));
    });
    const bodies = await Promise.all(Object.keys(types).map((path) => ask(new URL(path, url).href)));
    expect(bodies.map(({ body }) => body)).toEqual(["é", "é", "é"]);
  });

  it("in parallel, with eight in memory", async () => {
    const url = await serve((_, response) => flood(response, CHUNK));
    const before = process.memoryUsage.rss();
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, process.memoryUsage.rss() - before);
    }, 5);
    const answers = await Promise.all(Array.from({ length: 24 }, () => askPage(url, { timeoutMs: 60_000 })));
    clearInterval(watch);
    expect(answers.every(({ endless }) => endless)).toBe(true);
    expect(most).toBeLessThan(700 << 20);
  });

  it("even while another address does not answer", async () => {
    const silent = await serve(() => undefined);
    const good = await serve((_, response) => response.end("x"));
    const waited = Array.from({ length: 20 }, () => ask(silent, { timeoutMs: 2_000 }));
    expect(await ask(good, { timeoutMs: 1_900 })).toMatchObject({ status: 200, body: "x" });
    expect((await Promise.all(waited)).every(({ status }) => status === 0)).toBe(true);
  });
});
