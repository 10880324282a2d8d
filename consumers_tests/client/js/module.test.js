// The file as it is shipped.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

import * as module from "../../../consumers/client/consumers.js";
import { scripted } from "./scripted.js";

const folder = new URL("../../../consumers/client/", import.meta.url);
const source = readFileSync(new URL("consumers.js", folder));

test("it has less than 7 KiB, compressed", () => {
  for (const level of [6, 9]) assert.ok(gzipSync(source, { level }).length < 7 * 1024);
});

test("it imports nothing", () => {
  assert.doesNotMatch(String(source), /\bimport\b|\brequire\b/);
});

test("the types declare what it exports, and nothing more", () => {
  const types = String(readFileSync(new URL("consumers.d.ts", folder)));
  const declared = [...types.matchAll(/^export (?:class|function) (\w+)/gm)].map(([, name]) => name);

  assert.deepEqual([...new Set(declared)].sort(), Object.keys(module).sort());
});

test("the types declare each method of a client", () => {
  const types = String(readFileSync(new URL("consumers.d.ts", folder)));
  const body = types.slice(types.indexOf("export class Client"), types.indexOf("interface Publication"));
  const declared = new Set([...body.matchAll(/^ {2}(\w+)(?:<.*>)?\(/gm)].map(([, name]) => name));
  const methods = Object.getOwnPropertyNames(module.Client.prototype);

  for (const private_ of ["constructor"]) declared.delete(private_);
  assert.deepEqual([...declared].sort(), methods.filter((name) => name !== "constructor").sort());
});

test("names of groups are escaped as the server does", () => {
  const { groupName } = module;

  assert.equal(groupName("chat.{channel}", { channel: "lobby" }), "chat.lobby");
  assert.equal(groupName("{a}-{b}", { a: "x.y", b: 7 }), "x%2Ey-7");
  assert.equal(groupName("chat.{channel}", { channel: "" }), "chat.%");
  assert.equal(
    groupName("g.{v}", { v: "é/ü !*'()~_-:%\u{1f600}" }),
    "g.%C3%A9%2F%C3%BC%20%21%2A%27%28%29~_-%3A%25%F0%9F%98%80",
  );
  assert.throws(() => groupName("chat.{channel}", {}), /a value for channel/);
});

test("errors tell their code, and a detail that is a text", () => {
  const { Closed, ConsumersError, MessageError } = module;

  const error = new MessageError("busy", "come later");
  assert.ok(error instanceof ConsumersError && error instanceof Error);
  assert.equal(String(error), "MessageError: busy: come later");
  assert.equal(String(new MessageError("busy", { n: 1 })), "MessageError: busy");
  assert.equal(new Closed("closed").name, "Closed");
});

test("states can't be changed by who looks at them", () => {
  const { client } = scripted();

  assert.throws(() => {
    client.state.name = "live";
  }, TypeError);
});
