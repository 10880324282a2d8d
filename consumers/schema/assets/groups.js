// Cards of groups: subscribing to one, and what is published to it.

import { groupName } from "consumers";
import { h, highlighted, prose } from "page/dom";
import { control } from "page/form";
import { typeText } from "page/schema";

const KEPT = 50; // publications shown

/** A group that clients may subscribe to, by consumers.v1. */
export function groupCard(group, consumer) {
  const { resolve } = consumer;
  const inputs = group.parameters.map((name) => ({ name, ...control({ type: "string", minLength: 1 },
    { resolve, label: name, required: true }) }));
  for (const each of inputs) {
    // Often it is the parameter of the path: take that over until told otherwise.
    const same = consumer.parameters.find(({ name }) => name === each.name);
    same?.control.element?.addEventListener("input", () => each.write(same.control.read()));
  }
  const position = control({ type: "string", description: "Where to go on: “offset.epoch”." },
    { resolve, label: "position", required: false });
  const button = h("button.primary", { type: "submit" }, "Subscribe");
  const hint = h("span.soft.hint");
  const state = h("p.status");
  const list = h("ol.publications", { "aria-label": `Publications of ${group.pattern}` });
  let unsubscribe = null;
  const end = (text) => {
    unsubscribe = null;
    state.textContent = text;
    button.textContent = "Subscribe";
  };
  const show = (label, value) => {
    list.append(h("li", null, h("span.label", null, label),
      value !== undefined && highlighted(JSON.stringify(value))));
    if (list.childElementCount > KEPT) list.firstElementChild.remove();
    list.scrollTop = list.scrollHeight;
  };
  const told = (event, detail, subscription) => {
    if (event === "subscribed") {
      const recovered = detail.recovered ? "recovered" : "from now on";
      state.textContent = `Subscribed, ${recovered}`;
      show("snapshot", detail.snapshot ?? undefined);
    } else if (event === "publication") {
      show(detail.position ?? "", detail.message);
    } else {
      end(`${detail.code ?? "failed"}${detail.detail === undefined ? "" : `: ${JSON.stringify(detail.detail)}`}`);
      state.dataset.state = "error";
      return;
    }
    state.dataset.state = "live";
    if (subscription.position) position.input.value = subscription.position;
  };
  const form = h("form.inside", { novalidate: true, onsubmit: (event) => {
    event.preventDefault();
    if (unsubscribe) {
      unsubscribe();
      end("Not subscribed");
      state.dataset.state = "closed";
      return;
    }
    if (!form.reportValidity()) return;
    const values = Object.fromEntries(inputs.map((each) => [each.name, each.read() ?? ""]));
    list.replaceChildren();
    state.textContent = "Subscribing…";
    button.textContent = "Unsubscribe";
    try {
      unsubscribe = consumer.session.subscribe(
        groupName(group.pattern, values), position.read(), told);
    } catch (error) {
      end(error.message);
      state.dataset.state = "error";
    }
  } },
  h("div.prose", null, prose(group.text)),
  h("div.fields", null, inputs.map((each) => each.element),
    group.history && position.element),
  h("div.bar", null, button, state, hint), list);
  const facts = [group.history && "history", group.presence && "presence"].filter(Boolean);
  const types = group.sends.map((one) => typeText(one.schema, resolve, 1)).join(" | ");
  const element = h("details.card", null,
    h("summary", null, h("span.message", null, group.pattern),
      types && h("span.reply", null, `→ ${types}`),
      facts.length > 0 && h("span.brief", null, `with ${facts.join(" and ")}`)), form);
  return {
    element,
    show({ live, mode }) {
      const can = live && mode !== "plain";
      button.disabled = !can;
      hint.textContent = can ? "" : mode === "plain" ? "Needs consumers.v1." : "Connect first.";
      if (!live && unsubscribe && !consumer.session) {
        end("Not subscribed");
        state.dataset.state = "closed";
      }
    },
  };
}
