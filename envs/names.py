"""Names of people, places and things."""

import numpy as np

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


def some(pool: list[str], count: int, rng: np.random.Generator) -> list[str]:
    """Some names of a list, in any order."""
    return [pool[int(i)] for i in rng.permutation(len(pool))[:count]]
