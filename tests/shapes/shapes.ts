import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

/** The apps, a folder each, relative to the project. */
export const APPS = "tests/shapes/apps";

/** An ordinary app: what it consists of, and how it is deployed. */
export interface Shape {
  /** Its folder. */
  readonly name: string;
  readonly server: string;
  readonly framework: string;
  readonly base: string;
  readonly layout: string;
  /** The stack's services, as its README would have them; contexts are relative to the app. */
  readonly services: Readonly<Record<string, Record<string, unknown>>>;
  /** Path below the app's route → a text of the answer. */
  readonly answers: Readonly<Record<string, string>>;
}

/** All shapes, by name. */
export function readShapes(): Shape[] {
  const folder = join(__dirname, "apps");
  return readdirSync(folder)
    .sort()
    .map((name) => ({ name, ...parse(readFileSync(join(folder, name, "shape.yaml"), "utf8")) }));
}

/** The path at the edge below which a shape answers: its own name, unless it has a route of its own. */
export function routeOf({ name, services }: Shape): string {
  const routes = Object.values(services).flatMap(({ route }) => (typeof route === "string" ? [route] : []));
  return routes[0] ?? `/${name}`;
}

/** The services of shapes that are deployed as one stack. */
export function servicesOf(shapes: readonly Shape[]): Record<string, Record<string, unknown>> {
  return Object.fromEntries(
    shapes.flatMap((shape) =>
      Object.entries(shape.services).map(
        ([name, service]) => [name, serviceOf(shape, name, service)] as const,
      ),
    ),
  );
}

/** The service that has the shape's name answers at the shape's route. */
function serviceOf(shape: Shape, name: string, service: Record<string, unknown>): Record<string, unknown> {
  const context =
    service.image === undefined ? { context: join(shape.name, String(service.context ?? "")) } : {};
  const isReached = name === shape.name && service.route === undefined;
  const route = isReached ? { route: `/${shape.name}`, stripPrefix: true } : {};
  return { ...route, ...service, ...context };
}
