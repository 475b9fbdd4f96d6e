"""Reading both formats of instances, and what is known of their best cost."""

from pathlib import Path

import pytest

pytest.importorskip("vrplib", reason="vrplib is not installed (extra bench)")

from benchmarks.instance import Client, VehicleType
from benchmarks.read import InstanceFile, UnsupportedInstance, instance_files, read_best_known, read_instance

SOLOMON = """tiny

VEHICLE
NUMBER     CAPACITY
   3         20

CUSTOMER
CUST NO.  XCOORD.    YCOORD.    DEMAND   READY TIME  DUE DATE   SERVICE TIME

    0      0          0          0          0        230          0
    1      1          1          7         10         90          5
    2      3          4          8          0        200          5
"""

PRIZES = """NAME : tiny
TYPE : PCVRPTW
DIMENSION : 3
VEHICLES : 2
CAPACITY : 9
SERVICE_TIME : 4
EDGE_WEIGHT_TYPE : EUC_2D
NODE_COORD_SECTION
1 0 0
2 1 1
3 3 4
DEMAND_SECTION
1 0
2 5
3 6
TIME_WINDOW_SECTION
1 0 100
2 0 50
3 0 60
PRIZE_SECTION
1 0
2 13
3 0
DEPOT_SECTION
1
-1
EOF
"""

DEPOTS = """NAME: tiny
TYPE: MDVRPTW
EDGE_WEIGHT_TYPE: EUC_2D
DIMENSION: 4
VEHICLES: 3
CAPACITY: 9
VEHICLES_MAX_DURATION: 40.5
NODE_COORD_SECTION
1 0.5 0
2 9 0
3 1 1
4 8 1
DEMAND_SECTION
1 0
2 0
3 5
4 6
SERVICE_TIME_SECTION
1 0
2 0
3 2
4 3
TIME_WINDOW_SECTION
1 0 100
2 0 90
3 0 50
4 0 60
VEHICLES_DEPOT_SECTION
1 1
2 1
3 2
DEPOT_SECTION
1
2
-1
EOF
"""

SITES = """NAME: tiny
TYPE: SDVRPTW
EDGE_WEIGHT_TYPE: EUC_2D
DIMENSION: 3
VEHICLES: 2
NODE_COORD_SECTION
1 0 0
2 3 4
3 6 8
DEMAND_SECTION
1 0
2 5
3 6
TIME_WINDOW_SECTION
1 0 100
2 0 50
3 0 60
CAPACITY_SECTION
1 10
2 20
VEHICLES_ALLOWED_CLIENTS_SECTION
1 2
2 2 3
EOF
"""


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_solomons_format_counts_in_thousandths(tmp_path: Path) -> None:
    path = written(tmp_path, "solomon/tiny.txt", SOLOMON)

    instance = read_instance(path)

    assert instance.label == "solomon/tiny"
    assert instance.clients[0] == Client(1, (10_000, 90_000), service=5_000, load=7)
    assert instance.vehicle_types == (VehicleType(3, 0, (0, 230_000), capacity=20),)
    assert instance.travel.legs([0, 1, 2]) == [1_414, 3_606]


def test_a_set_truncated_to_tenths_is_read_so(tmp_path: Path) -> None:
    path = written(tmp_path, "gh/tiny.txt", SOLOMON)

    instance = read_instance(path, "distance, each edge truncated to 0.1")

    assert instance.travel.legs([0, 1, 2]) == [14, 36]


def test_prizes_make_clients_optional_but_for_those_of_0(tmp_path: Path) -> None:
    path = written(tmp_path, "PCVRPTW/tiny.vrp", PRIZES)

    instance = read_instance(path)

    assert [client.prize for client in instance.clients] == [130, None]
    assert [client.service for client in instance.clients] == [40, 40]
    assert instance.travel.legs([0, 1]) == [14]


