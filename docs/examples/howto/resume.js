// Follow a feed: `show` gets each message once, in order, whatever the network does.
// `gap` is called where some may be missing.
export function follow(address, show, gap) {
  let position = null; // of the last message that was shown
  let failures = 0;

  function connect() {
    const url = new URL(address);
    if (position) url.searchParams.set("since", position);
    const socket = new WebSocket(url);
    socket.onmessage = ({ data }) => {
      const received = JSON.parse(data);
      failures = 0;
      if ("message" in received) {
        show(received.message);
        position = received.position;
      } else {
        if (position && !received.recovered) gap();
        if (received.replayed === 0) position = received.position;
      }
    };
    socket.onclose = ({ code }) => {
      if (code === 1008) return; // it is not wanted: do not come back
      const wait = Math.min(2 ** failures++, 30) * (0.5 + Math.random());
      setTimeout(connect, wait * 1000);
    };
  }

  connect();
}
