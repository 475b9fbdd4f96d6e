"""Travel by car on the roads of an OpenStreetMap extract, without a server.

    roads = Roads.from_file(Path("city.osm.pbf"), cache_directory=Path("cache"))
    matrix = roads.matrix(places, departs_at)
    for place in roads.unreachable(places): print(place)

The extract is read once: which ways a car may drive, in which direction and how fast. Only junctions become vertices of
the graph; what lies between two of them is one stretch, whose length is summed over its own points. A place is joined
to the nearest point of the nearest road by a straight walk, and Dijkstra's algorithm (scipy) finds the quickest ways.
Distances are those of the quickest ways.

What it does not know: turn restrictions and the time that turns and traffic lights take, ferries, opening hours of
roads, the traffic of this day. Tags are read as the OpenStreetMap wiki defines them (pages Key:highway, Key:access,
Key:oneway, Key:maxspeed, Key:barrier).
"""

import hashlib
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

try:
    import osmium
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components, dijkstra
    from scipy.spatial import cKDTree
except ImportError as error:
    raise ImportError(
        f"travel on roads needs the packages osmium and scipy: {error}", name=error.name
    ) from error

from optimizer.matrix_cache import DamagedFile, read_arrays, write_arrays
from optimizer.problem import TravelMatrix
from optimizer.travel import (
    CITY_TRAFFIC,
    PARKING_S,
    Place,
    SpeedProfile,
    ground_points,
    points_of_degrees,
    require_parking,
    rounded_matrix,
)

logger = logging.getLogger(__name__)

FORMAT = 1
"""Raised whenever a network is read from the same extract in another way."""

SPEEDS_KMH: Mapping[str, float] = {
    "motorway": 90,
    "motorway_link": 45,
    "trunk": 85,
    "trunk_link": 40,
    "primary": 65,
    "primary_link": 30,
    "secondary": 55,
    "secondary_link": 25,
    "tertiary": 40,
    "tertiary_link": 20,
    "unclassified": 25,
    "residential": 25,
    "road": 25,
    "living_street": 10,
    "service": 15,
}
"""Usual speed where no limit is tagged, and the classes a car uses: those of the car profile of OSRM (profiles/car.lua
of Project-OSRM/osrm-backend); `road`, a class not known yet, counts as residential."""

LIMIT_SHARE = 0.8
"""Mean speed over the limit where one is tagged: nobody drives at the limit from junction to junction. An assumption;
OSRM's car profile reduces speeds by as much."""

SLOW_CLASSES = frozenset({"living_street", "service"})
"""Narrow ways: a limit only makes them slower."""

ZONE_LIMITS_KMH = {
    "urban": 50.0,
    "rural": 100.0,
    "motorway": 130.0,
    "living_street": 7.0,
    "walk": 7.0,
    "none": 130.0,
}
"""Limits given by name (`none`, `walk`, `DE:urban`), in km/h, as in most of Europe; where the law differs, the map
should give the number."""

UNIT_KMH = {"": 1.0, "km/h": 1.0, "kmh": 1.0, "kph": 1.0, "mph": 1.609344, "knots": 1.852}

MIN_SPEED_KMH = 3.0
"""No limit makes a road slower than somebody on foot."""

CLOSED = frozenset(
    {"no", "agricultural", "forestry", "emergency", "psv", "bus", "taxi", "military", "bicycle"}
)
LOCAL = frozenset(
    {"private", "destination", "delivery", "customers", "customer", "permit", "residents", "restricted"}
)
"""Access for those with business there, which a technician has: such roads begin or end a way, and none leads through
them."""

ACCESS_KEYS = ("motorcar", "motor_vehicle", "vehicle", "access")
"""The most special one that is tagged decides."""

LOCAL_SERVICES = frozenset({"driveway", "parking_aisle", "drive-through"})
OPEN_BARRIERS = frozenset(
    {
        "no",
        "entrance",
        "gate",
        "lift_gate",
        "toll_booth",
        "cattle_grid",
        "border_control",
        "sally_port",
        "height_restrictor",
    }
)
"""Barriers that a car passes unless their own access says otherwise; all others stop it unless it says so."""

PIECE_M = 50.0
"""Roads are searched for in pieces no longer than this."""

JUNCTION_M = 1.0
"""A place joined to a road this near to its beginning stands at the junction and may leave it by the other roads."""

TICKS_PER_S = 100
TICKS_PER_M = 10
DISTANCE_BITS = 26
"""A way is one number for Dijkstra: hundredths of a second, shifted left by so many bits, plus tenths of a metre. The
quickest way is found, the shortest among equals, and its distance comes with it. Sums stay exact in a float64 up to
15 days and 6,700 km."""

