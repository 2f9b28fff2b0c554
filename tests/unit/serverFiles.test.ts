import { describe, expect, it } from "@jest/globals";
import type { Break } from "../../freshness/chain";
import { changesVerdict } from "../../freshness/container";
import { capabilityRemedy, missingCapability } from "../../freshness/container/capability";
import { SERVER_FILES } from "../../freshness/container/serverFiles";

const judge = (lines: readonly string[], commands: readonly string[]) =>
  changesVerdict(
    "web",
    "web-1",
    lines.map((line) => ({ kind: line[0] as "A", path: line.slice(2) })),
    [],
    [],
    commands,
  );

describe("files that servers write", () => {
  it.each<[string, string, string[]]>([
    [
      "caddy",
      "caddy run --config /etc/caddy/Caddyfile",
      ["A /config/caddy/autosave.json", "A /data/caddy/locks", "A /data/caddy/instance.uuid"],
    ],
    [
      "nginx",
      "nginx: master process nginx -g daemon off;",
      ["A /var/lib/nginx/body", "A /var/lib/nginx/proxy/1/00"],
    ],
    [
      "nginx",
      "/docker-entrypoint.sh nginx -g daemon off;",
      ["C /etc", "C /etc/nginx", "C /etc/nginx/conf.d", "C /etc/nginx/conf.d/default.conf"],
    ],
    ["apache", "httpd-foreground", ["A /usr/local/apache2/logs/httpd.pid"]],
    [
      "php-fpm",
      "php-fpm: master process (/etc/php-fpm.conf)",
      ["A /usr/local/var/run/php-fpm.pid", "A /var/lib/php/sessions/sess_abc"],
    ],
    ["php", "/usr/sbin/apache2 -D FOREGROUND", ["A /var/lib/php/sessions/sess_a1,b-2"]],
    ["php", "php8.2 -S 0.0.0.0:8000", ["A /var/lib/php/sessions/sess_abc"]],
    ["gunicorn", "/usr/bin/python3 /usr/local/bin/gunicorn app:app", ["A /app/gunicorn.ctl"]],
    [
      "puma",
      "puma 6.4.2 (tcp://0.0.0.0:3000) [app]",
      ["A /app/tmp/pids/server.pid", "A /app/log/production.log"],
    ],
    [
      "next",
      "next-server (v16.0.1)",
      ["C /app/.next/server/app/index.html", "C /app/.next/server/app/index.rsc"],
    ],
  ])("are those of %s if it runs as %s", (_, command, lines) => {
    expect(judge(lines, [command]).status).toBe("proven");
    expect(judge(lines, ["python3 server.py"]).status).toBe("broken");
    expect(judge(lines, []).status).toBe("broken");
  });

  it.each([
    ["caddy run", "A /data/caddy/evil.js"],
    ["caddy run", "A /srv/index.html"],
    ["/docker-entrypoint.sh nginx", "C /etc/nginx/nginx.conf"],
    ["/docker-entrypoint.sh nginx", "D /etc/nginx/conf.d/default.conf"],
    ["next-server", "C /app/.next/server/app/page.js"],
    ["puma", "C /app/app/models/user.rb"],
  ])("are none if %s has %s", (command, line) => {
    expect(judge([line], [command]).status).toBe("broken");
  });

  it("all have a source", () => {
    for (const { source } of SERVER_FILES) expect(source).not.toBe("");
  });
});

describe("the first remedy", () => {
  it("is caches, with the folders to name, if other files than code were added", () => {
    expect(judge(["A /srv/uploads/a.png", "A /srv/uploads/b.png", "A /var/lib/app/x.db"], [])).toMatchObject({
      remedy: expect.stringMatching(
        /^If the service writes them on purpose, declare their folders in watch-party:services\.web\.caches: \["\/srv\/uploads","\/var\/lib\/app"\]/,
      ),
    });
  });

  it("is caches: the same files below the named folders pass", () => {
    const changes = ["/srv/uploads/a.png", "/var/lib/app/x.db"].map((path) => ({ kind: "A" as const, path }));
    const { remedy } = changesVerdict("web", "web-1", changes, []) as Break;
    const [, named = ""] = /services\.web\.caches: (\[.*?\])/.exec(remedy) ?? [];
    const caches = JSON.parse(named) as string[];
    expect(changesVerdict("web", "web-1", changes, caches).status).toBe("proven");
  });

  it.each(["C /app/page.html", "A /app/route.py"])("is a new container after %s", (line) => {
    expect(judge([line], [])).toMatchObject({ remedy: expect.stringMatching(/^Remove the container/) });
  });
});

describe("a capability that is missing", () => {
  it.each([
    ["nginx: [emerg] setgid(101) failed (1: Operation not permitted)", "SETGID"],
    ["2026/01/01 [emerg] 1#1: initgroups(nginx, 101) failed (1: Operation not permitted)", "SETGID"],
    [
      'nginx: [emerg] chown("/var/cache/nginx/client_temp", 101) failed (1: Operation not permitted)',
      "CHOWN",
    ],
    ["(1)Operation not permitted: AH00548: setgid: unable to set group id to Group 33", "SETGID"],
    ["ERROR: [pool www] failed to setuid(33): Operation not permitted (1)", "SETUID"],
    ['error: failed switching to "postgres": operation not permitted', "SETUID"],
    ["su-exec: setgroups: Operation not permitted", "SETGID"],
    ["chown: changing ownership of '/data': Operation not permitted", "CHOWN"],
    ["(13)Permission denied: AH00072: make_sock: could not bind to address [::]:80", "NET_BIND_SERVICE"],
    ["nginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)", "NET_BIND_SERVICE"],
  ])("is recognised in %s", (line, capability) => {
    expect(missingCapability(`starting\n${line}\n`, [])).toEqual({ capability, line });
    expect(missingCapability(line, [capability])).toBeUndefined();
    expect(missingCapability(line, [`CAP_${capability}`])).toBeUndefined();
  });

  it.each(["", "Error: Cannot find module 'x'", "EACCES: permission denied, open '/app/x'"])(
    "is not recognised in %j",
    (log) => {
      expect(missingCapability(log, [])).toBeUndefined();
    },
  );

  it("is named with the preset that helps", () => {
    expect(capabilityRemedy("web", { capability: "SETGID", line: "setgid failed" })).toMatch(
      /SETGID.*watch-party:services\.web\.capabilities to webserver/,
    );
    expect(capabilityRemedy("web", { capability: "NET_RAW", line: "ping" })).not.toContain("webserver");
  });
});
