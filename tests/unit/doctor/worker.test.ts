import { describe, expect, it } from "@jest/globals";
import { type Lines, NODE_APP, risksIn } from "../../support/doctorCases";

describe("packages/doctor/worker.ts", () => {
  it.each<[string, Lines, string[]]>([
    [
      "sw StaleWhileRevalidate",
      {
        ...NODE_APP,
        "src/sw.js": [
          "import { registerRoute } from 'workbox-routing';",
          "registerRoute(({ request }) => request.mode === 'navigate', new StaleWhileRevalidate());",
        ],
      },
      ["src/sw.js:2 error worker-serves-pages"],
    ],
    [
      "sw createHandlerBoundToURL",
      {
        ...NODE_APP,
        "src/service-worker.js": [
          "import { precacheAndRoute, createHandlerBoundToURL } from 'workbox-precaching';",
          "precacheAndRoute(self.__WB_MANIFEST);",
          "registerRoute(new NavigationRoute(createHandlerBoundToURL('/index.html')));",
        ],
      },
      ["src/service-worker.js:3 error worker-serves-pages"],
    ],
    [
      "sw cache first hand",
      {
        ...NODE_APP,
        "public/sw.js": [
          "const CACHE='v1';",
          "self.addEventListener('install', e => e.waitUntil(caches.open(CACHE).then(c => c.addAll(['/', '/index.html', '/app.js']))));",
          "self.addEventListener('fetch', e => e.respondWith(caches.match(e.request).then(r => r || fetch(e.request))));",
        ],
      },
      ["public/sw.js:3 error worker-serves-pages"],
    ],
    [
      "cra register",
      {
        ...NODE_APP,
        "src/index.js": [
          "import * as serviceWorkerRegistration from './serviceWorkerRegistration';",
          "serviceWorkerRegistration.register();",
        ],
        "src/service-worker.js": [
          "import { precacheAndRoute, createHandlerBoundToURL } from 'workbox-precaching';",
          "precacheAndRoute(self.__WB_MANIFEST);",
          "registerRoute(({request}) => request.mode === 'navigate', createHandlerBoundToURL(process.env.PUBLIC_URL + '/index.html'));",
        ],
      },
      ["src/service-worker.js:3 error worker-serves-pages"],
    ],
  ])("reports: %s", (_, files, expected) => {
    expect(risksIn(files)).toEqual(expected);
  });

  it.each<[string, Lines]>([
    [
      "sw push only",
      {
        ...NODE_APP,
        "public/sw.js": [
          "self.addEventListener('push', (e) => { self.registration.showNotification('x'); });",
          "self.addEventListener('notificationclick', () => clients.openWindow('/'));",
        ],
      },
    ],
    [
      "sw network first",
      {
        ...NODE_APP,
        "public/sw.js": [
          "self.addEventListener('fetch', (e) => { e.respondWith(fetch(e.request).catch(() => caches.match(e.request))); });",
        ],
      },
    ],
    [
      "sw self-destroying",
      {
        ...NODE_APP,
        "public/sw.js": [
          "self.addEventListener('install', () => self.skipWaiting());",
          "self.addEventListener('activate', () => self.registration.unregister().then(() => self.clients.matchAll()).then(c => c.forEach(x => x.navigate(x.url))));",
        ],
      },
    ],
  ])("is silent about: %s", (_, files) => {
    expect(risksIn(files)).toEqual([]);
  });
});
