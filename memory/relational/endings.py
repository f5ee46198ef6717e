"""Endings: what a sentence says holds no longer, by denial ("no longer lives in") or by its verb ("sold", "divorced")."""

from dataclasses import dataclass, replace

from memory.provenance import Provenance, origin_of

LIVING = frozenset({"lives_in", "located_in", "is_at", "stays_in", "stays_at", "stays_with", "lives_with", "lives_on"})
WORKING = frozenset(
    "works_at works_as works_in works_with works_on employed_as volunteers_at teaches_at serves_in serves_on manages"
    " leads runs has_job job_at interns_at".split()
)
OWNING = frozenset(
    "owned_by has holds owns drives rides keeps buys gets acquires adopts inherits receives uses wears leases rents".split()
)
PARTNERS = frozenset(
    "married_to marries wife_of husband_of spouse_of partner_of girlfriend_of boyfriend_of engaged_to fiancé_of"
    " fiancée_of fiance_of dates dating together_with lives_with in_love_with loves is_with".split()
)
STUDYING = frozenset("studies_at studies_in studies attends goes_to enrolled_in enrolled_at takes learns".split())
BELONGING = frozenset(
    "member_of plays_for plays_in sings_in subscribed_to subscribes_to registered_with signed_up_for joins part_of has"
    " captain_of president_of chair_of head_of director_of manager_of ceo_of mayor_of editor_of coaches trains_with".split()
)
USING = frozenset(
    "drinks eats smokes likes loves has plays takes enjoys practises practices uses does prefers vapes chews".split()
)
ILLNESS = frozenset("has suffers_from catches gets ill_with sick_with down_with is contracts".split())

LIKING = frozenset("likes loves enjoys adores fond_of keen_on prefers into".split())

ENDING_VERBS: dict[str, tuple[frozenset[str], ...]] = {
    "sell": (OWNING,), "give_away": (OWNING,), "donate": (OWNING,), "throw_away": (OWNING,), "throw_out": (OWNING,),
    "lose": (OWNING,), "discard": (OWNING,), "return": (OWNING,), "scrap": (OWNING,), "trade_in": (OWNING,),
    "pawn": (OWNING,), "dump": (OWNING, PARTNERS), "swap": (OWNING,), "trade": (OWNING,), "give": (OWNING,),
    "rehome": (OWNING,), "hand_over": (OWNING,),
    "leave": (LIVING, WORKING, STUDYING, BELONGING, PARTNERS), "quit": (WORKING, STUDYING, BELONGING, USING),
    "vacate": (LIVING,), "abandon": (LIVING, STUDYING, OWNING),
    "divorce": (PARTNERS,), "ditch": (PARTNERS, OWNING),
    "give_up": (USING, OWNING, STUDYING, BELONGING), "drop": (STUDYING, BELONGING, USING), "cancel": (BELONGING, OWNING),
    "finish": (STUDYING,), "stop": (USING,), "end": (BELONGING,), "swear_off": (USING,), "cut_out": (USING,),
    "beat": (ILLNESS,), "overcome": (ILLNESS,), "outgrow": (ILLNESS, USING), "pass_on": (OWNING,), "call_off": (BELONGING,),
    "go_off": (USING, LIKING), "kick": (USING,), "shake_off": (ILLNESS,), "close": (OWNING,), "shut": (OWNING,),
}  # fmt: skip
"""Verbs whose object no longer stands in one of these relations to the subject."""

ENDING_PREPOSITIONS: dict[str, tuple[frozenset[str], ...]] = {
    "resign_from": (WORKING, BELONGING), "retire_from": (WORKING, BELONGING), "fired_from": (WORKING,),
    "dismissed_from": (WORKING, BELONGING), "sacked_from": (WORKING,), "laid_off_from": (WORKING,),
    "expelled_from": (STUDYING, BELONGING), "evicted_from": (LIVING,), "move_out_of": (LIVING,), "move_from": (LIVING,),
    "move_away_from": (LIVING,), "depart_from": (LIVING,), "withdraw_from": (STUDYING, BELONGING),
    "drop_out_of": (STUDYING, BELONGING), "graduate_from": (STUDYING,), "separate_from": (PARTNERS,),
    "split_from": (PARTNERS,), "split_up_with": (PARTNERS,), "split_with": (PARTNERS,), "break_up_with": (PARTNERS,),
    "part_with": (OWNING,), "step_down_as": (WORKING, BELONGING), "step_down_from": (WORKING, BELONGING),
    "step_down_of": (BELONGING,), "unsubscribe_from": (BELONGING,), "recover_from": (ILLNESS,), "rid_of": (OWNING, ILLNESS),
    "go_off": (USING, LIKING), "trade_in": (OWNING,), "get_over": (ILLNESS,), "walk_out_of": (WORKING,), "drop_out": (STUDYING,),
}  # fmt: skip
"""The same for a verb with a preposition and its object."""

