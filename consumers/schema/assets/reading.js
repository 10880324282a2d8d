// Reads the AsyncAPI document: channels as the page shows them.

import { resolver } from "page/schema";

const KINDS = {
  "application/json": "json", "application/msgpack": "msgpack",
  "text/plain": "text", "application/octet-stream": "bytes",
};

/** {title, version, description, channels, resolve} */
export function read(document) {
  const resolve = merging(resolver(document));
  const operations = Object.entries(document.operations ?? {})
    .map(([name, one]) => ({ ...one, name }));
  const channels = Object.entries(document.channels ?? {}).map(([id, channel]) => {
    const mine = operations.filter((one) => one.channel?.$ref === `#/channels/${id}`);
    return readChannel(id, channel, mine, resolve);
  });
  const { title, version, description } = document.info;
  return { title, version, description, channels, resolve };
}

/** A reference beside which more is said is wrapped: {allOf: [{$ref}], default}. */
const merging = (resolve) => (value) => {
  const { allOf, ...beside } = resolve(value);
  return allOf?.length === 1 ? { ...resolve(allOf[0]), ...beside } : resolve(value);
};

function readChannel(id, channel, operations, resolve) {
  const protocols = channel["x-consumers-protocol"]?.subprotocols ?? [];
  const groups = channel["x-consumers-groups"] ?? [];
  const fed = new Set(groups.map((group) => group.operation));
  const received = operations.filter((one) => one.action === "receive");
  const sent = operations.filter((one) => one.action === "send" && !fed.has(one.name));
  return {
    id,
    title: channel.title ?? id,
    address: channel.address ?? "/",
    host: channel["x-consumers-host"],
    text: prose(channel),
    parameters: [...pathParameters(channel, resolve), ...queryParameters(channel, resolve)],
    protocols,
    secured: operations.some((one) => one.security?.length),
    takes: received.flatMap((one) => taken(one, resolve)),
    sends: sent.flatMap((one) => messages(one.messages, resolve)),
    groups: groups.map((group) => {
      const operation = operations.find((one) => one.name === group.operation) ?? {};
      return { ...group, text: prose(operation), sends: messages(operation.messages, resolve) };
    }),
  };
}

const prose = ({ summary, description }) =>
  [summary, description].filter(Boolean).join("\n\n");

function pathParameters(channel, resolve) {
  return [...(channel.address ?? "").matchAll(/\{(\w+)\}/g)].map(([, name]) => {
    const said = resolve(channel.parameters?.[name]);
    const schema = resolve(said["x-consumers-schema"] ?? { type: "string" });
    const least = schema.type === "string" && !schema.enum ? { minLength: 1 } : {};
    // In a path nothing is empty.
    return { name, where: "path", required: true, schema: { ...least, ...schema } };
  });
}

function queryParameters(channel, resolve) {
  const query = resolve(channel.bindings?.ws?.query);
  return Object.entries(query.properties ?? {}).map(([name, schema]) => ({
    name, where: "query", required: query.required?.includes(name) ?? false,
    schema: resolve(schema),
  }));
}

function messages(refs, resolve) {
  return (refs ?? []).map((ref) => {
    const one = resolve(ref);
    return {
      name: one.name ?? one.title,
      title: one.title,
      text: prose(one),
      schema: one.payload ?? {},
      kind: KINDS[one.contentType] ?? "json",
      examples: (one.examples ?? []).map((each) => each.payload),
    };
  });
}

/** One entry per type of message that an operation takes. */
function taken(operation, resolve) {
  const answers = messages(operation.reply?.messages, resolve)
    .filter((one) => one.name !== "error");
  return messages(operation.messages, resolve).map((message) => ({
    ...message,
    text: [...new Set([prose(operation), message.text])].filter(Boolean).join("\n\n"),
    streams: operation["x-consumers-stream"] === true,
    answers,
    correlated: Boolean(operation.reply),
  }));
}
