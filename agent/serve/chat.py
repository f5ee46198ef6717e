"""Chats with an agent: messages in OpenAI's form become episodes, the client's tools their actions."""

import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from agent.errors import ConfigError, EpisodeEndedError, ServerError
from agent.logs.events import Decided, Event, Returned, Wrote
from agent.logs.log import EventLog
from agent.loop import Agent
from agent.serve.chat_request import (
    ASKED,
    NEXT,
    ChatRequest,
    RequestError,
    actions_of,
    acts,
    allowed_in,
    posed,
    results_of,
    system_of,
)
from memory import Memory
from memory.clean import clean_text
from memory.episodic.gate import SHUT
from tools import Toolbox, ToolCall, ToolError
from tools.actions import named_action

NOTED, HEARD = "Noted.", "Heard."
"""Answers to what is no question, where the model has nothing to say: it was remembered, or not."""

MOST_WAITING = 16
"""Most episodes that wait for a client to run its tool; of more, the oldest ends."""


@dataclass
class Reply:
    """What a client is answered.

    Attributes:
        content: The answer; ``None`` if the client is to run its tool.
        call: The call of the client's tool.
        call_id: Its id.
        finish: Why the answer ends, in OpenAI's words.
        memory_calls: What the agent called in between: name, arguments, status.
        prompt_tokens: Tokens read.
        completion_tokens: Tokens written.
    """

    content: str | None = None
    call: ToolCall | None = None
    call_id: str = ""
    finish: Literal["stop", "tool_calls", "length"] = "stop"
    memory_calls: list[dict[str, Any]] = field(default_factory=list)
    prompt_tokens: int = 0
    completion_tokens: int = 0


MakeAgent = Callable[[Memory, str], Agent]
OpenMemory = Callable[[], Memory]


@dataclass
class _Turn:
    """An agent under way, with the memory that it has to itself."""

    agent: Agent
    memory: Memory
    reply: Reply
    log: EventLog | None
    wrote: bool = False
    hear: Callable[[str], None] | None = None

    def emit(self, event: Event) -> None:
        if self.log is not None:
            self.log.write(event)
        self.wrote |= isinstance(event, Wrote)
        if isinstance(event, Decided):
            self.reply.prompt_tokens += event.prefill_tokens
            self.reply.completion_tokens += event.decode_tokens + event.forced_tokens
            if event.name is not None:
                made = {"name": event.name, "arguments": event.arguments, "status": ""}
                self.reply.memory_calls.append(made)
                if self.hear is not None:
                    self.hear(event.name)
        elif isinstance(event, Returned) and self.reply.memory_calls:
            last = self.reply.memory_calls[-1]
            last["status"] = last["status"] or (event.status if event.name == last["name"] else "")


