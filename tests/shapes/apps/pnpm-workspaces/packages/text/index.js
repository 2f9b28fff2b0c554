export const text = "hello from Hono";
