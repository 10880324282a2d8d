"""A chat whose health, metrics and traces can be asked for."""

from consumers import App, Groups, WebSocketConsumer, WebSocketRoute
from consumers.metrics.otel import OpenTelemetry
from consumers.metrics.prometheus import Prometheus
from consumers.observing import Observer

groups = Groups()
metrics = Prometheus()


class Chat(WebSocketConsumer):
    async def on_connect(self) -> None:
        await self.join("lobby")

    async def on_receive(self, message: str) -> None:
        await self.publish("lobby", message)


class Slow(Observer):
    """Keeps what took long."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def handled(
        self,
        connection: WebSocketConsumer,
        name: str,
        seconds: float,
        error: BaseException | None,
    ) -> None:
        if seconds > 1:
            self.found.append(f"{connection.id} {name}: {seconds:.1f} s")


app = App(
    [WebSocketRoute("/chat", Chat), metrics.route("/metrics")],
    groups=groups,
    health=True,
    observers=[metrics, OpenTelemetry(), Slow()],
)
