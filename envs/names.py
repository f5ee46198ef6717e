"""Names of people, places and things; the train split has far more of them than the others.

A model that trains with thirty names memorizes them; with thousands it learns to copy what was said.
"""

from collections.abc import Sequence
from functools import cache
from itertools import product

import numpy as np

from envs.splits import Split, part

PEOPLE = (
    "Ada", "Bo", "Cleo", "Dina", "Emil", "Fay", "Gus", "Hana", "Ivo", "Jana", "Kai", "Lena", "Milo", "Nora", "Otto",
    "Pia", "Quin", "Rosa", "Sven", "Tara", "Ugo", "Vera", "Will", "Xena", "Yara", "Zeno", "Alma", "Boris", "Carla",
    "Dario", "Elsa", "Finn", "Greta", "Hugo", "Iris", "Jonas", "Karin", "Leo", "Mara", "Nils", "Olga", "Paul",
    "Rita", "Simon", "Tilda", "Ulla", "Viktor", "Wanda", "Yuri", "Zoe",
)  # fmt: skip

CITIES = (
    "Lisbon", "Porto", "Oslo", "Bergen", "Turin", "Genoa", "Lyon", "Nantes", "Ghent", "Bruges", "Cork", "Galway",
    "Graz", "Linz", "Malmo", "Uppsala", "Seville", "Malaga", "Krakow", "Gdansk", "Leeds", "York", "Basel", "Bern",
    "Riga", "Tartu", "Vilnius", "Kaunas", "Split", "Zadar",
)  # fmt: skip

COMPANIES = (
    "Arco", "Belmo", "Corvex", "Dunlo", "Ermis", "Fabrik", "Gelta", "Hexon", "Iluma", "Jupex", "Kolvar", "Lumen",
    "Marlo", "Nexum", "Orbit", "Palto", "Quorum", "Rivet", "Sintra", "Tavex",
)  # fmt: skip

THINGS = (
    "silver lamp", "old map", "brass bell", "wooden flute", "glass jar", "red scarf", "iron pot", "leather bag",
    "small mirror", "paper kite", "clay cup", "green umbrella", "gold ring", "torn letter", "blue vase", "tin whistle",
    "straw hat", "stone figure", "wool blanket", "copper kettle", "black notebook", "ivory comb", "yellow candle",
    "bone knife", "silk glove", "toy horse", "spare key", "rusty saw", "marble egg", "white shell", "broken clock",
    "long rope", "heavy book", "amber necklace", "bamboo fan", "chess set", "painted mask", "pocket watch",
    "tea tray", "wicker basket",
)  # fmt: skip

SPOTS = (
    "attic", "cellar", "garden", "kitchen", "library", "stable", "workshop", "hallway", "greenhouse", "boathouse",
    "chapel", "bakery", "market", "station", "harbour", "museum", "theatre", "school", "mill", "tower", "courtyard",
    "pantry", "laundry", "orchard", "barn", "studio", "office", "gallery", "bathhouse", "lighthouse",
)  # fmt: skip

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
TIMES = ("morning", "noon", "evening")


