"""The choice of the expert that plays an environment."""

from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakKeyDictionary

from agent.chat import Chat
from agent.errors import ConfigError, ModelError
from agent.models.base import Turn
from agent.policies.courier import CourierExpert
from agent.policies.follower import MissionFollower
from agent.policies.missions import goals_of
from agent.policies.plugin import plugged_expert
from agent.policies.questions import DocumentReader, EventReader, FactReader
from agent.policies.script import RouteFollower
from agent.text_env import Env, env_name, mission_in, optional
from tools import ToolCall

Expert = Callable[[Turn], ToolCall | str]


def expert_for(env: Env) -> Expert:
    """Return the expert of an environment that was reset.

    An environment names it in ``expert``: one of ours, or a policy of its own as ``"file.py:Name"``.
    Other grid worlds have one if their missions are in BabyAI's words, or if BabyAI's bot can do them.

    Raises:
        ConfigError: There is none.
    """
    world: Any = env.unwrapped
    name = optional(env, "expert", "")
    makers: dict[str, Callable[[], Expert]] = {
        "courier": lambda: CourierExpert(world.understand),
        "events": lambda: EventReader(world.understand),
        "facts": lambda: FactReader(world.understand),
        "documents": lambda: DocumentReader(lambda: world.asked.answers if world.asked else ()),
        "babyai": lambda: MissionFollower(understand=world.understand, find=True),
        "routes": lambda: RouteFollower(find=True),
    }
    if name in makers:
        return makers[name]()
    if name:
        return plugged_expert(str(name), makers)
    bot_actions = optional(env, "bot_actions")
    if bot_actions is None:
        raise ConfigError(f"there is no expert for {env_name(env)}: use policy=model or policy=random")
    mission = mission_in(env, {})
    if not goals_of(mission) and next(bot_actions(), None) is None:
        raise ConfigError(
            f"there is no expert for {env_name(env)}: its mission {mission!r} is not in BabyAI's words, and "
            "BabyAI's bot can't do it; use policy=model or policy=random"
        )
    return GridExpert(env)


class GridExpert:
    """Expert for grid worlds that follows a mission in BabyAI's words by asking the map.

    Where it can't parse the mission, it does what BabyAI's bot does, which sees the whole world.

    Args:
        env: A grid world whose observations are texts.
    """

    def __init__(self, env: Env) -> None:
        self._env = env
        self._follower = MissionFollower(find=True)
        self._bots: WeakKeyDictionary[Chat, Iterator[int]] = WeakKeyDictionary()
        self._names = {value: name for name, (value, _) in optional(env, "named_actions", {}).items()}

    def __call__(self, turn: Turn) -> ToolCall:
        """Answer one turn.

        Raises:
            ModelError: The bot gave up.
        """
        if goals_of(turn.chat.mission):
            return self._follower(turn)
        if turn.chat not in self._bots:
            self._bots[turn.chat] = optional(self._env, "bot_actions")()
        action = next(self._bots[turn.chat], None)
        if action is None:
            raise ModelError("BabyAI's bot does not know what to do")
        return ToolCall(name=self._names[action])
