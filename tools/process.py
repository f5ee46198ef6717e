"""Calls of tools in processes of their own, which are killed when time is up."""

import atexit
import importlib
import inspect
import os
import signal
import threading
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from memory.clean import text_of
from tools.plugin_files import PREFIX, module_of_file
from tools.results import CallError, finished, result_of
from tools.running import Done
from tools.tool import Tool

START = 60.0
"""Seconds for a process to start and to import the tool's module; they don't count as the call's."""

Place = tuple[str, str, str, int]
"""Module, file (of a plugin; else empty), name of a function, and when the file was written."""


def run_in_process(tool: Tool, arguments: dict[str, Any]) -> Done:
    """Run a tool in a process, for its policy's seconds at most.

    A process is kept for the next call; one that ran out of time, or died, is not.

    Returns:
        ``(True, result)``, ``(True, error)`` when the tool raised or its process ended, or ``(False, None)`` when time
        ran out.
    """
    place = _place(tool)
    with _lock:
        kept = _idle.get(place)
        worker = kept.pop() if kept else None
    try:
        worker = worker if worker is not None and worker.alive() else _Worker(place)
        done, value = worker.call(arguments, tool.policy.timeout)
    except Exception as error:  # the boundary: processes can't be started everywhere
        if worker is not None:
            worker.kill()
        return True, CallError(f"has no process: {text_of(error) or 'it ended'}")
    except BaseException:
        if worker is not None:
            worker.kill()
        raise
    if done:
        with _lock:
            _idle.setdefault(place, []).append(worker)
    else:
        worker.kill()
    return done, value


def _place(tool: Tool) -> Place:
    function = tool.function
    name = str(getattr(function, "__module__", ""))
    file = Path(inspect.unwrap(function).__code__.co_filename).resolve()
    written = file.stat().st_mtime_ns if file.is_file() else 0
    return name, str(file) if name.startswith(PREFIX) else "", function.__qualname__, written


class _Worker:
    """A process that answers the calls of one tool, one after another.

    Raises:
        RuntimeError: It does not start, or can't import the tool.
    """

    def __init__(self, place: Place) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(target=_serve, args=(place, theirs), daemon=True)
        self._process.start()
        theirs.close()
        try:
            if not self._pipe.poll(START):
                raise RuntimeError(f"it did not start within {START:g} s")
            if problem := self._pipe.recv():
                raise RuntimeError(problem)
        except BaseException:
            self.kill()
            raise

    def alive(self) -> bool:
        """Return whether the process can take a call."""
        return self._process.is_alive()

    def call(self, arguments: dict[str, Any], seconds: float) -> Done:
        """Run the tool; ``(False, None)`` when time ran out."""
        self._pipe.send(arguments)
        if not self._pipe.poll(min(seconds, threading.TIMEOUT_MAX)):
            return False, None
        return True, self._pipe.recv()

    def kill(self) -> None:
        """End the process at once, and all that it started."""
        if self._process.pid is not None and hasattr(os, "killpg"):
            with suppress(ProcessLookupError, PermissionError):  # it has not begun yet, or has ended
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.join(5.0)
        self._pipe.close()


def _serve(place: Place, pipe: "Connection[Any, Any]") -> None:
    """Answer calls until the other end is closed."""
    if hasattr(os, "setsid"):
        os.setsid()  # Ctrl-C is for the agent; and all that a tool starts can be ended with it
    try:
        tool = _loaded(place)
    except BaseException as error:  # the boundary: a module may raise anything
        pipe.send(f"its module can't be imported there: {type(error).__name__}: {text_of(error)}")
        return
    pipe.send("")
    while True:
        try:
            arguments = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            result: object = result_of(tool.name, finished(tool.function(**arguments)))
        except BaseException as error:  # the boundary: a tool may raise anything, SystemExit included
            result = CallError(f"raised {type(error).__name__}: {text_of(error)}".rstrip(": "))
        try:
            pipe.send(result)
        except Exception as error:  # pickle has an error of its own for each reason
            pipe.send(CallError(f"gave a result that can't leave its process: {text_of(error)}"))


def _loaded(place: Place) -> Tool:
    name, file, function, _ = place
    name = "__mp_main__" if name == "__main__" else name
    module = module_of_file(file) if file else importlib.import_module(name)
    found = vars(module).values()
    tool = next((one for one in found if isinstance(one, Tool) and one.function.__qualname__ == function), None)
    if tool is None:
        raise ImportError(f"{module.__name__} has no tool of the function {function!r}")
    return tool


_lock = threading.Lock()
_idle: dict[Place, list[_Worker]] = {}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # they are the parent's


@atexit.register
def _end() -> None:
    for worker in [worker for workers in _idle.values() for worker in workers]:
        worker.kill()
