"""`run`: serve until a signal comes, as the last call of a program."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import Concatenate, Final, ParamSpec

from consumers.errors import ConfigurationError
from consumers.server.lifespan import ASGIApplication
from consumers.server.loading import load, load_environment
from consumers.server.logs import configure_logging
from consumers.server.loops import serve_process
from consumers.server.options import Options
from consumers.server.processes import Worker, reload_on_change, run_workers
from consumers.server.serve import check_installed
from consumers.server.shutdown import end_while_starting
from consumers.server.sockets import bind, release, url_of
from consumers.server.tls import tls_context

__all__ = ["run"]

logger: Final = logging.getLogger("consumers.server")

P = ParamSpec("P")


def _with_options(
    make: Callable[P, Options],
) -> Callable[
    [Callable[[ASGIApplication | str, Options], None]],
    Callable[Concatenate[ASGIApplication | str, P], None],
]:
    """Let a function take the options' fields as its own keyword arguments."""

    def decorate(
        function: Callable[[ASGIApplication | str, Options], None],
    ) -> Callable[Concatenate[ASGIApplication | str, P], None]:
        @wraps(function)
        def taking(
            app: ASGIApplication | str, /, *args: P.args, **kwargs: P.kwargs
        ) -> None:
            function(app, make(*args, **kwargs))

        own = Parameter("app", Parameter.POSITIONAL_ONLY)
        settings = signature(make).parameters.values()
        taking.__signature__ = signature(function).replace(  # type: ignore[attr-defined]
            parameters=[own, *settings]
        )
        return taking

    return decorate


@_with_options(Options)
def run(app: ASGIApplication | str, options: Options) -> None:
    """Serve an application until SIGINT or SIGTERM.

    ::

        if __name__ == "__main__":
            consumers.run(app, backend="trio", port=8001)

    Takes every field of `Options` as a keyword argument. At the first signal readiness
    checks fail for ``drain_delay`` seconds; then nothing more is accepted, WebSockets
    are closed with 1012 in batches over ``drain_timeout`` seconds, connections have
    ``graceful_timeout`` seconds to end and are cancelled then, and the application's
    lifespan is shut down; the same signal again cuts the waiting short. Then the call
    returns; on trio it ends the process, with 1, where the application still runs 10
    seconds after it was cancelled. It needs the main thread, and sets up logging for
    the servers.

    Args:
        app: An ASGI application, or where to import it from: ``"module:app"``. With
            ``reload`` and ``workers`` it has to be the latter.
        options: Its fields, as keyword arguments.

    Raises:
        ConfigurationError: It can't be served like this: a setting, the address, a TLS
            file, or the application. Whoever starts the server can change it.
    """
    end_while_starting()
    check_installed(options.backend)
    tls_context(options)
    configure_logging(options)
    if options.env_file is not None:
        load_environment(options.env_file)
    if not (options.reload or options.workers > 1):
        application = load(app, options) if isinstance(app, str) else app
        sock = bind(options)
        try:
            serve_process(application, options, [sock], announce=True)
        finally:
            release(sock, options)
        return
    if not isinstance(app, str):
        raise ConfigurationError(
            "an import string was expected with reload or workers, got "
            f"{type(app).__name__}; write 'module:app', which each process imports"
        )
    sock = bind(options)
    logger.info("serving %s on %s", app, url_of(sock, options))
    worker = Worker(app, options)
    try:
        if options.reload:
            reload_on_change(worker, [sock])
        else:
            run_workers(worker, [sock])
    finally:
        release(sock, options)