MAX_NEIGHBOURS = 4
"""Vertices with no more neighbours are eliminated: fewer leaves more vertices to search, more joins what is left so
densely that the search is slower again (tried on a city: 2 to 5)."""

MAX_CELLS = 2**25
"""Distances from places to vertices held at once: 256 MiB."""

Access = Literal["open", "local", "closed"]


class InvalidMap(ValueError):
    """The file is no OpenStreetMap extract, or has no road for cars."""


class Way(NamedTuple):
    """What the tags of one way mean for a car. Speeds in km/h, 0 where it must not drive in that direction."""

    forward_kmh: float
    backward_kmh: float
    local: bool


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A place that no road leads to. `place` is its index among the places asked for; `road_m` how far the nearest
    road is. far_from_road: more than `Roads.max_access_m`. cut_off: its road is not joined, in both directions, to
    the largest part of the network; it may still be reached from places on the same part."""

    place: int
    reason: Literal["far_from_road", "cut_off"]
    road_m: int


# --- What tags mean -------------------------------------------------------------------------------------------------


def access_of(tags: Mapping[str, str]) -> Access:
    """Whether cars may use a way or pass a barrier; of several values the kindest. Without a tag: open."""
    value = next((tags[key] for key in ACCESS_KEYS if key in tags), "yes")
    values = {part.strip() for part in value.split(";")}
    if values <= CLOSED:
        return "closed"
    return "local" if values <= CLOSED | LOCAL else "open"


def directions_of(tags: Mapping[str, str]) -> tuple[bool, bool]:
    """Whether a car may drive a way forwards and backwards. Motorways and roundabouts are one-way unless tagged
    otherwise; lanes whose direction changes by the hour are left out."""
    implied = tags.get("junction") in ("roundabout", "circular") or tags.get("highway") == "motorway"
    keys = ("oneway:motorcar", "oneway:motor_vehicle", "oneway:vehicle", "oneway")
    value = next((tags[key] for key in keys if key in tags), "yes" if implied else "no")
    if value == "reversible":
        return False, False
    if value in ("-1", "reverse"):
        return False, True
    return True, value not in ("yes", "true", "1")


def limit_kmh(value: str | None) -> float | None:
    """The speed limit that a maxspeed tag gives, the lowest of several; None if it gives none that is known."""
    limits = []
    for part in (value or "").split(";"):
        text = part.strip()
        number = re.fullmatch(r"(\d{1,4}(?:\.\d+)?)\s*(km/h|kmh|kph|mph|knots|)", text)
        zone = re.fullmatch(r"[A-Z]{2}:(?:zone:?)?(\d{1,3})", text)
        if number:
            limits.append(float(number[1]) * UNIT_KMH[number[2]])
        elif zone:
            limits.append(float(zone[1]))
        elif (name := text.rpartition(":")[2]) in ZONE_LIMITS_KMH:
            limits.append(ZONE_LIMITS_KMH[name])
    return min((limit for limit in limits if limit > 0), default=None)


def speed_kmh(tags: Mapping[str, str], direction: Literal["forward", "backward"]) -> float:
    """Mean speed by day on a way of a class in `SPEEDS_KMH`."""
    usual = SPEEDS_KMH[tags["highway"]]
    limit = limit_kmh(tags.get(f"maxspeed:{direction}", tags.get("maxspeed")))
    if limit is None:
        return usual
    driven = max(MIN_SPEED_KMH, LIMIT_SHARE * limit)
    return min(usual, driven) if tags["highway"] in SLOW_CLASSES else driven


def way_of(tags: Mapping[str, str]) -> Way | None:
    """What a way is to a car; None if it is no road, or closed."""
    access = access_of(tags)
    if tags.get("highway") not in SPEEDS_KMH or access == "closed" or tags.get("area") == "yes":
        return None
    if tags.get("service") == "emergency_access":
        return None
    forward, backward = directions_of(tags)
    if not (forward or backward):
        return None
    return Way(
        speed_kmh(tags, "forward") if forward else 0.0,
        speed_kmh(tags, "backward") if backward else 0.0,
        access == "local" or tags.get("service") in LOCAL_SERVICES,
    )


def barrier_of(tags: Mapping[str, str]) -> Access:
    """Whether cars may pass a node: what its access says; without, a gate is open and a bollard closed."""
    if "barrier" not in tags:
        return "open"
    if any(key in tags for key in ACCESS_KEYS):
        return access_of(tags)
    return "open" if tags["barrier"] in OPEN_BARRIERS else "closed"


# --- From the file to a network -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """Stretches of road between vertices, as they lie on the map.

    Of each stretch, shape (stretches,): tail and head, its vertices; length_m; forward_kmh (tail to head) and
    backward_kmh, 0 where closed; local, see `LOCAL`; first and last, the rows of its points. lat_e7 and lon_e7, of all
    points: degrees times 10^7.
    """

    tail: NDArray[np.int32]
    head: NDArray[np.int32]
    length_m: NDArray[np.float64]
    forward_kmh: NDArray[np.float64]
    backward_kmh: NDArray[np.float64]
    local: NDArray[np.bool_]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    lat_e7: NDArray[np.int32]
    lon_e7: NDArray[np.int32]

    @property
    def vertices(self) -> int:
        return int(max(self.tail.max(), self.head.max())) + 1

    def points(self) -> NDArray[np.float64]:
        """Metres from the earth's centre, shape (points, 3)."""
        return points_of_degrees(self.lat_e7 / 1e7, self.lon_e7 / 1e7)[:3].T.copy()