_ONSETS = ("b br c ch d dr f fl g gr h j k kl l m n p pr q r s sh st t tr v w y z").split()
_VOWELS = ["a", "e", "i", "o", "u", "ai", "ea", "ie"]
_ENDS = {
    "people": "n la ra s ko mi lin dra vo nel ta rik sa b d ma than bert na x go".split(),
    "cities": "ville burg ford mouth stad grad ona holm wick minster n na rt den lis tova".split(),
    "companies": "ex tron ix corp lab dyne ware soft mex gen rlo lto rva nta bo gra".split(),
}
_MORE = {
    "people": (
        "Adam Agnes Albert Alice Andrea Anna Anton Astrid August Beata Bella Bruno Celia Clara Conrad Daisy Daniel "
        "David Edgar Edith Elena Ella Emma Eric Ernest Esther Eva Felix Flora Frank Frida Georg Gloria Harald Heidi "
        "Helga Henry Ida Igor Ingrid Ivan Jakob Jasper Joan Julia Karl Kate Klaus Laura Linus Lisa Louis Lucia Lukas "
        "Magnus Marta Max Miriam Moritz Naomi Nelly Nina Oscar Pablo Pavel Peter Petra Ralf Robin Ruth Samuel Sara "
        "Sofia Stella Tamara Theo Thomas Tina Tom Victor Viola Walter Zora"
    ),
    "cities": (
        "Aachen Antwerp Athens Avignon Bath Belfast Berlin Bilbao Bonn Bordeaux Boston Bremen Brest Bristol Calais "
        "Cardiff Chester Cologne Cordoba Derby Dover Dresden Dublin Essen Exeter Florence Geneva Granada Grenoble "
        "Hamburg Hull Innsbruck Kiel Leipzig Lille Limerick London Lucerne Lund Madrid Mainz Marseille Metz Milan "
        "Munich Naples Odense Oxford Padua Palermo Paris Parma Perth Pisa Poznan Prague Ravenna Rennes Rome Rouen "
        "Salzburg Siena Sofia Toledo Toulouse Trieste Trondheim Utrecht Valencia Venice Verona Vienna Warsaw Zurich"
    ),
    "companies": (
        "Acorn Alto Apex Atlas Aurora Beacon Bolt Borealis Brightline Cedar Citadel Cobalt Crest Delta Echo Ember "
        "Falcon Forum Granite Harbor Helix Horizon Ivy Keystone Lark Lotus Magnet Maple Meridian Mosaic Nimbus Nova "
        "Onyx Opal Pinnacle Polar Prism Quartz Raven Ridge Saffron Scout Signal Summit Talon Tempo Titan Unity Vertex "
        "Vista Willow Zenith"
    ),
}
_LOOKS = (
    "dusty purple rough plain folded carved ancient tiny huge crooked striped spotted wet dry polished faded "
    "sharp soft round square hollow thin thick bent borrowed lost new odd grey pink orange brown velvet linen "
    "cotton steel tin plastic paper stone"
).split()
_SORTS = (
    "drum hammer pillow bucket spoon ladder wheel bottle ribbon button coin stamp pencil brush hat coat shoe "
    "belt chain nail feather doll puzzle radio camera teapot plate bowl fork lantern anchor compass globe whip "
    "saddle harp violin trumpet easel stool"
).split()
_PLACES = (
    "arcade bank bridge cabin canteen castle cave chamber church clinic club corridor dairy den depot dock "
    "factory farm ferry field forge fountain garage gate hangar hospital hotel hut inn lobby lodge loft lounge "
    "mosque nursery observatory palace park pavilion pier plaza porch prison quarry restaurant sauna shed shop "
    "square stadium store temple terrace tent vault veranda village vineyard wharf yard zoo"
).split()


@cache
def invented(kind: str) -> tuple[str, ...]:
    """Return about 1,500 made-up names of a kind: ``people``, ``cities`` or ``companies``."""
    heads = [*_ONSETS, *(vowel + onset for vowel in "aeiou" for onset in "bdklmnrtvz"), ""]
    names = ["".join(parts).capitalize() for parts in product(heads, _VOWELS, _ENDS[kind])]
    return tuple(dict.fromkeys(name for name in names[:: len(names) // 1500] if len(name) > 2))


@cache
def blended(kind: str) -> tuple[str, ...]:
    """Return about 3,000 names of a kind, each the beginning of one real name and the end of another.

    They share their pieces with real names; a model that copied only names of :func:`invented` misspells Turin.
    """
    lists = {"people": PEOPLE, "cities": CITIES, "companies": COMPANIES}
    real = [*part(lists[kind], "train"), *_MORE[kind].split()]
    heads = dict.fromkeys(name[:cut] for name in real for cut in range(2, len(name) - 1))
    tails = dict.fromkeys(name[cut:] for name in real for cut in range(1, len(name) - 1))
    names = [head + tail for head, tail in product(heads, tails) if len(head + tail) <= 10]
    step = len(names) // 3000 | 1  # an odd step, so that the tails vary
    return tuple(dict.fromkeys(names[::step]))


def pool(kind: str, split: Split) -> list[str]:
    """Return the ``people``, ``cities``, ``companies``, ``things`` or ``spots`` of a split; splits share no name."""
    lists: dict[str, Sequence[str]] = {
        "people": PEOPLE,
        "cities": CITIES,
        "companies": COMPANIES,
        "things": THINGS,
        "spots": SPOTS,
    }
    names = part(lists[kind], split)
    if split != "train":
        return names
    if kind == "things":
        return [*names, *(f"{look} {sort}" for look, sort in product(_LOOKS, _SORTS))]
    if kind == "spots":
        return [*names, *_PLACES]
    taken = {*PEOPLE, *CITIES, *COMPANIES}
    generated = (name for name in (*invented(kind), *blended(kind)) if len(name) > 3)  # no short words: Has, Man
    more = dict.fromkeys((*_MORE[kind].split(), *generated))
    return [*names, *(name for name in more if name not in taken)]


def some(pool: list[str], count: int, rng: np.random.Generator) -> list[str]:
    """Return ``count`` random names of a list, in random order."""
    return [pool[int(i)] for i in rng.permutation(len(pool))[:count]]
