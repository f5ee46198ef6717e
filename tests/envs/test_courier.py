from typing import Any

import pytest
from minigrid.core.world_object import Ball, Box, Key

from envs import EnvConfigError
from envs.courier import GIVE, LEVELS, Courier, Resident
from envs.courier_story import MISSIONS, NEEDS, ROUNDS

DAYS = ROUNDS + MISSIONS


@pytest.mark.parametrize("level", LEVELS)
def test_a_week_has_rounds_and_an_errand_of_each_kind(level: str) -> None:
    env = Courier(level)
    kinds = [env.reset(seed=day)[1]["kind"] for day in range(DAYS)]
    assert kinds[:ROUNDS] == ["round"] * ROUNDS
    assert {"errand", "moved", "place"} < set(kinds)
    assert len({"held", "lay"} & set(kinds)) == len({"owner", "lent", "opens"} & set(kinds)) == 1
    assert all(tuple(env.reset(seed=day)[1]["needs"]) == NEEDS[kind] for day, kind in enumerate(kinds))


def test_the_world_stays_for_a_week() -> None:
    env = Courier()
    worlds, doors = set(), set()
    for seed in range(7, 14):
        worlds.add(env.reset(seed=seed)[1]["world"])
        doors.add(tuple(sorted(env.doors.items())))
    assert len(worlds) == len(doors) == 1
    assert env.reset(seed=14)[1]["world"] not in worlds


def test_people_move_where_it_was_said() -> None:
    env = Courier()
    text, _ = env.reset(seed=1)
    said = [m for m in env.understand(text) if m.kind == "moved"]
    assert len(said) == 2
    env.reset(seed=3)
    for meaning in said:
        stand = env.corners[meaning.slots["room"]][0]
        cell = env.grid.get(*stand)
        assert isinstance(cell, Resident)
        assert cell.name == meaning.slots["who"]


def find(env: Courier, kind: str) -> dict[str, Any]:
    for seed in range(2, 200):
        if seed % DAYS >= ROUNDS:
            info = env.reset(seed=seed)[1]
            if info["kind"] == kind:
                return info
    raise AssertionError(kind)


def carry_before(env: Courier, thing: str, person: str) -> None:
    """Put a thing into the hands of one who stands before somebody."""
    at = env._cell_of(thing)
    env.carrying = env.grid.get(*at)
    env.grid.set(*at, None)
    x, y = env.corners[env.story.home(person, env.day)][0]
    for heading, (dx, dy) in enumerate(((1, 0), (0, 1), (-1, 0), (0, -1))):
        if env.grid.get(x - dx, y - dy) is None:
            env.agent_pos, env.agent_dir = (x - dx, y - dy), heading
            return


@pytest.mark.parametrize("kind", ["owner", "lent", "opens", "held", "lay"])
def test_only_the_right_thing_to_the_right_person_succeeds(kind: str) -> None:
    env = Courier()
    info = find(env, kind)
    errand = env.errand
    assert errand is not None
    assert info["mission"]
    assert errand.target in errand.choices
    seed = env.seed_played
    other = next(thing for thing in errand.choices if thing != errand.target)
    stranger = next(who for who in env.story.people if who != errand.person)
    for thing, person, right in (
        (errand.target, errand.person, True),
        (other, errand.person, False),
        (errand.target, stranger, False),
    ):
        env.reset(seed=seed)
        carry_before(env, thing, person)
        text, reward, over, _, _ = env.step(GIVE)
        assert (over, float(reward) > 0) == (True, right)
        assert text.startswith(f"{person} takes the {thing}. That was {'right' if right else 'wrong'}.")


def test_giving_needs_somebody_and_something() -> None:
    env = Courier()
    info = find(env, "owner")
    assert "give" not in info["available_actions"]
    _, reward, over, _, _ = env.step(GIVE)
    assert (float(reward), over) == (0.0, False)


def test_a_hurry_leaves_the_shortest_way_and_a_little() -> None:
    env = Courier(slack=4)
    find(env, "place")
    assert env.max_steps == env.optimal_steps() + 4


def test_a_day_does_not_depend_on_what_was_carried_the_day_before() -> None:
    tight = 0
    env = Courier()
    for seed in range(ROUNDS, 40):
        fresh, _ = Courier().reset(seed=seed)
        env.reset(seed=seed)
        target = env.errand.target if env.errand else ""
        color, _, kind = target.partition(" ")
        env.carrying = {"ball": Ball, "key": Key, "box": Box}[kind](color) if kind else None
        tight += env.max_steps != env.loose_steps and env.carrying is not None
        again, _ = env.reset(seed=seed)
        assert again == fresh
    assert tight > 3


def test_what_is_told_is_told_once_a_day() -> None:
    env = Courier()
    env.reset(seed=0)
    color, at = next(iter(env.doors.items()))
    door = env.grid.get(*at)
    door.is_open = True  # type: ignore[union-attr]
    x, y, heading = env._entry(color)
    env.agent_pos, env.agent_dir = at, heading
    text = env.step(2)[0]
    assert text.startswith(f"You enter the {color} room. ")
    assert {m.kind for m in env.understand(text)} & {"owner", "lent", "opens", "held", "lay"}
    env.step(0), env.step(0), env.step(2), env.step(0), env.step(0)
    again = env.step(2)[0]
    assert {m.kind for m in env.understand(again)} == {"left"}
    assert (int(env.agent_pos[0]), int(env.agent_pos[1])) == (x, y)


def test_every_sentence_is_understood() -> None:
    env = Courier()
    for world in range(40):
        for base in (0, 1_000_006, 2_000_005):
            env.reset(seed=base // 7 * 7 + 7 * world)
            for told in env.story.told:
                env._room = ""
                said = env._said(told.room)
                if told.day == env.day:
                    meanings = env.understand(" ".join(said))
                    assert told.meaning.kind in {m.kind for m in meanings}
                    assert len(meanings) == len(said)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"level": "hot"}, "unknown level"),
        ({"rooms": 3}, "rooms must be 4 to 6, got 3"),
        ({"room_size": 4}, "room_size must be 5 to 9"),
        ({"slack": -1}, "slack must be at least 0"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(EnvConfigError, match=message):
        Courier(**settings)


def test_boxes_stay_closed() -> None:
    env, boxes = Courier(), list[tuple[int, int]]()
    for world in range(20):
        env.reset(seed=7 * world + 1)
        cells = ((x, y) for x in range(env.width) for y in range(env.height))
        boxes += [at for at in cells if getattr(env.grid.get(*at), "type", "") == "box"]
        if boxes:
            break
    box = boxes[0]
    cell = env.grid.get(*box)
    assert cell is not None
    assert not cell.toggle(env, box)
    assert env.grid.get(*box) is cell


def test_it_can_be_drawn() -> None:
    env = Courier(render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().shape[2] == 3
    somebody, ball = Resident("Ada", "blue"), Ball("blue")
    for thing in (somebody, ball):
        env.grid.set(7, 7, thing)
        env.agent_pos = (8, 8)
        picture = env.render()
        assert picture.any()
    env.grid.set(7, 7, somebody)
    assert (env.render() != picture).any()  # a tile is not taken for another's
    assert env.ansi().count("\n") == env.height - 1
