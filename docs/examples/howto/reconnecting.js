// A page that goes on through broken connections. `client` is what `connect` of
// consumers.js returns; `page` has the few functions that change what people see.
export function open(client, group, page) {
  const status = {
    connecting: () => "connecting…",
    live: () => "",
    waiting: ({ retryAt }) => `reconnecting in ${Math.ceil((retryAt - Date.now()) / 1000)} s…`,
    offline: () => "no network",
    closed: ({ code }) => (code === 4403 ? "you may not see this" : "the connection has ended"),
  };
  const showStatus = () => page.status(status[client.state.name](client.state));
  const clock = setInterval(showStatus, 1000);
  client.on("state", ({ name }) => {
    if (name === "closed") clearInterval(clock);
    showStatus();
  });
  showStatus();

  const room = client.subscribe(group);
  room.on("subscribed", ({ recovered, snapshot }) => {
    if (!recovered) page.replace(snapshot); // else what was missed comes next
  });
  room.on("publication", ({ message }) => page.add(message));
  room.on("unsubscribed", ({ code }) => page.status(`no more messages: ${code}`));

  return async function say(text) {
    const line = page.pending(text); // shown at once, and grey
    try {
      await client.request({ type: "say", text });
      line.sent();
    } catch (error) {
      line.failed(error.code);
    }
  };
}
