// What JSON schemas say, in words: types as TypeScript writes them, limits in English.

/** Follow references: `at("#/components/schemas/Said")`. */
export function resolver(document) {
  const at = (pointer) => pointer.slice(2).split("/")
    .map((part) => decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~"))
    .reduce((inside, name) => inside?.[name], document);
  return function resolve(value) {
    let found = value ?? {};
    // What stands beside a reference, a description for instance, is said of it.
    for (let hops = 0; typeof found.$ref === "string" && hops < 32; hops += 1) {
      const { $ref, ...beside } = found;
      found = { ...at($ref), ...beside };
      found.title ??= $ref.split("/").at(-1);
    }
    return found;
  };
}

/** The options of a union, `null` when it is none. */
export function options(schema) {
  if (schema.anyOf || schema.oneOf) return schema.anyOf ?? schema.oneOf;
  if (Array.isArray(schema.type)) return schema.type.map((type) => ({ ...schema, type }));
  return null;
}

/** The only value that fits, if there is only one: a tag. */
export function constant(schema) {
  if ("const" in schema) return { value: schema.const };
  if (schema.enum?.length === 1) return { value: schema.enum[0] };
  if (schema.type === "null") return { value: null };
  return null;
}

export const isObject = (schema) =>
  schema.type === "object" || Boolean(schema.properties);

/** What one object is called: its tag, or its type's name. */
export function nameOf(schema, resolve) {
  const found = resolve(schema);
  for (const inside of Object.values(found.properties ?? {})) {
    const only = constant(resolve(inside));
    if (typeof only?.value === "string") return only.value;
  }
  return found.title ?? typeText(found, resolve);
}

/** One line: `string`, `"red" | "green"`, `Said[]`. */
export function typeText(schema, resolve, depth = 0) {
  if (schema.$ref && depth) return resolve(schema).title;
  const found = resolve(schema);
  const union = options(found);
  if (union) {
    return union.map((one) => typeText(one, resolve, depth + 1)).join(" | ");
  }
  const only = constant(found);
  if (only) return JSON.stringify(only.value);
  if (found.enum) return found.enum.map((one) => JSON.stringify(one)).join(" | ");
  if (found.type === "array") {
    if (Array.isArray(found.items)) {
      const each = found.items.map((one) => typeText(one, resolve, depth + 1));
      return `[${each.join(", ")}]`;
    }
    const item = typeText(found.items ?? {}, resolve, depth + 1);
    return item.includes(" ") ? `(${item})[]` : `${item}[]`;
  }
  if (isObject(found)) {
    if (found.properties) return found.title ?? "object";
    const inside = found.additionalProperties;
    const value = inside && inside !== true ? typeText(inside, resolve, depth + 1) : "any";
    return `{ [key]: ${value} }`;
  }
  if (found.contentEncoding) return found.contentEncoding;
  return found.format ?? found.type ?? "any";
}

const size = (least, most, what) => {
  if (least === undefined && most === undefined) return [];
  if (least === 1 && most === undefined) return ["not empty"];
  if (least === most) return [`${most} ${what}`];
  if (most === undefined) return [`at least ${least} ${what}`];
  return [least ? `${least}–${most} ${what}` : `at most ${most} ${what}`];
};

const said = (...pairs) =>
  pairs.filter(([, value]) => value !== undefined).map((pair) => pair.join(" "));

/** The constraints: `["1–20 characters", "matches ^\\w+$"]`. */
export function limits(schema) {
  return [
    ...size(schema.minLength, schema.maxLength, "characters"),
    ...size(schema.minItems, schema.maxItems, "items"),
    ...(schema.minimum !== undefined && schema.maximum !== undefined
      ? [`${schema.minimum}–${schema.maximum}`]
      : said(["≥", schema.minimum], [">", schema.exclusiveMinimum],
        ["≤", schema.maximum])),
    ...said(["<", schema.exclusiveMaximum], ["a multiple of", schema.multipleOf],
      ["matches", schema.pattern]),
    ...(schema.uniqueItems ? ["no item twice"] : []),
  ];
}

/** Several lines: an object with its fields, and what they hold. */
export function outline(schema, resolve, indent = "", seen = []) {
  const found = resolve(schema);
  const inner = `${indent}  `;
  if (isObject(found) && found.properties && !seen.includes(found.title)) {
    const names = found.title ? [...seen, found.title] : seen;
    const required = new Set(found.required ?? []);
    const lines = Object.entries(found.properties).map(([name, value]) => {
      const said = resolve(value);
      const notes = [
        ...limits(said),
        ...(said.default !== undefined ? [`else ${JSON.stringify(said.default)}`] : []),
        ...(said.description ? [said.description.split("\n")[0]] : []),
      ];
      const tag = constant(said) !== null;
      const optional = required.has(name) || tag ? "" : "?";
      const type = outline(value, resolve, inner, names);
      return `${inner}${name}${optional}: ${type}${notes.length ? `  // ${notes.join("; ")}` : ""}`;
    });
    return lines.length ? `{\n${lines.join("\n")}\n${indent}}` : "{}";
  }
  const union = options(found);
  if (union?.some((one) => isObject(resolve(one)))) {
    return union.map((one) => outline(one, resolve, indent, seen)).join(" | ");
  }
  if (found.type === "array" && !Array.isArray(found.items) && isObject(resolve(found.items ?? {}))) {
    return `${outline(found.items, resolve, indent, seen)}[]`;
  }
  return typeText(found, resolve);
}
