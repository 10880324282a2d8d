// How messages become WebSocket messages: JSON, MessagePack, text, bytes.

import { decode, encode } from "page/msgpack";

const CODECS = {
  json: { encode: JSON.stringify, framing: undefined },
  msgpack: {
    encode,
    decode(data) {
      try {
        return decode(data);
      } catch {
        return undefined; // bytes that are something else
      }
    },
    framing: { name: "msgpack", binary: true, encode, decode },
  },
  text: { encode: String },
  bytes: { encode: (text) => new TextEncoder().encode(text) },
};

/** The codec of a content type's short name. */
export const codecOf = (kind) => CODECS[kind] ?? CODECS.json;
