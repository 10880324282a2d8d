"""What slow clients get: each group says what its publications are worth when late."""

from consumers import (
    App,
    Coalesce,
    DropOldest,
    Group,
    Groups,
    History,
    Limits,
    WebSocketConsumer,
    WebSocketRoute,
)

# Each line counts: who is too slow comes back and resumes. What every group does
# that declares nothing else.
orders = Group("orders", history=History(size=1000))
# A line of the log that is a second late is worth nothing.
tail = Group("tail", outbox=DropOldest(messages=50))
# Of each sensor only the latest value matters, ten times a second.
sensors = Group("sensors", outbox=Coalesce("sensor", every=0.1, batch=True))

groups = Groups(declared=[orders, tail, sensors])


class Feed(WebSocketConsumer):
    send_type = "json"
    # What may wait for one client in all.
    limits = Limits(outbox_messages=100, outbox_bytes=64 * 1024)

    async def on_connect(self) -> None:
        await self.join(orders, tail, sensors)

    async def on_disconnect(self, code: int) -> None:
        if self.dropped:
            print(f"{self.dropped} publications did not reach {self.id}")


class Control(WebSocketConsumer):
    async def on_receive(self, message: dict[str, object]) -> None:
        target = {"sensor": sensors, "line": tail}
        [kind] = [each for each in target if each in message] or [""]
        await self.publish(target.get(kind, orders), message)


app = App(
    [WebSocketRoute("/feed", Feed), WebSocketRoute("/control", Control)],
    groups=groups,
)
