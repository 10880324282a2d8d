// Makes forms of JSON schemas. A control is {element, read(), write(value)}; what is
// left out reads as undefined.

import { h, unique } from "page/dom";
import { constant, isObject, limits, nameOf, options, typeText } from "page/schema";

const DEEP = 8; // a schema that contains itself has to end somewhere

/** A control for one value. `field`: {label, required, resolve, depth, note}. */
export function control(schema, field) {
  const found = field.resolve(schema);
  const deeper = { ...field, depth: (field.depth ?? 0) + 1 };
  const only = constant(found);
  if (only) return fixed(only.value);
  if (deeper.depth > DEEP) return json(found, field);
  const union = options(found);
  if (union) {
    const others = union.filter((one) => field.resolve(one).type !== "null");
    return others.length === 1 && union.length === 2
      ? nullable(found, others[0], field)
      : choice(found, union, deeper);
  }
  if (found.enum) return select(found, field, found.enum);
  if (found.type === "boolean") {
    return field.required || "default" in found
      ? checkbox(found, field)
      : select(found, field, [true, false]);
  }
  if (found.type === "integer" || found.type === "number") return number(found, field);
  if (found.type === "string") return text(found, field);
  if (found.type === "array" && found.items && !Array.isArray(found.items)) return list(found, deeper);
  if (isObject(found) && found.properties) return fields(found, deeper);
  return json(found, field);
}

/** The label, type and limits of a control, and what is said of it. */
function row(schema, field, input, read, write) {
  input.id = unique();
  const about = [typeText(schema, field.resolve), ...limits(schema)].join(", ");
  const hint = schema.description && h("p.hint", { id: unique() }, schema.description);
  if (hint) input.setAttribute("aria-describedby", hint.id);
  const label = h("label", { for: input.id },
    h("span.name", null, field.label),
    field.required && h("span.required", { "aria-hidden": "true" }, "*"), " ",
    h("span.type", null, [about, field.note].filter(Boolean).join(" · ")));
  return { element: h("div.field", null, label, input, hint), input, read, write };
}

/** A value or null: what is left empty is null where it may not be left out. */
function nullable(schema, inner, field) {
  const { title, description, default: fallback } = schema;
  const beside = Object.fromEntries(
    Object.entries({ description, default: fallback ?? undefined, title })
      .filter(([, value]) => value !== undefined));
  const made = control({ ...field.resolve(inner), ...beside },
    { ...field, required: false, note: [field.note, "or null"].filter(Boolean).join(" ") });
  const read = () => made.read() ?? (field.required ? null : undefined);
  return { ...made, read, write: (value) => made.write(value ?? undefined) };
}

function fixed(value) {
  return { element: null, read: () => value, write() {} };
}

const rest = ({ default: value }) =>
  (value === undefined || typeof value === "string" ? value || undefined : JSON.stringify(value));

function text(schema, field) {
  const long = (schema.maxLength ?? 0) > 200;
  const attributes = {
    minlength: schema.minLength, maxlength: schema.maxLength,
    placeholder: rest(schema) ?? EXAMPLES[schema.format] ?? null,
    required: field.required && Boolean(schema.minLength || schema.format),
    spellcheck: "false", autocomplete: "off", autocapitalize: "off",
  };
  const input = long
    ? h("textarea", { ...attributes, rows: 3 })
    : h("input", { ...attributes, type: "text" });
  if (schema.pattern) matching(input, schema.pattern);
  return row(schema, field, input,
    () => (input.value === "" && !field.required ? undefined : input.value),
    (value) => { input.value = value ?? ""; });
}

const EXAMPLES = {
  "date-time": "2025-01-31T09:00:00Z", date: "2025-01-31", time: "09:00:00",
  uuid: "00000000-0000-4000-8000-000000000000", duration: "PT1H30M",
};

/** Python's patterns are found anywhere, and have an end that JavaScript has not. */
function matching(input, pattern) {
  let expression;
  try {
    expression = new RegExp(pattern.replaceAll("\\Z", "$").replaceAll("\\A", "^"), "u");
  } catch {
    return; // one that only Python reads: the server says what is wrong
  }
  const check = () => input.setCustomValidity(
    input.value === "" || expression.test(input.value) ? "" : `Must match ${pattern}`);
  input.addEventListener("input", check);
}