ENDS_ALL: dict[str, frozenset[str]] = {
    "retire": WORKING, "fired": WORKING, "sacked": WORKING, "laid_off": WORKING, "resign": WORKING, "dismissed": WORKING,
    "divorced": PARTNERS, "divorce": PARTNERS, "separated": PARTNERS, "widowed": PARTNERS, "separate": PARTNERS,
    "split_up": PARTNERS, "break_up": PARTNERS, "single": PARTNERS, "evicted": LIVING, "die": LIVING | WORKING,
    "move_out": frozenset({"lives_in", "lives_with", "shares", "shares_with", "rents"}), "unemployed": WORKING, "retired": WORKING, "jobless": WORKING,
    "drop_out": STUDYING, "graduate": STUDYING, "quit": WORKING, "step_down": WORKING | BELONGING, "step_aside": WORKING | BELONGING,
    "cancelled": frozenset({"located_in", "happens_on", "happens_at", "happens_in", "is_at"}),
    "canceled": frozenset({"located_in", "happens_on", "happens_at", "happens_in", "is_at"}),
}  # fmt: skip
"""Verbs and qualities without an object that end all facts of their subject in these relations."""

ENDS_FOR_OBJECT: dict[str, frozenset[str]] = {
    "fire": WORKING | BELONGING, "sack": WORKING | BELONGING, "dismiss": WORKING | BELONGING, "lay_off": WORKING,
    "expel": STUDYING | BELONGING, "evict": LIVING, "suspend": STUDYING, "axe": WORKING,
}  # fmt: skip
"""Verbs that end what their object has with their subject: "Acme fired Ada"."""

TIES: dict[str, frozenset[str]] = {
    "subscription": BELONGING, "membership": BELONGING, "contract": BELONGING | WORKING, "allergy": frozenset({"allergic_to"}),
    "engagement": frozenset({"engaged_to"}), "marriage": PARTNERS, "relationship": PARTNERS, "lease": LIVING, "tenancy": LIVING,
    "job": WORKING, "position": WORKING, "post": WORKING, "place": STUDYING | BELONGING, "seat": BELONGING, "course": STUDYING,
    "account": BELONGING, "habit": USING, "addiction": USING | frozenset({"addicted_to"}), "fear": frozenset({"afraid_of", "fears"}),
    "interest": LIKING, "enrolment": STUDYING, "enrollment": STUDYING, "registration": BELONGING,
}  # fmt: skip
"""Nouns that name a tie to the object of their preposition: who ends "the subscription to X" no longer has X."""

JOBS = frozenset({"job", "position", "post", "work", "role", "employment", "day job"})
"""Objects of "quit" and "lose" that mean any employer."""

SYMMETRIC = frozenset(
    "married_to marries wife_of husband_of spouse_of partner_of girlfriend_of boyfriend_of engaged_to dates is_with".split()
) | {"lives_with", "together_with"}
"""Relations that an ending finds in both directions."""

FAMILIES: tuple[frozenset[str], ...] = (
    LIVING, frozenset({"works_at", "works_in", "employed_at", "teaches_at", "works_on"}),
    frozenset({"owned_by", "has", "keeps", "drives"}), frozenset({"married_to", "marries", "wife_of", "husband_of", "spouse_of"}),
    frozenset({"likes", "loves", "enjoys", "fond_of", "adores", "prefers", "keen_on"}),
    frozenset({"dislikes", "hates", "detests", "loathes", "despises"}), frozenset({"allows", "permits"}),
    frozenset({"forbids", "bans", "prohibits"}), STUDYING,
)  # fmt: skip
"""Relations of which a denial of one denies all."""

