// Cards of messages: a form and a JSON editor, the buttons, and what came of each.

import { h, highlighted, prose, segments, unique } from "page/dom";
import { control } from "page/form";
import { duration } from "page/frames";
import { isObject, nameOf, outline, typeText } from "page/schema";

const KEPT = 5; // results shown under one message
const ITEMS = 500; // shown of one stream

/** What a message's payload is named by. */
const named = (message, resolve) => {
  const schema = resolve(message.schema);
  return isObject(schema) ? nameOf(schema, resolve) : message.name;
};

function summary(message, resolve, ...more) {
  const first = (message.text.split("\n")[0] ?? "").trim();
  return h("summary", null,
    h("span.message", null, named(message, resolve)), ...more,
    first && h("span.brief", null, first));
}

/** A message that the consumer sends: what it looks like. */
export function pushCard(message, resolve) {
  return { element: h("details.card", null, summary(message, resolve),
    h("div.inside", null, h("div.prose", null, prose(message.text)),
      h("pre.shape", null, outline(message.schema, resolve)))) };
}

/** A message that it takes. `consumer` has the session to send it by. */
export function messageCard(message, consumer, open) {
  const { resolve } = consumer;
  const schema = resolve(message.schema);
  const answer = message.answers.map((one) => typeText(one.schema, resolve, 1)).join(" | ");
  const editor = twofold(message, resolve);
  const results = h("ol.results", { "aria-label": `Answers to ${message.name}` });
  const problem = h("p.problem", { role: "alert", hidden: true });
  const tell = (text) => { problem.textContent = text; problem.hidden = !text; };
  const act = (how) => {
    tell("");
    let value;
    try {
      if (!editor.check()) return;
      value = editor.read();
    } catch (error) {
      tell(`This is not JSON: ${error.message}`);
      return;
    }
    try {
      how(value);
    } catch (error) {
      tell(error.message);
    }
  };
  const send = h("button", { type: "button",
    onclick: () => act((value) => consumer.session.send(value)) }, "Send");
  const ask = h("button", { type: "button",
    onclick: () => act((value) => results.prepend(
      request(consumer, value, message.streams, results))) },
  message.streams ? "Stream" : "Request");
  const asks = message.correlated && isObject(schema) && message.kind !== "text";
  const first = asks && (message.streams || message.answers.length) ? ask : send;
  first.classList.add("primary");
  const hint = h("span.soft.hint", null);
  const form = h("form.inside", { novalidate: true,
    onsubmit: (event) => { event.preventDefault(); if (!first.disabled) first.click(); },
    onkeydown: (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    } },
  h("div.prose", null, prose(message.text)),
  editor.element,
  h("div.bar", null, first, asks && (first === ask ? send : ask), hint),
  problem, results,
  message.answers.length > 0 && h("details.answer", null,
    h("summary", null, message.streams ? "Items of the answer" : "The answer"),
    message.answers.map((one) => h("pre.shape", null, outline(one.schema, resolve)))));
  const element = h("details.card", { open }, summary(message, resolve,
    answer && h("span.reply", null, message.streams ? `→ stream of ${answer}` : `→ ${answer}`)),
  form);
  return {
    element,
    show({ live }) {
      send.disabled = ask.disabled = !live;
      hint.textContent = live ? "" : "Connect first.";
    },
  };
}

/** The two editors of one payload: a form, and its JSON. */
function twofold(message, resolve) {
  const { kind } = message;
  const schema = resolve(message.schema);
  if (kind === "text" || kind === "bytes") {
    const input = h("textarea.code", { rows: 3, spellcheck: "false", id: unique() });
    return {
      element: h("div.field", null,
        h("label", { for: input.id }, kind === "text" ? "Text" : "Text, sent as bytes"), input),
      check: () => true, read: () => input.value,
    };
  }
  const shaped = Object.keys(schema).some((key) => key !== "title" && key !== "description");
  const form = shaped
    ? control(message.schema, { resolve, label: message.name, required: true })
    : null;
  const area = h("textarea.code", { rows: 6, spellcheck: "false", autocapitalize: "off",
    "aria-label": `JSON of ${message.name}` });
  let raw = !form;
  const fields = h("div", null, form?.element ?? null);
  const text = h("div", { hidden: true }, area);
  const switched = (which) => {
    const value = raw ? read(area.value) : form.read();
    raw = which === "json";
    if (raw) area.value = JSON.stringify(value ?? null, null, 2);
    else if (value !== undefined) form.write(value);
    show();
  };
  const show = () => { fields.hidden = raw; text.hidden = !raw; };
  const tabs = segments("How to write it", { form: "Form", json: "JSON" }, switched);
  tabs.hidden = !form;
  const example = message.examples.length > 0 && h("button.quiet", { type: "button",
    onclick: () => {
      form?.write(message.examples[0]);
      area.value = JSON.stringify(message.examples[0], null, 2);
    } }, "Fill in the example");
  show();
  return {
    element: h("div.editor", null, h("div.bar", null, tabs, example), fields, text),
    // The JSON editor is for what the form would not let through.
    check() { return raw || valid(fields); },
    read: () => (raw ? JSON.parse(area.value) : form.read()),
  };
}

function valid(fields) {
  const wrong = [...fields.querySelectorAll("input, select, textarea")]
    .find((input) => !input.disabled && !input.checkValidity());
  wrong?.reportValidity();
  return !wrong;
}

function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the form stays as it was
  }
}

/** Ask, and show what comes: one entry of the results. */
function request(consumer, value, streams, results) {
  const began = performance.now();
  const since = () => duration(performance.now() - began);
  const state = h("span.outcome", null, streams ? "streaming…" : "waiting…");
  const cancel = h("button.quiet", { type: "button" }, "Cancel");
  const items = h("ol.items");
  const held = h("div.held");
  const element = h("li.result", { "data-outcome": "waiting" },
    h("p", null, state, " ", cancel), items, held);
  let count = 0;
  const end = (outcome, text) => {
    element.dataset.outcome = outcome;
    state.textContent = text;
    cancel.remove();
  };
  const work = consumer.session.request(value, {
    item(item) {
      count += 1;
      state.textContent = `${count} ${count === 1 ? "item" : "items"}, ${since()}`;
      items.append(h("li", null, highlighted(JSON.stringify(item))));
      if (items.childElementCount > ITEMS) items.firstElementChild.remove();
      items.scrollTop = items.scrollHeight;
    },
    done(reply) {
      end("done", streams ? `done: ${count} ${count === 1 ? "item" : "items"} in ${since()}`
        : `answered in ${since()}`);
      if (!streams) held.append(highlighted(JSON.stringify(reply ?? null, null, 2)));
    },
    failed({ code, detail }) {
      const after = count ? ` after ${count} ${count === 1 ? "item" : "items"}` : "";
      end(code === "cancelled" ? "cancelled" : "error", `${code}${after}, ${since()}`);
      if (detail !== undefined && detail !== null) {
        held.append(highlighted(JSON.stringify(detail, null, 2)));
      }
    },
  }, streams);
  cancel.addEventListener("click", () => work.cancel());
  while (results.childElementCount >= KEPT) results.lastElementChild.remove();
  return element;
}
