// What close codes mean, from the server's own registry.

import { facts } from "page/facts";

const known = new Map(facts.codes.map((row) => [row.code, row]));
const returning = new Set(facts.returning);

const STATUSES = {
  400: "bad request", 401: "not authenticated", 403: "forbidden", 404: "not found",
  408: "timeout", 409: "conflict", 425: "too early", 429: "too many requests",
  500: "internal error", 502: "bad gateway", 503: "unavailable", 504: "gateway timeout",
};

/** {name, when, returns} of a close code. */
export function meaning(code) {
  const row = known.get(code);
  if (row) return row;
  if (code >= 4400 && code < 4600) {
    const status = code - 4000;
    const name = STATUSES[status] ?? `HTTP ${status}`;
    return { name, when: `the handshake was refused with ${status}`,
      returns: returning.has(code), renews: code === 4401 };
  }
  return { name: "of the application", when: "only the application knows", returns: false };
}

/** Whether a client should come back, in words. */
export function advice(code) {
  const { returns, renews } = meaning(code);
  if (renews) return "a client should get a new token and try once more";
  return returns ? "a client should return" : "a client should not return";
}