function number(schema, field) {
  const whole = schema.type === "integer";
  const nudge = whole ? 1 : 0; // above an exclusive limit by one, or checked by the server
  const input = h("input", {
    type: "number", inputmode: whole ? "numeric" : "decimal",
    min: schema.minimum ?? (schema.exclusiveMinimum !== undefined
      ? schema.exclusiveMinimum + nudge : null),
    max: schema.maximum ?? (schema.exclusiveMaximum !== undefined
      ? schema.exclusiveMaximum - nudge : null),
    step: schema.multipleOf ?? (whole ? 1 : "any"),
    required: field.required, placeholder: rest(schema), autocomplete: "off",
  });
  return row(schema, field, input,
    () => (input.value === "" ? undefined : Number(input.value)),
    (value) => { input.value = value ?? ""; });
}

function checkbox(schema, field) {
  const input = h("input", { type: "checkbox", checked: schema.default === true });
  const made = row(schema, field, input,
    () => (input.checked || field.required || schema.default === true
      ? input.checked : undefined),
    (value) => { input.checked = value ?? schema.default === true; });
  made.element.classList.add("check");
  return made;
}

function select(schema, field, values) {
  const none = schema.default === undefined ? "—" : `${schema.default} (default)`;
  const input = h("select", { required: field.required },
    h("option", { value: "" }, none),
    values.map((value, index) =>
      h("option", { value: index }, typeof value === "string" ? value : JSON.stringify(value))));
  if (field.required && values.length) input.selectedIndex = 1;
  return row(schema, field, input,
    () => (input.value === "" ? undefined : values[Number(input.value)]),
    (value) => {
      const index = values.indexOf(value);
      input.value = index < 0 ? "" : String(index);
    });
}

/** What no form can be made for: JSON. */
function json(schema, field) {
  const input = h("textarea.code", { rows: 3, spellcheck: "false", autocapitalize: "off",
    placeholder: rest(schema) ?? "JSON", required: field.required });
  input.addEventListener("input", () => {
    try {
      if (input.value.trim()) JSON.parse(input.value);
      input.setCustomValidity("");
    } catch (error) {
      input.setCustomValidity(error.message);
    }
  });
  return row(schema, field, input,
    () => (input.value.trim() ? JSON.parse(input.value) : undefined),
    (value) => { input.value = value === undefined ? "" : JSON.stringify(value, null, 2); });
}

function box(schema, field, ...children) {
  const about = [field.type ?? typeText(schema, field.resolve), ...limits(schema)].join(", ");
  return h("fieldset.box", null,
    h("legend", null, h("span.name", null, field.label),
      field.required && h("span.required", { "aria-hidden": "true" }, "*"), " ",
      h("span.type", null, about)),
    schema.description && field.depth > 1 && h("p.hint", null, schema.description),
    ...children);
}

/** The fields of an object; the outermost one has no box around it. */
function fields(schema, field) {
  const required = new Set(schema.required ?? []);
  const inside = Object.entries(schema.properties).map(([name, value]) => [
    name,
    control(value, { resolve: field.resolve, depth: field.depth, label: name,
      required: required.has(name) }),
  ]);
  const shown = inside.map(([, each]) => each.element).filter(Boolean);
  const empty = h("p.soft", null, "Nothing to fill in.");
  const held = h("div.fields", null, shown.length ? shown : empty);
  const present = h("input", { type: "checkbox", "aria-label": `With ${field.label}` });
  const optional = !field.required && field.depth > 1;
  const sync = () => { held.hidden = held.inert = optional && !present.checked; disable(); };
  const disable = () => {
    // What is left out must not keep the rest from being sent.
    for (const input of held.querySelectorAll("input, select, textarea")) {
      input.disabled = held.hidden;
    }
  };
  present.addEventListener("change", sync);
  const element = field.depth > 1 ? box(schema, field, optional && h("label.present", null,
    present, " include"), held) : held;
  sync();
  return {
    element,
    read() {
      if (optional && !present.checked) return undefined;
      const pairs = inside.map(([name, each]) => [name, each.read()]);
      return Object.fromEntries(pairs.filter(([, value]) => value !== undefined));
    },
    write(value) {
      present.checked = value !== undefined && value !== null;
      for (const [name, each] of inside) each.write(value?.[name]);
      sync();
    },
  };
}

