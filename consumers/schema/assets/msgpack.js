// MessagePack, as far as JSON goes, and bytes. Source: the MessagePack specification.

const text = new TextEncoder();
const read = new TextDecoder("utf-8", { fatal: true });

/** The bytes of a value. */
export function encode(value) {
  const parts = [];
  write(value, parts);
  return Uint8Array.from(parts.flat());
}

const bytesOf = (count, set) => {
  const view = new DataView(new ArrayBuffer(count));
  set(view);
  return [...new Uint8Array(view.buffer)];
};

/** A length, in the shortest of the forms that there are for it. */
function header(count, [fix, most], [small, middle, large], parts) {
  if (count <= most) parts.push(fix | count);
  else if (small && count < 256) parts.push(small, count);
  else if (count < 65_536) parts.push(middle, count >> 8, count & 255);
  else parts.push(large, bytesOf(4, (view) => view.setUint32(0, count)));
}

function write(value, parts) {
  if (value === null || value === undefined) parts.push(0xc0);
  else if (typeof value === "boolean") parts.push(value ? 0xc3 : 0xc2);
  else if (typeof value === "number") number(value, parts);
  else if (typeof value === "string") {
    const bytes = [...text.encode(value)];
    header(bytes.length, [0xa0, 31], [0xd9, 0xda, 0xdb], parts);
    parts.push(bytes);
  } else if (Array.isArray(value)) {
    header(value.length, [0x90, 15], [0, 0xdc, 0xdd], parts);
    for (const each of value) write(each, parts);
  } else if (value instanceof Uint8Array) {
    header(value.length, [0, -1], [0xc4, 0xc5, 0xc6], parts);
    parts.push([...value]);
  } else {
    const entries = Object.entries(value).filter(([, each]) => each !== undefined);
    header(entries.length, [0x80, 15], [0, 0xde, 0xdf], parts);
    for (const [key, each] of entries) {
      write(key, parts);
      write(each, parts);
    }
  }
}

function number(value, parts) {
  if (!Number.isSafeInteger(value)) {
    parts.push(0xcb, bytesOf(8, (view) => view.setFloat64(0, value)));
  } else if (value >= 0 && value < 128) parts.push(value);
  else if (value < 0 && value >= -32) parts.push(value & 255);
  else parts.push(0xd3, bytesOf(8, (view) => view.setBigInt64(0, BigInt(value))));
}

/** The value that bytes say; throws at what is no MessagePack. */
export function decode(data) {
  const bytes = new Uint8Array(data.buffer ?? data, data.byteOffset ?? 0, data.byteLength);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const take = (count) => {
    if (at + count > bytes.length) throw new RangeError("MessagePack ends too early");
    at += count;
    return at - count;
  };
  const whole = (count) => {
    const start = take(count);
    if (count === 1) return view.getUint8(start);
    if (count === 2) return view.getUint16(start);
    if (count === 4) return view.getUint32(start);
    return plain(view.getBigUint64(start));
  };
  const string = (count) => {
    const start = take(count);
    return read.decode(bytes.subarray(start, start + count));
  };
  const array = (count) => Array.from({ length: count }, value);
  const map = (count) => Object.fromEntries(
    Array.from({ length: count }, () => [String(value()), value()]));
  const blob = (count) => {
    const start = take(count);
    return bytes.slice(start, start + count);
  };
  const skipped = (count) => ({ extension: view.getInt8(take(1)), bytes: blob(count) });
  const forms = {
    0xc0: () => null, 0xc2: () => false, 0xc3: () => true,
    0xc4: () => blob(whole(1)), 0xc5: () => blob(whole(2)), 0xc6: () => blob(whole(4)),
    0xc7: () => skipped(whole(1)), 0xc8: () => skipped(whole(2)), 0xc9: () => skipped(whole(4)),
    0xca: () => view.getFloat32(take(4)), 0xcb: () => view.getFloat64(take(8)),
    0xcc: () => whole(1), 0xcd: () => whole(2), 0xce: () => whole(4), 0xcf: () => whole(8),
    0xd0: () => view.getInt8(take(1)), 0xd1: () => view.getInt16(take(2)),
    0xd2: () => view.getInt32(take(4)), 0xd3: () => plain(view.getBigInt64(take(8))),
    0xd4: () => skipped(1), 0xd5: () => skipped(2), 0xd6: () => skipped(4),
    0xd7: () => skipped(8), 0xd8: () => skipped(16),
    0xd9: () => string(whole(1)), 0xda: () => string(whole(2)), 0xdb: () => string(whole(4)),
    0xdc: () => array(whole(2)), 0xdd: () => array(whole(4)),
    0xde: () => map(whole(2)), 0xdf: () => map(whole(4)),
  };
  function value() {
    const first = whole(1);
    if (first < 0x80) return first;
    if (first < 0x90) return map(first & 15);
    if (first < 0xa0) return array(first & 15);
    if (first < 0xc0) return string(first & 31);
    if (first >= 0xe0) return first - 256;
    const form = forms[first];
    if (!form) throw new RangeError("0xc1 is no MessagePack");
    return form();
  }
  const found = value();
  if (at < bytes.length) throw new RangeError("more than one MessagePack value");
  return found;
}

const plain = (big) => (Number.isSafeInteger(Number(big)) ? Number(big) : big.toString());
