"""Accept by hand, with one of the subprotocols that the client offers.

A class that sets ``auto_accept = False`` accepts in ``on_handshake`` or ``on_connect``.
If it does not, the handshake is refused with 403.
"""

from consumers import App, WebSocketConsumer, WebSocketRoute


class Hello(WebSocketConsumer):
    auto_accept = False

    async def on_connect(self) -> None:
        if "hello.v1" in self.subprotocols:
            await self.accept("hello.v1", headers={"x-served-by": "hello"})
            await self.send("Hello, WebSockets!")
            await self.close()


app = App([WebSocketRoute("/hello", Hello)])