function list(schema, field) {
  const items = [];
  const held = h("ol.items");
  const bound = () => { more.disabled = items.length >= (schema.maxItems ?? Infinity); };
  const add = (value) => {
    const inside = control(schema.items, { resolve: field.resolve, depth: field.depth,
      label: `${field.label} ${items.length + 1}`, required: true });
    const entry = { read: inside.read, element: h("li", null, inside.element,
      h("button.quiet", { type: "button", "aria-label": `Remove item of ${field.label}`,
        onclick() {
          items.splice(items.indexOf(entry), 1);
          entry.element.remove();
          items.forEach(({ element }, index) => {
            const name = element.querySelector(".name");
            if (name) name.textContent = `${field.label} ${index + 1}`;
          });
          bound();
        } }, "Remove")) };
    if (value !== undefined) inside.write(value);
    items.push(entry);
    held.append(entry.element);
    bound();
    return entry.element;
  };
  const more = h("button.quiet", { type: "button",
    onclick: () => add().querySelector("input, select, textarea")?.focus() },
  `Add to ${field.label}`);
  for (let count = 0; count < (schema.minItems ?? 0); count += 1) add();
  return {
    element: box(schema, field, held, more),
    read: () => (items.length || field.required ? items.map((each) => each.read()) : undefined),
    write(value) {
      items.length = 0;
      held.replaceChildren();
      for (const each of value ?? []) add(each);
      bound();
    },
  };
}

/** A union: first which of its types, then the value. */
function choice(schema, union, field) {
  const known = union.map((one) => field.resolve(one));
  const nothing = known.findIndex((one) => one.type === "null");
  const names = known.map((one) => (isObject(one) && one.properties
    ? nameOf(one, field.resolve) : typeText(one, field.resolve)));
  const which = h("select", { "aria-label": `Type of ${field.label}` },
    h("option", { value: "" }, field.required ? "choose…" : "—"),
    names.map((name, index) => h("option", { value: index }, name)));
  if (field.required) which.required = nothing < 0;
  const held = h("div.fields");
  let inside = null;
  const choose = (index) => {
    which.value = index === undefined ? "" : String(index);
    inside = index === undefined ? null : control(union[index], { resolve: field.resolve,
      depth: field.depth - (isObject(known[index]) ? 1 : 0), label: field.label,
      required: true });
    // In the box of the union, an object needs none of its own.
    held.replaceChildren(...(inside?.element ? [unboxed(inside.element)] : []));
  };
  which.addEventListener("change", () =>
    choose(which.value === "" ? undefined : Number(which.value)));
  if (field.required && nothing >= 0) choose(nothing);
  return {
    element: box(schema, { ...field, type: names.join(" | ") }, which, held),
    read: () => inside?.read(),
    write(value) {
      choose(value === undefined ? undefined : fitting(known, value, field.resolve));
      if (inside && value !== undefined) inside.write(value);
    },
  };
}

const unboxed = (element) =>
  (element.matches("fieldset.box") ? element.querySelector(":scope > .fields") ?? element : element);

/** The index of the option that a value is of, as well as can be told without checking. */
function fitting(known, value, resolve) {
  const kind = value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
  const index = known.findIndex((one) => {
    const only = constant(one);
    if (only) return only.value === value;
    if (one.enum) return one.enum.includes(value);
    if (kind === "object" && isObject(one)) {
      return Object.entries(one.properties ?? {}).every(([name, inside]) => {
        const tag = constant(resolve(inside));
        return !tag || tag.value === value[name];
      });
    }
    return one.type === kind || (kind === "number" && one.type === "integer");
  });
  return index < 0 ? undefined : index;
}