class _Pieces:
    """Collects ways as they are read: parts of ways that nothing bars, one after another."""

    def __init__(self) -> None:
        self.nodes: list[int] = []
        self.lat_e7: list[int] = []
        self.lon_e7: list[int] = []
        self.begins: list[int] = []
        self.ways: list[Way] = []
        self.barriers: dict[int, Access] = {}
        self._made_up = 0

    def add(self, way: Way, nodes: Iterable[tuple[int, int, int]]) -> None:
        """A way of (node, lat_e7, lon_e7). At a closed barrier one piece ends and another begins, each at a vertex of
        its own, so that no way leads across nor turns off there."""
        self._begin(way)
        for node, lat, lon in nodes:
            if self.barriers.get(node) != "closed":
                self._append(node, lat, lon)
                continue
            self._append(self._new_node(), lat, lon)
            self._begin(way)
            self._append(self._new_node(), lat, lon)

    def _new_node(self) -> int:
        self._made_up -= 1
        return self._made_up

    def _begin(self, way: Way) -> None:
        self.begins.append(len(self.nodes))
        self.ways.append(way)

    def _append(self, node: int, lat: int, lon: int) -> None:
        self.nodes.append(node)
        self.lat_e7.append(lat)
        self.lon_e7.append(lon)


def _read_pieces(path: Path) -> _Pieces:
    """All drivable ways of the file. Nodes that an extract has cut off are left out of their ways."""
    pieces = _Pieces()
    try:
        wanted = osmium.filter.KeyFilter("highway", "barrier")
        for item in osmium.FileProcessor(str(path)).with_locations().with_filter(wanted):
            if isinstance(item, osmium.osm.Node):
                if (access := barrier_of(dict(item.tags))) != "open":
                    pieces.barriers[item.id] = access
            elif isinstance(item, osmium.osm.Way) and (way := way_of(dict(item.tags))) is not None:
                known = ((n.ref, n.y, n.x) for n in item.nodes if n.location.valid())
                pieces.add(way, known)
    except RuntimeError as error:  # what osmium raises for a file that it cannot read
        raise InvalidMap(f"{path.name} is not a readable OpenStreetMap extract: {error}") from error
    return pieces


def read_network(path: Path) -> Network:
    """The roads of an extract. Raises `InvalidMap`, or `OSError` if there is no such file."""
    with path.open("rb"):
        pass
    pieces = _read_pieces(path)
    nodes = np.array(pieces.nodes, dtype=np.int64)
    lat_e7, lon_e7 = (np.array(e7, dtype=np.int32) for e7 in (pieces.lat_e7, pieces.lon_e7))
    begins = np.array([*pieces.begins, len(nodes)], dtype=np.int64)
    piece = np.repeat(np.arange(len(pieces.begins)), begins[1:] - begins[:-1])
    if len(nodes) < 2:
        raise InvalidMap(f"{path.name} has no road for cars")

    _, index, uses = np.unique(nodes, return_inverse=True, return_counts=True)
    gated = np.isin(nodes, [node for node, access in pieces.barriers.items() if access == "local"])
    ends = np.diff(piece, prepend=-1, append=-1) != 0
    stops = np.flatnonzero(gated | (uses[index] > 1) | ends[:-1] | ends[1:])
    inside = piece[stops[:-1]] == piece[stops[1:]]
    first, last = stops[:-1][inside], stops[1:][inside]
    if len(first) == 0:
        raise InvalidMap(f"{path.name} has no road for cars")

    vertex = np.unique(np.concatenate((index[first], index[last])), return_inverse=True)[1]
    points = points_of_degrees(lat_e7 / 1e7, lon_e7 / 1e7)[:3]
    steps = np.linalg.norm(np.diff(points, axis=1), axis=0)
    along = np.concatenate(([0.0], np.cumsum(np.where(np.diff(piece) == 0, steps, 0.0))))
    forward, backward, local = zip(*(pieces.ways[p] for p in piece[first]), strict=True)
    return Network(
        tail=vertex[: len(first)].astype(np.int32),
        head=vertex[len(first) :].astype(np.int32),
        length_m=along[last] - along[first],
        forward_kmh=np.array(forward, dtype=np.float64),
        backward_kmh=np.array(backward, dtype=np.float64),
        local=np.array(local, dtype=np.bool_) | gated[first] | gated[last],
        first=first.astype(np.int64),
        last=last.astype(np.int64),
        lat_e7=lat_e7,
        lon_e7=lon_e7,
    )


