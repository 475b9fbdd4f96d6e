import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import Session, func, select

from api.cli import main
from dispatch.database import open_engine, transaction
from dispatch.gazetteer import GazetteerEntry, NewPlace, candidates
from dispatch.places import PlaceKind
from dispatch.settings import Settings
from seed.errors import UnreadableFile
from seed.nyc311 import Refused
from seed.places import LONGEST_NAME, PLACES_AT_A_TIME, load_places, read_places, zip_areas

NOW = datetime(2026, 11, 23, 15, tzinfo=UTC)
HEADER = "name,lat,lon,zip,kind\n"


def read(text):
    return list(read_places(text.encode()))


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def database(database_url, tmp_path, monkeypatch):
    """A migrated database as the commands find it, without any organization."""
    monkeypatch.setenv("DISPATCH_DATABASE_URL", database_url)
    monkeypatch.setenv("DISPATCH_DATA_DIR", str(tmp_path / "var"))
    return database_url


def file_of(tmp_path, text, name="places.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def entries(url):
    engine = open_engine(url)
    with Session(engine) as session:
        found = session.exec(select(GazetteerEntry).order_by(GazetteerEntry.key)).all()
    engine.dispose()
    return found


# What a file says


def test_a_line_of_csv_is_a_place():
    assert read(HEADER + '"1 Main Street, Troy",42.73,-73.69,12180,\n10016,40.745,-73.978,,Area\n') == [
        NewPlace("1 Main Street, Troy", 42.73, -73.69, "12180"),
        NewPlace("10016", 40.745, -73.978, kind=PlaceKind.AREA),
    ]


def test_columns_stand_in_any_order_and_others_are_passed_over():
    assert read("\ufeffBorough,LON, Lat ,Address\nQUEENS,-73.9,40.7,1 Elm St\n\n") == [
        NewPlace("1 Elm St", 40.7, -73.9)
    ]


def test_json_lines_say_the_same():
    rows = [
        {"name": "1 Elm St", "lat": 40.7, "lon": -73.9, "zip": "11377-1234", "note": ["x"]},
        {"address": "2 Elm St", "lat": "40.7", "lon": "-73.9", "zip": 7030, "kind": "street"},
    ]

    assert read("\n".join(map(json.dumps, rows))) == [
        NewPlace("1 Elm St", 40.7, -73.9, "11377"),
        NewPlace("2 Elm St", 40.7, -73.9, "07030", PlaceKind.STREET),
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",40.7,-73.9,,", "name is missing"),
        ("...,40.7,-73.9,,", "name says nothing"),
        ("x" * (LONGEST_NAME + 1) + ",40.7,-73.9,,", "name is longer than"),
        ("Elm,,-73.9,,", "lat is missing"),
        ("Elm,north,-73.9,,", "lat 'north' is not a number"),
        ("Elm,90.1,-73.9,,", "lat 90.1 lies outside -90 to 90"),
        ("Elm,40.7,nan,,", "lon nan lies outside"),
        ("Elm,40.7,-inf,,", "lon -inf lies outside"),
        ("Elm,40.7,-73.9," + "1" * 21 + ",", "zip is longer than"),
        ("Elm,40.7,-73.9,,planet", "kind 'planet' is none of place, street, area"),
        ("Elm,40.7", "has 2 columns instead of 5"),
        ('"Elm,40.7,-73.9,,', "is not a line of CSV"),
        ("El\0m,40.7,-73.9,,", "contains a NUL"),
    ],
)
def test_a_row_of_csv_that_is_no_place_is_refused_with_its_line(row, reason):
    good = "Oak,1,2,,\n"

    rows = read(f"{HEADER}{good}{row}\n{good}")

    assert [type(found) for found in rows] == [NewPlace, Refused, NewPlace]
    assert rows[1].line == 3
    assert rows[1].reason.startswith(reason)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{", "is not JSON"),
        ("[1]", "is not a JSON object"),
        ('{"name": 5, "lat": 1, "lon": 2}', "name is not text"),
        ('{"name": "El\\u0000m", "lat": 1, "lon": 2}', "name contains a character that is none"),
        ('{"name": "El\\ud800m", "lat": 1, "lon": 2}', "name contains a character that is none"),
        ('{"name": "Elm", "lat": true, "lon": 2}', "lat True is not a number"),
        ('{"name": "Elm", "lat": [1], "lon": 2}', "lat [1] is not a number"),
        ('{"name": "Elm", "lat": 1, "lon": null}', "lon is missing"),
        ('{"name": "Elm", "lat": 1, "lon": 1e999}', "lon inf lies outside"),
        ('{"name": "Elm", "lat": 1, "lon": 2, "zip": [1]}', "zip is not text"),
    ],
)
def test_a_json_line_that_is_no_place_is_refused_with_its_line(row, reason):
    rows = read(f'{{"name": "Oak", "lat": 1, "lon": 2}}\n{row}\n')

    assert isinstance(rows[0], NewPlace)
    assert rows[1].line == 2
    assert rows[1].reason.startswith(reason)


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "name,lat\nElm,1\n", '"name,lat,lon\n'])
def test_a_file_without_the_columns_is_refused_whole(text):
    with pytest.raises(UnreadableFile):
        read(text)