_LIKED = frozenset({"likes", "loves", "enjoys", "adores", "fond_of", "keen_on", "favours", "favors", "prefers", "into"})
_DISLIKED = frozenset(
    {"dislikes", "hates", "detests", "loathes", "despises", "resents", "tired_of", "sick_of", "avoids"}
)
_ALLOWED = frozenset({"allows", "permits", "authorises", "authorizes", "approves", "legalises", "legalizes"})
_FORBIDDEN = frozenset({"forbids", "bans", "prohibits", "disallows", "outlaws"})
_TRUSTED, _DISTRUSTED = frozenset({"trusts", "believes"}), frozenset({"distrusts", "mistrusts", "doubts"})
_ACCEPTED, _REJECTED = (
    frozenset({"accepts", "supports", "endorses", "favours", "favors"}),
    frozenset({"rejects", "opposes", "refuses"}),
)

OPPOSITES: dict[str, frozenset[str]] = {
    relation: other
    for one, two in ((_LIKED, _DISLIKED), (_ALLOWED, _FORBIDDEN), (_TRUSTED, _DISTRUSTED), (_ACCEPTED, _REJECTED))
    for relations, other in ((one, two), (two, one))
    for relation in relations
}
"""Relations and those that can't hold of the same two entities at the same time."""

_STATES = (
    ("open", "closed shut"), ("alive", "dead deceased"), ("married", "single divorced widowed unmarried"),
    ("employed", "unemployed jobless retired"), ("full", "empty"), ("ill", "healthy well fit recovered"),
    ("sick", "healthy well fit recovered"), ("awake", "asleep"), ("locked", "unlocked"), ("on", "off"),
    ("available", "unavailable"), ("happy", "sad unhappy"), ("clean", "dirty"), ("broken", "fixed repaired working intact"),
    ("present", "absent"), ("wet", "dry"), ("busy", "free"), ("legal", "illegal"), ("safe", "dangerous unsafe"),
    ("rich", "poor"), ("active", "inactive"), ("valid", "invalid expired"), ("online", "offline"),
    ("pregnant", "not pregnant"), ("vegetarian", "non-vegetarian"), ("allowed", "forbidden banned prohibited"),
)  # fmt: skip
OPPOSITE_STATES: dict[str, frozenset[str]] = {}
for _one, _others in _STATES:
    OPPOSITE_STATES[_one] = OPPOSITE_STATES.get(_one, frozenset()) | frozenset(_others.split())
    for _other in _others.split():
        OPPOSITE_STATES[_other] = OPPOSITE_STATES.get(_other, frozenset()) | {_one}
"""Tails of ``is`` that can't hold of one entity at the same time."""


def denied(relation: str) -> frozenset[str]:
    """Return the relations that a denial of ``relation`` denies."""
    return frozenset({relation}).union(*(family for family in FAMILIES if relation in family))


@dataclass(frozen=True, slots=True)
class Ending:
    """Statement that something holds no longer.

    Attributes:
        head: Name of an entity.
        relations: Relations of the facts that end, with the entity as head, or as the owner of ``owned_by``.
        tail: Name of the other entity; ``None`` for all of these facts.
        time: When they ended, in seconds since the epoch; ``None`` for the time of the telling.
        provenance: Who says so.
    """

    head: str
    relations: frozenset[str]
    tail: str | None = None
    time: float | None = None
    provenance: Provenance | str | None = None

    def covers(self, relation: str) -> bool:
        """Return whether facts in a relation end: who leaves a firm no longer ``cooks_at`` or ``plays_for`` it."""
        at = self.tail is not None and "works_at" in self.relations and relation.endswith(("_at", "_for"))
        return at or relation in self.relations

    @property
    def origin(self) -> Provenance:
        """The provenance, complete."""
        return origin_of(self.provenance)

    def derived_from(self, *rows: tuple[str, int]) -> "Ending":
        """Return the ending as derived from some rows."""
        return replace(self, provenance=replace(self.origin, derived_from=rows))