def _table_key() -> str:
    """Of everything in this file that decides how an extract is read."""
    tables: tuple[object, ...] = (
        FORMAT,
        *(sorted(table.items()) for table in (SPEEDS_KMH, ZONE_LIMITS_KMH, UNIT_KMH)),
        *(sorted(names) for names in (SLOW_CLASSES, CLOSED, LOCAL, LOCAL_SERVICES, OPEN_BARRIERS)),
        (LIMIT_SHARE, MIN_SPEED_KMH, ACCESS_KEYS, TICKS_PER_S, TICKS_PER_M, DISTANCE_BITS, MAX_NEIGHBOURS),
    )
    return repr(tables)


# --- From the network to ways ---------------------------------------------------------------------------------------


class _Arcs(NamedTuple):
    """Directed arcs between vertices: begin, end, cost, each of shape (arcs,). For the cost see `DISTANCE_BITS`."""

    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    cost: NDArray[np.float64]


class _Joined(NamedTuple):
    """Places joined to the road, each of shape (places,): the stretch, metres along it from its tail, and metres of
    straight way to it."""

    stretch: NDArray[np.int64]
    along_m: NDArray[np.float64]
    access_m: NDArray[np.float64]

    def only(self, chosen: NDArray[np.int64]) -> "_Joined":
        return _Joined(self.stretch[chosen], self.along_m[chosen], self.access_m[chosen])