class ChatService:
    """An agent that many clients talk to, one decision at a time.

    Every turn is an episode. A question begins one with the mission to answer it; what is no question is listened to,
    and remembered where the write gate opens. With tools of the client, the system message is the mission, the user's
    words are the first observation, the tools are the actions, and their results what is observed next.

    Args:
        make_agent: Makes an agent with a memory and a name.
        open_memory: Opens the memory; each episode under way has an opened one of its own.
        logs: Folder for the logs of episodes, if they are kept.
    """

    def __init__(self, make_agent: MakeAgent, open_memory: OpenMemory, logs: Path | None = None) -> None:
        self._make_agent = make_agent
        self._open_memory = open_memory
        self._logs = logs
        self._idle: list[Memory] = []
        self._waiting: OrderedDict[str, _Turn] = OrderedDict()
        self._lock = threading.Lock()
        self._count = 0
        self._closed = False

    def answer(self, request: ChatRequest, session: str = "", hear: Callable[[str], None] | None = None) -> Reply:
        """Answer one request.

        Args:
            request: The request.
            session: Who talks: becomes part of the provenance of what is remembered.
            hear: Told the name of each tool that the agent calls.

        Raises:
            RequestError: The request can't be answered.
            ServerError: The agent's model is on a server, and that failed.
        """
        with self._lock:
            if self._closed:
                raise ServerError("the server is ending")
            turn, observation = self._resumed(request) or self._begun(request, session)
            turn.hear = hear
            kept = False
            try:
                kept = self._decide(turn, observation, allowed_in(request))
            finally:
                if not kept:
                    self._end(turn)
            return turn.reply

    def close(self, seconds: float = 5.0) -> bool:
        """End the episodes that wait, and close the memory.

        Args:
            seconds: How long the answer under way is waited for.

        Returns:
            Whether it ended in time; else the memory is left open, and what was written is on disk.
        """
        self._closed = True
        if not self._lock.acquire(timeout=seconds):
            return False
        try:
            while self._waiting:
                self._end(self._waiting.popitem()[1])
            while self._idle:
                self._idle.pop().close()
        finally:
            self._lock.release()
        return True

    def check(self, request: ChatRequest) -> None:
        """Refuse a request that can't be answered, before an answer begins.

        Raises:
            RequestError: It can't.
        """
        try:
            Toolbox(actions_of(request))
        except ToolError as error:
            raise RequestError(f"tools: {error}") from error
        allowed_in(request)
        posed(request, acts(request))

    def _resumed(self, request: ChatRequest) -> tuple[_Turn, str] | None:
        """Return the episode that waits for the results in a request, and what is observed."""
        results = results_of(request.messages)
        key = next((key for key in results if key in self._waiting), None)
        if key is None:
            return None
        turn = self._waiting.pop(key)
        turn.reply = Reply()
        return turn, results[key]

    def _begun(self, request: ChatRequest, session: str) -> tuple[_Turn, str]:
        """Begin an episode."""
        actions = actions_of(request)
        acting = acts(request)
        mission, observation, earlier = posed(request, acting)
        if not acting:
            actions = [named_action(NEXT, "", "hear what comes next"), *actions]
        memory = self._idle.pop() if self._idle else self._open_memory()
        with ExitStack() as stack:
            stack.callback(self._idle.append, memory)
            session = " ".join("".join(one if one.isprintable() else " " for one in clean_text(session)).split())
            label = session or hashlib.sha256(request.messages[0].words().encode()).hexdigest()[:8]
            self._count += 1
            agent = self._make_agent(memory, f"chat {label} {datetime.now().astimezone():%Y-%m-%d}")
            if observation in (ASKED, system_of(request)) and not acting:
                agent.gate = SHUT  # what is asked is not remembered as if it had happened
            log = None
            if self._logs is not None:
                log = stack.enter_context(EventLog(self._logs / f"{self._count:06}" / "events.jsonl"))
            turn = _Turn(agent, memory, Reply(), log)
            try:
                seed, place = abs(request.seed or 0), f"chat:{label}"
                agent.reset(mission, actions, seed, place, turn.emit, earlier, place, mapped=False)
            except (ToolError, ConfigError) as error:
                raise RequestError(f"tools: {error}") from error
            stack.pop_all()
        return turn, observation

    def _decide(self, turn: _Turn, observation: str, allowed: Sequence[str]) -> bool:
        """Let the agent decide; return whether its episode goes on with the client's next request.

        Args:
            turn: The agent.
            observation: What is observed.
            allowed: Names of the actions that may be chosen.
        """
        try:
            action = turn.agent.act(observation, info={"available_actions": allowed})
        except EpisodeEndedError as error:  # it went round in circles, or had no more decisions
            if error.ending not in ("looping", "out_of_steps"):
                raise
            turn.reply.content, turn.reply.finish = f"(no answer: {error.reason})", "length"
            return False
        if turn.reply.memory_calls:
            turn.reply.memory_calls.pop()  # the action itself, unless a macro chose it
        if isinstance(action, str):
            turn.reply.content = action or (NOTED if turn.wrote else HEARD)
            return False
        turn.reply.call, turn.reply.finish = action, "tool_calls"
        turn.reply.call_id = f"call_{secrets.token_hex(12)}"
        self._waiting[turn.reply.call_id] = turn
        while len(self._waiting) > MOST_WAITING:
            self._end(self._waiting.popitem(last=False)[1])
        return True

    def _end(self, turn: _Turn) -> None:
        try:
            turn.agent.close()
        finally:
            if turn.log is not None:
                turn.log.__exit__(None, None, None)
            self._idle.append(turn.memory)
