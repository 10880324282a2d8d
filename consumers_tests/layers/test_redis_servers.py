"""The server of a layer: whether it can be reached, and what is told if not."""

import gc
from pathlib import Path

import anyio
import pytest
from anyio import create_task_group, fail_after

from consumers.errors import LayerUnavailable
from consumers.layers.redis import RedisLayer, parse_address
from consumers_tests.layers.broken import Ear, listening, sleep_a_little, tasks_now
from consumers_tests.proxy import Proxy
from consumers_tests.valkey import Valkey, free_port


async def told(url: str, wait: float = 0.0) -> str:
    """Return what is told of a broker that can't be used."""
    with pytest.raises(LayerUnavailable) as caught:
        async with listening(url, wait=wait):
            pass
    assert caught.value.__cause__ is None
    gc.collect()  # what was left open would be told of now
    return str(caught.value)


async def test_nobody_listens_there() -> None:
    """One line names the address and the reason, and the same with a password."""
    port = free_port()

    assert "Errno 111" in (line := await told(f"redis://ada:secret@127.0.0.1:{port}"))
    assert line.startswith(f"can't reach redis://ada:***@127.0.0.1:{port}: ")
    assert "\n" not in line
    assert "secret" not in line


async def test_there_is_no_such_socket(tmp_path: Path) -> None:
    """A socket in the file system is told of in the same way."""
    assert "No such file" in await told(f"unix://{tmp_path}/nothing")


async def test_the_password_is_wrong_or_missing() -> None:
    """The broker's own words are told, without the password."""
    with Valkey(password="right") as server:
        missing = f"redis://127.0.0.1:{server.port}"
        wrong = f"redis://:wrong@127.0.0.1:{server.port}"

        assert "a password is needed" in await told(missing)
        assert "invalid username-password pair" in await told(wrong, wait=60)


async def test_there_is_no_such_database(valkey: Valkey) -> None:
    """What the broker refuses is told in its words."""
    assert "DB index is out of range" in await told(f"{valkey.url}/99")


async def test_tls_is_not_spoken_there(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that does not answer in time to TLS may not know it."""
    monkeypatch.setattr("consumers.layers.redis.link.OPENING", 0.2)
    url = f"rediss://127.0.0.1:{valkey.port}"

    assert "with TLS" in await told(url)


async def test_nobody_answers(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that accepts and is silent is told of after some seconds."""
    monkeypatch.setattr("consumers.layers.redis.link.OPENING", 0.2)
    proxy.stall()

    assert "no answer within 0.2 seconds" in await told(
        f"redis://127.0.0.1:{proxy.port}"
    )


async def test_a_cluster_is_told_from_a_server(valkey: Valkey) -> None:
    """What is no cluster can't be used as one."""
    assert "cluster support disabled" in await told(f"{valkey.url}?cluster=true")


async def test_a_server_can_be_waited_for() -> None:
    """With `wait` it may come up later; and that is told when it does not."""
    with Valkey() as server:
        server.kill()

        async with create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, server.restart)
            async with listening(server.url, wait=20) as (layer, ear):
                assert await layer.check() > 0
                assert ear.times_resumed == 0
        server.kill()
        assert "can't reach" in await told(server.url, wait=0.1)


async def test_a_cancelled_start_leaves_nothing(proxy: Proxy) -> None:
    """Whenever it is cancelled: no task, and no connection."""
    proxy.stall()
    before = tasks_now()
    layer = RedisLayer(parse_address(f"redis://127.0.0.1:{proxy.port}"))
    with anyio.move_on_after(0.05) as scope:
        async with layer.running(Ear()):
            raise AssertionError("not reached")

    assert scope.cancelled_caught
    assert tasks_now() == before
    proxy.resume()
    with fail_after(5):
        while proxy.connections:
            await sleep_a_little()


async def test_what_ends_the_block_is_raised_as_it_is(valkey: Valkey) -> None:
    """An exception of the application is not put in a group."""
    with pytest.raises(ZeroDivisionError):
        async with listening(valkey.url):
            _ = 1 / 0
