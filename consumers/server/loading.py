"""From ``MODULE:APP`` to an application, or to an error that says what to do."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any, Final, cast

import consumers
from consumers.errors import ConfigurationError, shorten
from consumers.server.lifespan import ASGIApplication
from consumers.server.options import Options

__all__ = ["ApplicationFailed", "describe", "load", "load_environment"]

_OURS: Final = Path(consumers.__file__).resolve().parent


class ApplicationFailed(ConfigurationError):
    """The application's own code raised while it was imported or made.

    What it raised is the ``__cause__``.
    """


def load(target: str, options: Options) -> ASGIApplication:
    """Import ``MODULE:APP``.

    The options' directory is put in front of ``sys.path``. A factory is called.

    Raises:
        ConfigurationError: There is no such module or name, it isn't an ASGI
            application, or a ``consumers.py`` stands in this package's way.
        ApplicationFailed: The module, or the factory, raised.
    """
    directory = options.directory
    if not directory.is_dir():
        raise ConfigurationError(f"app_dir must be a directory, got {str(directory)!r}")
    _refuse_namesake(directory)
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
    module_name, path = _parse(target)
    module = _import(module_name, directory)
    found = _find(module, path, target)
    if options.factory:
        found = _make(found, target)
    _check(found, target, made=options.factory)
    return cast("ASGIApplication", found)


def load_environment(path: str) -> None:
    """Put the variables of a file into the environment; what is set already stays.

    Raises:
        ConfigurationError: There is no such file, or it is not text.
    """
    from dotenv import load_dotenv

    if not Path(path).is_file():
        raise ConfigurationError(f"env_file must be a file, got {path!r}")
    try:
        load_dotenv(path)
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"env_file must be text in UTF-8, got {path!r}"
        ) from error


def describe(error: ConfigurationError) -> tuple[str, str]:
    """Return what to show instead of a traceback of ours: text before it, and a line.

    The text is empty but for `ApplicationFailed`, where it is the traceback of the
    application's own code, without the frames of this package and the import system.
    """
    cause = error.__cause__
    if not isinstance(error, ApplicationFailed) or cause is None:
        return "", str(error)
    own = traceback.TracebackException.from_exception(cause)
    _keep_foreign_frames(own)
    return "".join(own.format()), str(error)


def _refuse_namesake(directory: Path) -> None:
    for namesake in (directory / "consumers.py", directory / "consumers"):
        is_module = namesake.is_file() or (namesake / "__init__.py").is_file()
        if is_module and namesake.resolve() != _OURS:
            raise ConfigurationError(
                "the name 'consumers' belongs to this package, got "
                f"{str(namesake)!r} beside the application; rename it, or move it "
                "into a package of yours"
            )


def _parse(target: str) -> tuple[str, str]:
    module_name, _, path = target.partition(":")
    as_file = module_name.endswith(".py") or os.sep in module_name
    if as_file:
        module_name = module_name.removesuffix(".py").strip("./").replace(os.sep, ".")
    if as_file or not module_name or not path:
        raise ConfigurationError(
            f"MODULE:APP was expected, got {target!r}; "
            f"write '{module_name or 'module'}:{path or 'app'}'"
        )
    return module_name, path


def _import(name: str, directory: Path) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            modules = [path.stem for path in directory.glob("*.py")]
            raise ConfigurationError(
                f"a module {error.name!r} was expected in {str(directory)!r}, got none"
                f"{_suggest(error.name, modules)}"
            ) from None
        raise _failed(f"module {name!r}", error) from error
    except (Exception, SystemExit) as error:
        raise _failed(f"module {name!r}", error) from error


def _failed(what: str, error: BaseException) -> ApplicationFailed:
    text = str(error).partition("\n")[0]
    return ApplicationFailed(
        f"{what} must import without an error, got {type(error).__name__}"
        + (f": {text}" if text else "")
    )


def _find(module: ModuleType, path: str, target: str) -> Any:
    found: Any = module
    for name in path.split("."):
        owner = found
        try:
            found = getattr(owner, name)
        except AttributeError:
            names = [n for n, value in vars(owner).items() if callable(value)]
            raise ConfigurationError(
                f"an ASGI application was expected at {target!r}, got no "
                f"{name!r} in {_place(owner)}{_suggest(name, names)}"
            ) from None
    return found


def _place(owner: object) -> str:
    file = getattr(owner, "__file__", None)
    return repr(file) if file else shorten(owner)


def _suggest(wrong: str, names: Iterable[str]) -> str:
    known = [name for name in names if not name.startswith("_")]
    close = get_close_matches(wrong, known, n=1)
    usual = [name for name in ("app", "application", "asgi") if name in known]
    best = (close or usual)[:1]
    return f"; did you mean {best[0]!r}?" if best else ""


def _make(factory: Any, target: str) -> Any:
    if not callable(factory) or not _accepts(factory, 0):
        raise ConfigurationError(
            f"a function without parameters was expected at {target!r}, got "
            f"{shorten(factory)}; leave --factory out if it is the application"
        )
    try:
        return cast("Callable[[], Any]", factory)()
    except Exception as error:
        text = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise ApplicationFailed(
            f"the factory {target!r} must return an application, got {text}"
        ) from error


def _check(found: Any, target: str, *, made: bool) -> None:
    if callable(found) and _accepts(found, 3):
        return
    what = f"what {target!r} returns" if made else repr(target)
    if callable(found) and _accepts(found, 0) and not made:
        way_out = "; add --factory if it returns the application"
    elif callable(found) and _accepts(found, 2):
        way_out = "; a WSGI application needs a server of its own"
    else:
        way_out = ""
    raise ConfigurationError(
        f"{what} must be an ASGI application, got {shorten(found)}{way_out}"
    )


def _accepts(function: Any, count: int) -> bool:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return count == 3  # Written in C: the first connection will tell.
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _keep_foreign_frames(shown: traceback.TracebackException) -> None:
    shown.stack = traceback.StackSummary.from_list(
        [
            frame
            for frame in shown.stack
            if not frame.filename.startswith(("<frozen ", f"{_OURS}{os.sep}"))
            and "importlib" not in Path(frame.filename).parts
        ]
    )
    for earlier in (shown.__cause__, shown.__context__):
        if earlier is not None:
            _keep_foreign_frames(earlier)