def test_vehicles_belong_to_depots_and_have_a_longest_duration(tmp_path: Path) -> None:
    path = written(tmp_path, "MDVRPTW/tiny.vrp", DEPOTS)

    instance = read_instance(path)

    assert instance.vehicle_types == (
        VehicleType(2, 0, (0, 100_000), capacity=9, longest=40_500),
        VehicleType(1, 1, (0, 90_000), capacity=9, longest=40_500),
    )
    assert [client.place for client in instance.clients] == [2, 3]


def test_vehicles_may_serve_listed_clients_only(tmp_path: Path) -> None:
    path = written(tmp_path, "SDVRPTW/tiny.vrp", SITES)

    instance = read_instance(path)

    assert [kind.clients for kind in instance.vehicle_types] == [frozenset({0}), None]
    assert [kind.capacity for kind in instance.vehicle_types] == [10, 20]


def test_a_rule_that_is_not_known_is_refused(tmp_path: Path) -> None:
    text = SITES.replace("CAPACITY_SECTION", "BACKHAUL_SECTION")
    path = written(tmp_path, "SDVRPTW/tiny.vrp", text)

    with pytest.raises(UnsupportedInstance, match="backhaul"):
        read_instance(path)


def test_the_best_known_comes_in_the_unit_of_its_convention(tmp_path: Path) -> None:
    path = written(tmp_path, "solomon/tiny.txt", SOLOMON)
    rows = (
        "set,instance,best_known,vehicles,convention",
        'solomon,tiny,12.35,1,"distance first, double precision"',
        'gh,tiny,12.3,,"distance, each edge truncated to 0.1"',
        'PC,tiny,123,,"distance + prizes not collected, each edge truncated to 0.1; file value x10"',
        'MD,tiny,12345,,"distance, each edge x1000 rounded"',
    )
    written(tmp_path, "best-known.csv", "\n".join(rows) + "\n")

    known = read_best_known(tmp_path)

    read = {
        key[0]: read_instance(path, row.convention, row.best_known).best_known for key, row in known.items()
    }
    assert read == {"solomon": 12_350, "gh": 123, "PC": 123, "MD": 12_345}


def test_a_best_known_with_fewest_vehicles_is_no_measure_of_a_distance(tmp_path: Path) -> None:
    path = written(tmp_path, "gh/tiny.txt", SOLOMON)

    instance = read_instance(path, "vehicles first, then distance, double precision", 99.0)

    assert instance.best_known is None
    assert "fewest vehicles" in instance.best_known_source


def test_a_solution_beside_the_instance_gives_the_best_known(tmp_path: Path) -> None:
    """The second vehicle alone may serve both; its way is 10 there and 10 back."""
    path = written(tmp_path, "SDVRPTW/tiny.vrp", SITES)
    written(tmp_path, "SDVRPTW/tiny.sol", "Route #1:\nRoute #2: 1 2\nCost: 777\n")

    instance = read_instance(path)

    assert (instance.best_known, instance.best_known_source) == (20_000, "tiny.sol")


def test_a_solution_that_breaks_a_rule_is_not_believed(tmp_path: Path) -> None:
    path = written(tmp_path, "SDVRPTW/tiny.vrp", SITES)
    written(tmp_path, "SDVRPTW/tiny.sol", "Route #1: 1 2\nRoute #2:\nCost: 20000\n")

    instance = read_instance(path)

    assert instance.best_known is None
    assert "breaks a rule" in instance.best_known_source


def test_a_folder_gives_its_instances_in_order(tmp_path: Path) -> None:
    written(tmp_path, "b/two.vrp", SITES)
    written(tmp_path, "a/one.txt", SOLOMON)
    written(tmp_path, "b/two.sol", "")

    names = [path.name for path in instance_files(tmp_path)]

    assert names == ["one.txt", "two.vrp"]


def test_another_process_reads_the_same_instance(tmp_path: Path) -> None:
    from benchmarks.source import as_json, from_json

    source = InstanceFile(str(written(tmp_path, "solomon/tiny.txt", SOLOMON)), "double precision", 12.5)

    again = from_json(as_json(source))

    assert again.instance() == source.instance()
