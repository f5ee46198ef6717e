"""One engine for several processes."""

import threading
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from agent.errors import ModelError, ServerError
from agent.models.decode import Job, Writer
from agent.models.engine import Computed, Masks, Pending, Row
from agent.models.served import ServedEmbedder, ServedEngine, serving
from agent.models.slots import Kept
from agent.models.tokenizer import FastTokenizer
from memory import EmbedderError, HashingEmbedder
from memory.embedding import Vectors


class Counting:
    """An engine that counts the tokens kept in each slot, and answers with their number."""

    name = "counting"
    vocab_size = 64
    device = "here"

    def __init__(self) -> None:
        self.kept: dict[int, list[int]] = {}
        self.passes: list[list[int]] = []

    def reserve(self, slots: int) -> None:
        """Nothing to do."""

    def begin(self, rows: Sequence[Row], masks: Masks) -> Pending:
        if any(13 in row.ids for row in rows):
            raise RuntimeError("no luck")
        allowed = masks() if any(row.chooses for row in rows) else np.zeros((0, 2), np.int32)
        assert len(allowed) == sum(row.chooses for row in rows)
        assert len({row.slot for row in rows}) == len(rows)
        self.passes.append([row.slot for row in rows])
        for row in rows:
            self.kept[row.slot] = [*self.kept.get(row.slot, [])[: row.start], *row.ids]
        found = [Computed(len(self.kept[row.slot]) if row.chooses else -1, tuple(map(float, row.ids))) for row in rows]
        return lambda: found


def words() -> FastTokenizer:
    return FastTokenizer(Tokenizer(WordLevel({"red": 0, "ball": 1}, unk_token="red")), 1, None)


def masks_for(count: int) -> Masks:
    return lambda: np.full((count, 2), -1, np.int32)


def test_every_client_has_slots_of_its_own() -> None:
    engine = Counting()
    with serving(engine, words()) as address:
        clients = [ServedEngine(address) for _ in range(5)]
        assert all(client.tokenizer.encoded("ball")[0] == [1] for client in clients)
        assert {(client.name, client.vocab_size, client.device) for client in clients} == {("counting", 64, "here")}
        answers: dict[int, list[Computed]] = {}

        def play(number: int) -> None:
            for step in range(20):
                rows = [Row(0, step * (number + 1), [number] * (number + 1)), Row(1, 0, [7], chooses=False)]
                answers[number] = clients[number].begin(rows, masks_for(1))()

        players = [threading.Thread(target=play, args=(number,)) for number in range(5)]
        for player in players:
            player.start()
        for player in players:
            player.join()
    assert {number: answer[0].token for number, answer in answers.items()} == {n: 20 * (n + 1) for n in range(5)}
    assert all(answer[1] == Computed(-1, (7.0,)) for answer in answers.values())
    assert sum(map(len, engine.passes)) == 200
    assert len(engine.kept) == 10


def test_a_pass_that_fails_reaches_who_asked_and_the_next_goes_on() -> None:
    with serving(Counting(), words()) as address:
        client = ServedEngine(address)
        with pytest.raises(ModelError, match="RuntimeError: no luck"):
            client.begin([Row(0, 0, [13])], masks_for(1))()
        assert client.begin([Row(0, 0, [1, 2])], masks_for(1))()[0].token == 2


def test_slots_of_a_client_that_is_gone_are_used_again() -> None:
    engine = Counting()
    with serving(engine, words()) as address:
        for _ in range(3):
            client = ServedEngine(address)
            client.begin([Row(number, 0, [1]) for number in range(4)], masks_for(4))()
            client._server.close()
        last = ServedEngine(address)
        last.begin([Row(0, 0, [1])], masks_for(1))()
    assert len(engine.kept) <= 8


def test_a_server_that_is_gone_is_named() -> None:
    with serving(Counting(), words()) as address:
        client = ServedEngine(address)
    with pytest.raises(ServerError, match="serves the model is gone"):
        client.begin([Row(0, 0, [1])], masks_for(1))()


def test_an_embedder_is_served_too_and_embeds_a_text_once() -> None:
    class Noting(HashingEmbedder):
        asked: ClassVar[list[str]] = []

        def embed(self, texts: Sequence[str]) -> Vectors:
            self.asked.extend(texts)
            return super().embed(texts)

    with serving(Counting(), words(), Noting(16)) as address:
        client = ServedEmbedder(address, HashingEmbedder(16))
        found = [client.embed(["a red ball", "a door", "a red ball"]), client.embed(["a door"])]
        assert client.embed([]).shape == (0, 16)
    assert np.array_equal(found[0], HashingEmbedder(16).embed(["a red ball", "a door", "a red ball"]))
    assert np.array_equal(found[1], found[0][1:2])
    assert Noting.asked == ["a red ball", "a door"]
    with pytest.raises(EmbedderError, match="serves the embedder is gone"):
        client.embed(["a window"])


def test_who_asks_wrongly_is_told_and_the_others_are_answered() -> None:
    with serving(Counting(), words()) as address:
        clients = [ServedEngine(address) for _ in range(3)]
        found: dict[int, object] = {}

        def ask(number: int) -> None:
            for _ in range(20):
                try:
                    found[number] = (
                        clients[number].begin([Row(0, 0, [13 if number == 1 else 1])], masks_for(1))()[0].token
                    )
                except ModelError as error:
                    found[number] = str(error)

        askers = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
    assert found == {0: 1, 1: "RuntimeError: no luck", 2: 1}


def test_an_embedder_that_fails_is_named_and_threads_may_share_one() -> None:
    class Failing(HashingEmbedder):
        def embed(self, texts: Sequence[str]) -> Vectors:
            if "bad" in texts:
                raise RuntimeError("out of memory")
            return super().embed(texts)

    plain = HashingEmbedder(16)
    with serving(Counting(), words(), Failing(16)) as address:
        client = ServedEmbedder(address, plain)
        with pytest.raises(EmbedderError, match="out of memory"):
            client.embed(["bad"])
        wrong: list[str] = []

        def ask(start: int) -> None:
            texts = [f"word {number}" for number in range(start, start + 200)]
            wrong.extend(text for text in texts if not np.array_equal(client.embed([text]), plain.embed([text])))

        askers = [threading.Thread(target=ask, args=(start,)) for start in (0, 1000)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
        assert not wrong
        assert ServedEngine(address).begin([Row(0, 0, [1])], masks_for(1))()[0].token == 1


def test_an_answer_that_was_not_waited_for_is_not_the_next_one() -> None:
    """After Ctrl-C while a pass is waited for, its answer is still to come."""

    class Interrupted(Counting):
        def begin(self, rows: Sequence[Row], masks: Masks) -> Pending:
            pending = super().begin(rows, masks)
            waits = iter([KeyboardInterrupt])

            def wait() -> list[Computed]:
                if (error := next(waits, None)) is not None:
                    raise error
                return pending()

            return wait

    job = Job(Kept(0), [1, 2], range(0), None, np.random.default_rng(0), 9, done=True)  # type: ignore[arg-type]
    writer = Writer(Interrupted(), None)  # type: ignore[arg-type]
    writer.advance([job], 0.0)
    with pytest.raises(KeyboardInterrupt):
        writer.land()
    assert not job.complete
    writer.land()
    assert job.complete
    assert job.kept.tokens == [1, 2]