@given(st.lists(st.binary(max_size=60)))
def test_whatever_a_file_holds_each_line_is_a_place_or_refused(lines):
    rows = list(read_places(HEADER.encode() + b"\n".join(lines)))

    assert len(rows) <= sum(line.count(b"\n") + 1 for line in lines)
    assert all(isinstance(row, NewPlace | Refused) for row in rows)


# Loading


def test_loading_tells_how_far_it_is(engine):
    rows = (NewPlace(f"{n} Elm Street", 40.0 + n / 1e5, -73.9) for n in range(PLACES_AT_A_TIME + 1))
    told = []

    loaded = load_places(engine, rows, NOW, told.append)

    assert (loaded.created, loaded.known, loaded.refused) == (PLACES_AT_A_TIME + 1, 0, [])
    assert told == [PLACES_AT_A_TIME, PLACES_AT_A_TIME + 1]


def test_import_loads_the_good_rows_and_prints_the_others_with_line_and_reason(database, tmp_path):
    file = file_of(
        tmp_path, HEADER + "1 Elm St,40.7,-73.9,,\n2 Elm St,north,-73.9,,\n3 Elm St,40.8,-73.9,,\n"
    )

    result = run("import", "--format", "places", file)

    assert result.exit_code == 0, result.stderr
    assert "line 3: lat 'north' is not a number" in result.stderr
    assert "2 created, 0 there before, 1 refused" in result.stdout
    assert [entry.name for entry in entries(database)] == ["1 Elm St", "3 Elm St"]


def test_importing_a_file_again_in_another_form_and_spelling_doubles_nothing(database, tmp_path):
    run("import", "--format", "places", file_of(tmp_path, HEADER + "1 Elm St,40.7,-73.9,,\n"))
    again = json.dumps({"address": "1 ELM STREET", "lat": 40.7, "lon": -73.9})

    result = run("import", "--format", "places", file_of(tmp_path, again, "places.jsonl"))

    assert result.exit_code == 0, result.stderr
    assert "0 created, 1 there before, 0 refused" in result.stdout
    assert len(entries(database)) == 1


def test_an_import_that_loads_nothing_fails(database, tmp_path):
    result = run("import", "--format", "places", file_of(tmp_path, HEADER + "Elm,,,,\n"))

    assert result.exit_code == 1
    assert "line 2: lat is missing" in result.stderr
    assert "no place was loaded" in result.stderr


def test_a_file_of_another_kind_is_refused_without_a_traceback(database, tmp_path):
    result = run("import", "--format", "places", file_of(tmp_path, "a,b\n1,2\n"))

    assert result.exit_code == 1
    assert "must name these columns" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "arguments", [("places",), ("places", "--date", "2012-11-20"), ("nyc311", "--date", "2012-11-20")]
)
def test_places_want_a_file_and_calls_an_organization(database, arguments):
    assert run("import", "--format", *arguments).exit_code == 2


def test_help_names_the_columns():
    said = run("import", "--help").stdout

    assert all(word in said for word in ("name (or address)", "lat", "lon", "zip", "kind", "JSON lines"))


# New York's ZIP codes


def test_the_zip_codes_of_the_real_day_are_areas(engine, settings: Settings):
    with transaction(engine) as session:
        loaded = load_places(engine, iter(zip_areas()), NOW)
        total = session.exec(select(func.count()).select_from(GazetteerEntry)).one()
        found = [
            candidates(session, settings, text) for text in ("10016", "12 E 36 Street, New York, NY 10016")
        ]

    assert loaded.created == len(zip_areas()) == total > 150
    for [area] in found:
        assert area.kind is PlaceKind.AREA
        assert area.address.startswith("10016, Manhattan, New York (the middle")
        assert (area.lat, area.lon) == pytest.approx((40.745, -73.978), abs=0.01)