def _cost(metres: NDArray[np.float64], kmh: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of ways of such lengths at such speeds; never nothing, which a sparse matrix would take for no arc."""
    ticks = np.rint(metres * (3.6 * TICKS_PER_S) / kmh)
    return np.maximum(ticks * 2.0**DISTANCE_BITS + np.rint(metres * TICKS_PER_M), 1.0)


def _sparse(arcs: Sequence[_Arcs], vertices: int) -> Any:
    """The arcs as scipy's compressed rows, of several between the same two vertices the cheapest."""
    begin, end, cost = (np.concatenate(part) for part in zip(*arcs, strict=True))
    order = np.lexsort((cost, end, begin))
    begin, end, cost = begin[order], end[order], cost[order]
    cheapest = np.ones(len(order), dtype=np.bool_)
    cheapest[1:] = (begin[1:] != begin[:-1]) | (end[1:] != end[:-1])
    rows = np.zeros(vertices + 1, dtype=np.int32)
    np.cumsum(np.bincount(begin[cheapest], minlength=vertices), out=rows[1:])
    return csr_array((cost[cheapest], end[cheapest].astype(np.int32), rows), shape=(vertices, vertices))


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A network as Dijkstra's algorithm wants it.

    Ways through roads for local business only are shut by layers: a way begins on the roads of the first layer (local),
    goes on to the second (public) and ends on the third (local again), never back. Vertices of local roads are in the
    first and the third layer, those of public ones in the second; `layer`, shape (3, vertices of the network), has
    their numbers there, -1 for none. Public roads that are joined to the largest part of the public network through
    local ones alone are themselves local, as a car park's aisle behind a private drive; `local` (stretches,) tells.

    Vertices with few neighbours are eliminated: shortcuts past them join their neighbours, as in contraction
    hierarchies (Geisberger, Sanders, Schultes, Delling, "Contraction Hierarchies", WEA 2008). Of each arc, shape
    (arcs,): begin, end, cost (see `DISTANCE_BITS`), and owner, the vertex with whose elimination it left the graph, or
    -1. The arcs without owner and those of the vertices that a way begins or ends at, and of the vertices that these
    lead up to, hold every quickest way.

    part (vertices of the network,): vertices of one part reach each other. part_m (parts,): metres of road in it.
    """

    layer: NDArray[np.int64]
    local: NDArray[np.bool_]
    part: NDArray[np.int64]
    part_m: NDArray[np.float64]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    cost: NDArray[np.float64]
    owner: NDArray[np.int64]

    @property
    def vertices(self) -> int:
        return int(self.layer.max()) + 1

    def arcs_around(self, used: NDArray[np.int64]) -> _Arcs:
        """Enough of the arcs for every quickest way between these vertices."""
        needed = np.zeros(self.vertices, dtype=np.bool_)
        needed[used] = True
        count = 0
        while count < (count := int(needed.sum())):
            owned = needed[self.owner] & (self.owner >= 0)
            needed[self.begin[owned]] = needed[self.end[owned]] = True
        owned = needed[self.owner] | (self.owner < 0)
        return _Arcs(self.begin[owned], self.end[owned], self.cost[owned])


def graph_of(network: Network) -> Graph:
    """The graph of a network."""
    part, part_m = _parts(network, np.ones(len(network.tail), dtype=np.bool_))
    public_part, public_m = _parts(network, ~network.local)
    in_public = (public_part == public_m.argmax()) & (public_m.max() > 0)
    local = network.local | ~in_public[network.tail] | ~in_public[network.head]
    in_local = np.zeros(network.vertices, dtype=np.bool_)
    in_local[network.tail[local]] = in_local[network.head[local]] = True

    layer = np.full((3, network.vertices), -1, dtype=np.int64)
    vertices = 0
    for row, members in zip(layer, (in_local, in_public, in_local), strict=True):
        row[members] = vertices + np.arange(members.sum())
        vertices += int(members.sum())
    arcs = [*_drives(network, local, layer), *_changes(layer, in_local & in_public)]
    return Graph(layer, local, part, part_m, *_Elimination(_sparse(arcs, vertices)).arcs())


def _parts(network: Network, chosen: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """`Graph.part` and `Graph.part_m` by the chosen stretches alone."""
    forward, backward = chosen & (network.forward_kmh > 0), chosen & (network.backward_kmh > 0)
    ones = np.ones(int(forward.sum() + backward.sum()))
    begin = np.concatenate((network.tail[forward], network.head[backward])).astype(np.int64)
    end = np.concatenate((network.head[forward], network.tail[backward])).astype(np.int64)
    graph = _sparse([_Arcs(begin, end, ones)], network.vertices)
    count, part = connected_components(graph, directed=True, connection="strong")
    inside = chosen & (part[network.tail] == part[network.head])
    metres = np.bincount(part[network.tail[inside]], network.length_m[inside], minlength=count)
    return part.astype(np.int64), np.asarray(metres, dtype=np.float64)


def _drives(network: Network, local: NDArray[np.bool_], layer: NDArray[np.int64]) -> Iterable[_Arcs]:
    """Along each stretch, in each direction that is open, in each layer that has it."""
    for vertex, chosen in zip(layer, (local, ~local, local), strict=True):
        for begin, end, kmh in (
            (network.tail, network.head, network.forward_kmh),
            (network.head, network.tail, network.backward_kmh),
        ):
            open_ = chosen & (kmh > 0)
            cost = _cost(network.length_m[open_], kmh[open_])
            yield _Arcs(vertex[begin[open_]], vertex[end[open_]], cost)


def _changes(layer: NDArray[np.int64], both: NDArray[np.bool_]) -> Iterable[_Arcs]:
    """From layer to layer, at vertices of local and public roads."""
    for lower, upper in ((0, 1), (1, 2)):
        yield _Arcs(layer[lower, both], layer[upper, both], np.ones(int(both.sum())))


class _Elimination:
    """Takes vertices out of a graph, always one with the fewest neighbours, until all that are left have more than
    `MAX_NEIGHBOURS`."""

    def __init__(self, graph: Any) -> None:
        self.vertices = graph.shape[0]
        self._out: list[dict[int, float]] = [{} for _ in range(self.vertices)]
        self._into: list[dict[int, float]] = [{} for _ in range(self.vertices)]
        self._waiting: list[list[int]] = [[] for _ in range(MAX_NEIGHBOURS + 1)]
        arcs = graph.tocoo()
        for begin, end, cost in zip(arcs.row.tolist(), arcs.col.tolist(), arcs.data.tolist(), strict=True):
            if begin != end:
                self._out[begin][end] = self._into[end][begin] = cost

    def arcs(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
        """begin, end, cost and owner of `Graph`."""
        for vertex in range(self.vertices):
            self._queue(vertex)
        found: list[tuple[int, int, float, int]] = []
        gone = [False] * self.vertices
        while (few := next((few for few, bucket in enumerate(self._waiting) if bucket), None)) is not None:
            vertex = self._waiting[few].pop()
            neighbours = self._neighbours(vertex)
            if gone[vertex] or len(neighbours) != few:
                continue
            gone[vertex] = True
            found += ((vertex, end, cost, vertex) for end, cost in self._out[vertex].items())
            found += ((begin, vertex, cost, vertex) for begin, cost in self._into[vertex].items())
            self._take_out(vertex)
            for neighbour in sorted(neighbours):
                self._queue(neighbour)
        found += ((v, end, cost, -1) for v in range(self.vertices) for end, cost in self._out[v].items())
        begin, end, cost, owner = np.array(found, dtype=np.float64).reshape(-1, 4).T
        return begin.astype(np.int64), end.astype(np.int64), cost.copy(), owner.astype(np.int64)

    def _neighbours(self, vertex: int) -> set[int]:
        return self._out[vertex].keys() | self._into[vertex].keys()

    def _queue(self, vertex: int) -> None:
        neighbours = len(self._neighbours(vertex))
        if neighbours <= MAX_NEIGHBOURS:
            self._waiting[neighbours].append(vertex)

    def _take_out(self, vertex: int) -> None:
        """Shortcuts join those before the vertex to those after it, unless they are joined as well already."""
        out, into = self._out[vertex], self._into[vertex]
        for end in out:
            del self._into[end][vertex]
        for begin, to_vertex in into.items():
            del self._out[begin][vertex]
            for end, from_vertex in out.items():
                cost = to_vertex + from_vertex
                if begin != end and cost < self._out[begin].get(end, np.inf):
                    self._out[begin][end] = self._into[end][begin] = cost
        self._out[vertex], self._into[vertex] = {}, {}


def _load(path: Path, cache_directory: Path | None) -> tuple[str, Network, Graph]:
    """The digest of an extract with the rules to read it, its roads and their graph: from the cache if there."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(_table_key().encode())
    key = digest.hexdigest()
    if cache_directory is None:
        network = read_network(path)
        return key, network, graph_of(network)
    kept = cache_directory / f"{key}.roads"
    try:
        arrays = read_arrays(kept)
        network = Network(**{name: arrays[name] for name in Network.__slots__})
        return key, network, Graph(**{name: arrays[name] for name in Graph.__slots__})
    except FileNotFoundError:
        logger.info("Reading the roads of %s for the first time", path.name)
    except DamagedFile:
        logger.warning("The roads kept on disk are damaged and are read anew: %s", kept.name)
    except OSError as error:
        logger.warning("The roads kept on disk could not be read and are read anew: %s", error.strerror)
    network = read_network(path)
    graph = graph_of(network)
    arrays = {name: getattr(part, name) for part in (network, graph) for name in type(part).__slots__}
    try:
        write_arrays(kept, arrays)
    except OSError as error:
        logger.warning("The roads of %s could not be kept on disk: %s", path.name, error.strerror)
    return key, network, graph


@dataclass(frozen=True, slots=True, eq=False)
class _Ends:
    """The first and the last arcs of ways: between joined places and the vertices of their stretches."""

    network: Network
    graph: Graph
    joined: _Joined

    def departures(self, first: int) -> Iterable[_Arcs]:
        """From each place, numbered from `first` on."""
        for vertex, metres, kmh in self._both_ways(leaving=True):
            go, cost = self._open(metres, kmh)
            layer = np.where(self._local(), 0, 1)
            yield _Arcs(first + go, self.graph.layer[layer[go], vertex[go]], cost)

    def arrivals(self, first: int) -> Iterable[_Arcs]:
        """To each place, numbered from `first` on; on a local road also from the first layer, for ways that never left
        local roads."""
        for layer in (np.where(self._local(), 2, 1), np.where(self._local(), 0, 1)):
            for vertex, metres, kmh in self._both_ways(leaving=False):
                go, cost = self._open(metres, kmh)
                yield _Arcs(self.graph.layer[layer[go], vertex[go]], first + go, cost)

    def along_one_stretch(self, first: int, first_arrival: int) -> Iterable[_Arcs]:
        """Between places on the same stretch, without a vertex between them."""
        stretch, along_m = self.joined.stretch, self.joined.along_m
        order = np.argsort(stretch, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(stretch[order])) + 1):
            a, b = (pair.ravel() for pair in np.meshgrid(group, group, indexing="ij"))
            metres = along_m[b] - along_m[a]
            forward, backward = self.network.forward_kmh[stretch[a]], self.network.backward_kmh[stretch[a]]
            kmh = np.where(metres >= 0, forward, backward)
            go = (a != b) & (kmh > 0)
            yield _Arcs(first + a[go], first_arrival + b[go], _cost(np.abs(metres[go]), kmh[go]))

    def _local(self) -> NDArray[np.bool_]:
        return self.graph.local[self.joined.stretch]

    def _both_ways(
        self, leaving: bool
    ) -> Iterable[tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]]]:
        """For both ends of the stretches: the vertex, the metres to it, the speed (0 where closed)."""
        network, at, along_m = self.network, self.joined.stretch, self.joined.along_m
        to_tail, to_head = (network.backward_kmh, network.forward_kmh)
        if not leaving:
            to_tail, to_head = to_head, to_tail
        yield network.head[at], network.length_m[at] - along_m, to_head[at]
        yield network.tail[at], along_m, to_tail[at]

    @staticmethod
    def _open(
        metres: NDArray[np.float64], kmh: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Which of the places may go there, and at what cost; at the junction itself no direction is closed."""
        go = np.flatnonzero((kmh > 0) | (metres < JUNCTION_M))
        return go, _cost(np.maximum(metres[go], 0), np.where(kmh > 0, kmh, MIN_SPEED_KMH)[go])


class _Finder:
    """The nearest road to a point: an index over the middles of pieces of road, then the pieces themselves."""

    def __init__(self, network: Network, graph: Graph, joinable: NDArray[np.bool_]) -> None:
        self._local = graph.local
        points = network.points()
        stretches = np.flatnonzero(joinable)
        counts = (network.last - network.first)[stretches]
        self._stretch = np.repeat(stretches, counts)
        begins = np.repeat(network.first[stretches] - np.cumsum(counts) + counts, counts) + np.arange(
            counts.sum()
        )
        self._from, self._to = points[begins], points[begins + 1]
        lengths = np.linalg.norm(self._to - self._from, axis=1)
        along = np.cumsum(lengths) - lengths
        starts = np.cumsum(counts) - counts
        self._along_m = along - np.repeat(along[starts], counts)

        pieces = np.maximum(np.ceil(lengths / PIECE_M), 1).astype(np.int64)
        self._segment = np.repeat(np.arange(len(lengths)), pieces)
        number = np.arange(len(self._segment)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        share = ((number + 0.5) / pieces[self._segment])[:, None]
        self._tree = cKDTree(self._from[self._segment] * (1 - share) + self._to[self._segment] * share)

    def join(self, places: Sequence[Place]) -> _Joined:
        """Each place to the nearest point of any road, however far; where several meet, to a public one: a place
        at a crossing is not one on the private road there."""
        points = ground_points(places)[:3].T
        middle_m = self._tree.query(points)[0]
        # The nearest road has its middle at most half a piece farther away than the nearest middle.
        candidates = self._tree.query_ball_point(points, middle_m + (PIECE_M / 2 + 0.01))
        place = np.repeat(np.arange(len(points)), [len(found) for found in candidates])
        segment = self._segment[np.concatenate([np.asarray(found, dtype=np.int64) for found in candidates])]
        direction = self._to[segment] - self._from[segment]
        squared = np.maximum((direction**2).sum(axis=1), 1e-12)
        share = np.clip(((points[place] - self._from[segment]) * direction).sum(axis=1) / squared, 0, 1)
        access_m = np.linalg.norm(points[place] - self._from[segment] - direction * share[:, None], axis=1)
        stretch = self._stretch[segment]
        order = np.lexsort((stretch, self._local[stretch], np.rint(access_m * 1000), place))
        best = order[np.searchsorted(place[order], np.arange(len(points)))]
        along_m = self._along_m[segment[best]] + share[best] * np.sqrt(squared[best])
        return _Joined(stretch[best], along_m, access_m[best])


@dataclass(frozen=True, slots=True, eq=False)
class Roads:
    """Ways by car on the roads of an extract; made by `from_file`.

    source: the digest of the extract and of the rules to read it. profile: the factors of the hours, for driving; one
    hour holds for a whole matrix. parking_s: added to each leg between places that differ. max_access_m: how far from a
    road a place may lie; access_kmh: the pace on the straight way between the two, on foot. least_part_m: parts of the
    network that are shorter than this and not joined to the rest are gaps in the map: a place next to one is joined to
    the next road instead.
    Raises `ValueError` for settings that give no travel time.
    """

    network: Network = field(repr=False)
    graph: Graph = field(repr=False)
    source: str
    profile: SpeedProfile = CITY_TRAFFIC
    parking_s: int = PARKING_S
    max_access_m: float = 500.0
    access_kmh: float = 5.0
    least_part_m: float = 1_000.0
    _finder: _Finder = field(init=False, repr=False)

    def __post_init__(self) -> None:
        require_parking(self.parking_s)
        for name, most in (("max_access_m", 100_000.0), ("least_part_m", 1e9)):
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"{name} must lie between 0 and {most:g}, not {getattr(self, name)}")
        if not 0.5 <= self.access_kmh <= 100:
            raise ValueError(f"access_kmh must lie between 0.5 and 100, not {self.access_kmh}")
        part, part_m = self.graph.part, self.graph.part_m
        tail, head = part[self.network.tail], part[self.network.head]
        lasting = part_m >= min(self.least_part_m, part_m.max())
        joinable = (tail == head) & lasting[tail]
        if not joinable.any():
            raise InvalidMap("the map has no road that a car can drive to and fro")
        object.__setattr__(self, "_finder", _Finder(self.network, self.graph, joinable))

    @classmethod
    def from_file(cls, path: Path, cache_directory: Path | None = None, **settings: Any) -> "Roads":
        """The roads of an OpenStreetMap extract (`.osm.pbf` or whatever osmium reads).

        cache_directory: where what was read is kept, under a digest of the file and of the rules to read it; None
        keeps nothing. settings: those of `Roads`. Raises `InvalidMap`, or `OSError` if the extract cannot be read.
        """
        source, network, graph = _load(path, cache_directory)
        return cls(network, graph, source, **settings)

    @property
    def cache_key(self) -> str:
        """Everything that the answers depend on, beside places and hour (`matrix_cache.CacheableProvider`)."""
        return repr(self)

    def matrix(self, places: Sequence[Place], departs_at: datetime | None = None) -> TravelMatrix:
        """The quickest ways, shape (places, places); `problem.UNREACHABLE` where there is none, and `unreachable` tells
        why."""
        n = len(places)
        if n == 0:
            return rounded_matrix(places, np.zeros((0, 0)), np.zeros((0, 0)))
        joined = self._finder.join(places)
        near = np.flatnonzero(joined.access_m <= self.max_access_m)
        cost = np.full((n, n), np.inf)
        cost[np.ix_(near, near)] = self._costs(joined.only(near))
        ticks = np.where(np.isfinite(cost), cost, 0).astype(np.int64)
        walk_m = joined.access_m[:, None] + joined.access_m[None, :]
        drive_s = (ticks >> DISTANCE_BITS) / (TICKS_PER_S * self.profile.at(departs_at))
        seconds = drive_s + walk_m * (3.6 / self.access_kmh) + self.parking_s
        metres = (ticks & (2**DISTANCE_BITS - 1)) / TICKS_PER_M + walk_m
        return rounded_matrix(places, np.where(np.isfinite(cost), seconds, np.nan), metres)

    def unreachable(self, places: Sequence[Place]) -> list[Unreachable]:
        """The places that no way leads to from most of the map, or back, each with the reason."""
        if not places:
            return []
        joined = self._finder.join(places)
        part = self.graph.part[self.network.tail[joined.stretch]]
        main = self.graph.part_m.argmax()
        found = []
        for place, access_m in enumerate(joined.access_m):
            if access_m > self.max_access_m:
                found.append(Unreachable(place, "far_from_road", round(access_m)))
            elif part[place] != main:
                found.append(Unreachable(place, "cut_off", round(access_m)))
        return found

    def _costs(self, joined: _Joined) -> NDArray[np.float64]:
        """From every joined place to every other, see `DISTANCE_BITS`; infinite without a way."""
        n, first = len(joined.stretch), self.graph.vertices
        ends = _Ends(self.network, self.graph, joined)
        out, into = [*ends.departures(first)], [*ends.arrivals(first + n)]
        used = np.concatenate([*(arcs.end for arcs in out), *(arcs.begin for arcs in into)])
        direct = ends.along_one_stretch(first, first + n)
        graph = _sparse([self.graph.arcs_around(used), *out, *into, *direct], first + 2 * n)
        costs = np.empty((n, n))
        rows = max(1, MAX_CELLS // (first + 2 * n))
        for begin in range(0, n, rows):
            sources = first + np.arange(begin, min(begin + rows, n))
            ways = dijkstra(graph, directed=True, indices=sources, limit=2.0**53 - 1)
            costs[begin : begin + rows] = ways[:, first + n :]
        return costs
