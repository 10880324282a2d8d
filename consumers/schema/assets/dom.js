// Makes elements. Text is only ever text: nothing here, or anywhere else, parses HTML.

let last = 0;

/** An id that nothing else on the page has. */
export const unique = () => `e${++last}`;

/** An element: `h("p.soft", {title: "…", onclick}, "text", another, null)`. */
export function h(selector, attributes, ...children) {
  const [name, ...classes] = selector.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child || child === 0));
  return element;
}

/** Prose as docstrings have it: paragraphs, and ``code`` in backticks. */
export function prose(text) {
  return (text ?? "").trim().split(/\n\s*\n/).filter(Boolean).map((paragraph) =>
    h("p", null, paragraph.split(/(`+[^`]+`+)/).map((part) =>
      part.startsWith("`") ? h("code", null, part.replace(/^`+|`+$/g, "")) : part)));
}

/** Buttons of which one is pressed; `chosen(value)` learns which. */
export function segments(label, options, chosen) {
  const name = unique();
  const inputs = Object.entries(options).map(([value, text], index) =>
    h("label", null,
      h("input", { type: "radio", name, value, checked: index === 0,
        onchange: () => chosen(value) }),
      h("span", null, text)));
  return h("fieldset.segments", null, h("legend.unseen", null, label), inputs);
}

const TOKENS = /("(?:[^"\\]|\\.)*")(\s*:)?|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\b(?:true|false|null)\b/g;

/** JSON with its keys, texts and numbers told apart. */
export function highlighted(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(TOKENS)) {
    parts.push(text.slice(end, match.index));
    const kind = match[2] ? "key" : match[1] ? "text" : "number";
    parts.push(h(`span.${kind}`, null, match[1] ?? match[0]), match[2] ?? "");
    end = match.index + match[0].length;
  }
  return h("pre.json", null, parts, text.slice(end));
}

/** Put a text on the clipboard; tell in the button that it is there. */
export async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Not over plain HTTP from elsewhere: the old way.
    const area = h("textarea", { readonly: true });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say("Copied");
  button.dataset.label ??= button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = button.dataset.label; }, 1200);
}

/** Tell those who listen to the page instead of seeing it. */
export function say(text) {
  document.getElementById("said").textContent = text;
}
